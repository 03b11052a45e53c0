"""What a smaller training graph leaves out of a larger one: the larger one's text, with what is dropped commented out.

  %12: Tensor[…] = softmax_cross_entropy_grad(%10, %label0);
  # %13: Tensor[…] = nn.conv2d_backward_weight(%12, %3);       the larger graph alone has this node
+ %31: Tensor[…] = strided_slice(%3, begin=0, end=2, axis=1);  the smaller one alone has this
~ %14: Tensor[…] = nn.conv2d_backward_weight(%12, %31);        both have it, with other operands, attributes or types
"""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TypeVar

from workbench.ir.graph import Graph
from workbench.ir.text import argument_text, node_lines, outputs_text

T = TypeVar("T")
Steps = Sequence[tuple[str, int, int, int, int]]  # of difflib: what, its nodes in the larger, its nodes in the smaller


def print_difference(larger: Graph, smaller: Graph) -> str:
    """`smaller` as text in the numbers of `larger`, and as comments what only `larger` has.

    Read back, the text is `smaller` under those numbers.
    """
    smaller, steps = aligned(larger, smaller)
    kept = set(smaller.arguments)
    lines = ["fn ("]
    arguments = [*larger.arguments, *(name for name in smaller.arguments if name not in larger.arguments)]
    last = [name for name in arguments if name in kept][-1:]
    for name in arguments:
        comma = "" if [name] == last else ","
        if name not in kept:
            lines.append(f"    # {argument_text(larger, name)},")
        else:
            known = argument_text(larger, name) if name in larger.arguments else None
            lines.append(f"{_mark(known, argument_text(smaller, name))}{argument_text(smaller, name)}{comma}")
    lines.append(") {")
    for what, first, behind, begin, end in steps:
        theirs = [node_lines(larger, node) for node in larger.nodes[first:behind]]
        if what != "equal":
            lines += [f"    # {line}" for node in theirs for line in node]
        for number, node in enumerate(smaller.nodes[begin:end]):
            text = node_lines(smaller, node)
            mark = _mark(theirs[number] if what == "equal" else None, text)
            lines += [f"{mark}{line}" for line in text]
    mark = _mark(outputs_text(larger), outputs_text(smaller))
    return "\n".join([*lines, f"{mark}{outputs_text(smaller)}", "}"]) + "\n"


def aligned(larger: Graph, smaller: Graph) -> tuple[Graph, Steps]:
    """`smaller` in the numbers of `larger`, and what to do to the nodes of the one to have those of the other.

    Nodes are the same if they have one operator and one label.
    """
    before, after = ([(node.op, node.label) for node in graph.nodes] for graph in (larger, smaller))
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return _in_numbers_of(larger, smaller, [step[1:] for step in steps if step[0] == "equal"]), steps


def _mark(before: T | None, after: T) -> str:
    """The margin of a line: + where there was none before, ~ where it was another."""
    return "  + " if before is None else "    " if before == after else "  ~ "


def _in_numbers_of(larger: Graph, smaller: Graph, same: Sequence[tuple[int, int, int, int]]) -> Graph:
    """`smaller` with the results of nodes both have called as in `larger`; others get numbers that are free there."""
    names: dict[str, str] = {}
    for first, behind, begin, _ in same:
        for offset in range(behind - first):
            theirs, ours = larger.nodes[first + offset], smaller.nodes[begin + offset]
            names.update(zip(ours.results, theirs.results, strict=False))
    free = max((int(name) for name in larger.types if name.isdecimal()), default=-1) + 1
    for node in smaller.nodes:
        for result in node.results:
            if result not in names:
                names[result], free = str(free), free + 1
    return smaller.renamed(names)

"""Take the image row by row: it is then a strip of the first region and lies nowhere as a whole (`--input rows`)."""

from dataclasses import replace

from workbench.errors import ModelError
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.types import STREAM

READ = "read_rows"


def input_rows(graph: Graph) -> Graph:
    """The graph with its input read by a node of its own. Raises ModelError where it is no single image."""
    image = next(name for name in graph.inputs if graph.types[name].rank)
    kind = graph.types[image]
    if kind.rank != 4 or kind.shape[0] != 1:
        raise ModelError(f"one image can come by rows, in batches of one; {image} is {kind}", "--input whole")
    rows = str(1 + max((int(name) for name in graph.types if name.isdigit()), default=-1))
    nodes = [replace(node, operands=tuple(rows if name == image else name for name in node.operands))
             for node in graph.nodes]  # fmt: skip
    types = {**graph.types, image: kind.in_layout(STREAM), rows: kind.in_layout("")}
    return replace(graph, nodes=(Node(READ, (image,), (rows,), label=image), *nodes), types=types)


def require_rows(graph: Graph) -> None:
    """Raise ModelError where the image, asked for by rows, would be there as a whole; it says who needs it so."""
    for node in graph.nodes:
        image = _whole_image(node)
        if not image:
            continue
        readers = [graph.nodes[index] for index in graph.analysis.readers[image]]
        whole = next((other for other in readers if not other.body and ops.get(other.op).rows is None), None)
        reason, hint = "no region begins at it", "the schedule optimized, with the pass regions, or --input whole"
        if any(ops.get(other.op).loss for other in readers if not other.body):
            reason, hint = "it is the target too, and the loss reads all of it behind the output", "--input whole"
        elif whole:
            reason = f"{whole.label or whole.op} ({whole.op}) reads all of it at once"
            hint = "a policy that leaves the first layer's weight as it is, or --input whole"
        raise ModelError(f"the image cannot come by rows: {reason}", hint)


def _whole_image(node: Node) -> str:
    """The value that holds the whole image, if this node reads it from where it comes and gives it on."""
    if node.op == READ:
        return node.results[0]
    if node.body is None:
        return ""
    read = {inner.results[0] for inner in node.body.nodes if inner.op == READ}
    given = zip(node.body.outputs, node.results, strict=True)
    return next((name for made, name in given if made in read), "")

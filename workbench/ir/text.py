"""The graph as Relay-like text, printed and parsed back to the same graph.

    fn (%input0: Tensor[(1, 64), float32], %fc.weight: Tensor[(10, 64), float32, needs_grad=True]) {
        %0: Tensor[(1, 10), float32] = nn.dense(%input0, %fc.weight);  /* fc */
        …
        %9: Tensor[(10, 64), float32] = nn.sgd(%fc.weight, %7, %lr) over %fc.weight;
        (%3, %9)
    }

Parameters carry `needs_grad`, optimizer state `state`, biases kept as deltas `delta` and, where some channels of it
have 32 bits, `wide`: how many (see ir/deltas); other arguments are written by the host. `over` names the
operand whose storage a result takes over (`_` for none). Attributes at their default are left out. The comment is the
node's label. The parser infers each result's type and holds the stated one against it; text that states none is read
too. A line that begins with # is left out when the text is read, and so is a + or ~ before a line (see diff).
A region holds its body, which reads and makes values of the graph around it under their own names:

    %2: Tensor[…], %97: Tensor[…, bit] = region(%input0, %stem.weight, %expand.weight, rows=2) {
        %2.0: Tensor[…] = nn.conv2d(%input0, %stem.weight, …);  /* stem */
        %2: Tensor[…], %97: Tensor[…, bit] = nn.conv2d(%2.0, %expand.weight, …, mask=True);  /* expand */
    };  /* stem-expand */
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.errors import ParseError, WorkbenchError
from workbench.ir import op as ops
from workbench.ir.deltas import state_of
from workbench.ir.graph import Graph, Node
from workbench.ir.op import REQUIRED
from workbench.ir.types import TensorType

FEW_ARGUMENTS = 4  # more than these stand on lines of their own


def print_graph(graph: Graph, headings: Mapping[str, str] | None = None) -> str:
    """IR text, one node a line, ending with a newline. `headings`: first result of a node -> a comment before it."""
    arguments = [argument_text(graph, name) for name in graph.arguments]
    head = f"fn ({', '.join(arguments)}) {{"
    if len(arguments) > FEW_ARGUMENTS:
        head = "fn (\n    " + ",\n    ".join(arguments) + "\n) {"
    above = headings or {}
    lines = [head]
    for node in graph.nodes:
        lines += [f"    # {above[name]}" for name in node.results[:1] if name in above]
        lines += [f"    {line}" for line in node_lines(graph, node)]
    return "\n".join([*lines, f"    {outputs_text(graph)}", "}"]) + "\n"


def outputs_text(graph: Graph) -> str:
    outputs = ", ".join(f"%{name}" for name in graph.outputs)
    return f"({outputs})" if len(graph.outputs) != 1 else outputs


def argument_text(graph: Graph, name: str) -> str:
    """%name: Tensor[…], with what the argument is: needs_grad tells a parameter, state an optimizer's state."""
    kind, more = graph.types[name], []
    if name in graph.parameters and isinstance(kind.needs_grad, tuple):
        axis, count = kind.needs_grad
        more += [f"needs_grad={count / kind.shape[axis]:.6g}", f"grad_slice=[{axis}, {count}]"]
    elif name in graph.parameters:
        more.append(f"needs_grad={kind.needs_grad}")
    if name in graph.parameters and state_of(name) in graph.state:
        more += _delta_text(kind, graph.types[state_of(name)])
    if name in graph.state:
        more.append("state=True")
    return f"%{name}: {_type_text(kind, *more)}"


def _delta_text(bias: TensorType, state: TensorType) -> list[str]:
    """What is said of a bias that is kept as a delta: its dtype, and how many channels have 32 bits."""
    wide = state.elements - bias.elements
    return [f"delta={state.dtype}", *([f"wide={wide}"] if wide else [])]


def _type_text(kind: TensorType, *more: str) -> str:
    shape = f"({', '.join(map(str, kind.shape))}{',' if kind.rank == 1 else ''})"
    parts = [shape, kind.dtype]
    if kind.layout:
        parts.append(f'layout="{kind.layout}"')
    if kind.scale:
        parts += [f"scale={kind.scale!r}", f"zero_point={kind.zero_point}"]
    return f"Tensor[{', '.join([*parts, *more])}]"


def node_lines(graph: Graph, node: Node) -> list[str]:
    """%result: Tensor[…] = operator(%operand, attribute=value); on one line, a region of `graph` on several."""
    if not node.body:
        return [_node_text(node, graph.types)]
    whole = _node_text(replace(node, attrs={**node.attrs, "body": REQUIRED}), graph.types)
    before, _, after = whole.rpartition(";")
    body = _with_outer_names(node)
    return [f"{before} {{", *(f"    {_node_text(inner, body.types)}" for inner in body.nodes), f"}};{after}"]


def _with_outer_names(region: Node) -> Graph:
    """The body in the names of the graph around it; a value of the body alone is called after the region."""
    body = region.region_body
    outer = dict(zip(body.inputs, region.operands, strict=True)) | dict(zip(body.outputs, region.results, strict=True))
    return body.renamed({name: outer.get(name, f"{region.results[0]}.{name}") for name in body.types})


def _node_text(node: Node, types: Mapping[str, TensorType]) -> str:
    defaults = ops.get(node.op).attrs
    attrs = [f"{key}={_attr_text(value)}" for key, value in node.attrs.items() if value != defaults[key]]
    results = ", ".join(f"%{name}: {_type_text(types[name])}" for name in node.results)
    call = f"{results} = {node.op}({', '.join([f'%{name}' for name in node.operands] + attrs)})"
    over = f" over {', '.join(f'%{name}' if name else '_' for name in node.over)}" if node.overwrites else ""
    label = f"  /* {node.label} */" if node.label else ""
    return f"{call}{over};{label}"


def _attr_text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_attr_text, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


Names = tuple[str, ...]
_NAME = r"%([\w.\-/]+)"
_OPTION = r"\w+=(?:\[[\d, ]*\]|\"[^\"]*\"|[\w.+-]+)"
_TENSOR = rf"Tensor\[\(([\d, ]*)\), (\w+)((?:, {_OPTION})*)\]"
_ARGUMENT = re.compile(f"{_NAME}: {_TENSOR}")
_RESULT = re.compile(f"{_NAME}(?:: {_TENSOR})?(?:, |$)")
_NODE = re.compile(r"(%.+?) = ([\w.]+)\((.*?)\)(?: over ([\w.\-/%, ]+))?;(?:\s*/\* (.*?) \*/)?")
_REGION = re.compile(r"(%.+?) = ([\w.]+)\((.*)\)(?: over ([\w.\-/%, ]+))? \{ \};(?:\s*/\* (.*?) \*/)?")


def parse_graph(text: str) -> Graph:
    """The graph that `print_graph` printed. Raises ParseError with the line that cannot be read."""
    lines = [(number, line.strip().lstrip("+~ ")) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    body = next((index for index, (_, line) in enumerate(lines, 1) if line.endswith(") {")), 0)
    if not body or len(lines) < body + 2 or not lines[0][1].startswith("fn (") or lines[-1][1] != "}":
        raise ParseError("IR text is `fn (arguments) {`, nodes, the outputs and `}`, each on lines of their own")
    head = " ".join(line for _, line in lines[:body])
    (inputs, parameters, state), types = _parse_arguments(head[len("fn (") : -len(") {")].strip())
    nodes = []
    region = ""
    inside: list[str] = []
    for number, line in lines[body:-2]:
        try:
            if line.endswith("{") and not region:
                region, inside = line, []
            elif region and not line.startswith("}"):
                inside.append(line)
            elif region:
                nodes.append(_parse_region(region, inside, line, types))
                region = ""
            else:
                nodes.append(_parse_node(line, types))
        except WorkbenchError as error:
            raise ParseError(f"line {number}: {error.message}\n  {line}") from None
    if region:
        raise ParseError(f"a body has no end\n  {region}")
    outputs = tuple(re.findall(_NAME, lines[-2][1]))
    unmade = [name for name in outputs if name not in types]
    if unmade:
        raise ParseError(f"output %{unmade[0]} is never made")
    return Graph(inputs, parameters, tuple(nodes), outputs, types, state)


def _parse_arguments(text: str) -> tuple[tuple[Names, Names, Names], dict[str, TensorType]]:
    inputs: list[str] = []
    parameters: list[str] = []
    state: list[str] = []
    types: dict[str, TensorType] = {}
    deltas: dict[str, list[str]] = {}
    rest = text
    while rest:
        match = _ARGUMENT.match(rest)
        if not match:
            raise ParseError(f"arguments: expected `%name: Tensor[(shape), dtype]` at {rest[:60]!r}")
        name, options = match[1], _options(match[4])
        where = parameters if "needs_grad" in options else state if "state" in options else inputs
        where.append(name)
        types[name] = _parse_type(*match.groups())
        deltas[name] = [f"{key}={options[key]}" for key in ("delta", "wide") if key in options]
        rest = rest[match.end() :].removeprefix(", ")
    for name in parameters:
        beside = state_of(name) in state
        if deltas[name] != (_delta_text(types[name], types[state_of(name)]) if beside else []):
            raise ParseError(f"%{name}: {', '.join(deltas[name]) or 'no delta'}; the state beside it is "
                             f"{types[state_of(name)] if beside else 'missing'}")  # fmt: skip
    return (tuple(inputs), tuple(parameters), tuple(state)), types


def _options(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\[[^\]]*\]|\"[^\"]*\"|[\w.+-]+)", text))


def _parse_type(name: str, shape: str, dtype: str, more: str) -> TensorType:
    """The type of %name, written Tensor[(shape), dtype, more]."""
    options = _options(more)
    needs_grad: bool | tuple[int, int] = options.get("needs_grad") == "True"
    if options.get("needs_grad") not in (None, "True", "False") and "grad_slice" not in options:
        raise ParseError(f"%{name}: needs_grad={options['needs_grad']} needs a grad_slice=[axis, channels]")
    if "grad_slice" in options:
        try:
            axis, channels = ast.literal_eval(options["grad_slice"])
            needs_grad = axis, channels
        except (SyntaxError, ValueError, TypeError):
            raise ParseError(f"%{name}: grad_slice={options['grad_slice']} is no [axis, channels]") from None
    sizes = tuple(int(size) for size in shape.replace(" ", "").split(",") if size)
    layout = options.get("layout", "").strip('"')
    quantized = float(options.get("scale", 0)), int(options.get("zero_point", 0))
    return TensorType(sizes, dtype, layout, needs_grad, *quantized)


def _parse_results(text: str) -> dict[str, TensorType | None]:
    """The results before the equals sign and their stated types; None where the text states none."""
    results, rest = {}, text
    while rest:
        match = _RESULT.match(rest)
        if not match:
            raise ParseError(f"expected `%result: Tensor[(shape), dtype]` at {rest[:60]!r}")
        if match[1] in results:
            raise ParseError(f"%{match[1]} stands twice among the results")
        results[match[1]] = _parse_type(*match.groups()) if match[2] is not None else None
        rest = rest[match.end() :]
    return results


def _parse_node(line: str, types: dict[str, TensorType]) -> Node:
    match = _NODE.fullmatch(line)
    if not match:
        raise ParseError("expected `%result: Tensor[…] = operator(%operand, attribute=value);`")
    results = _parse_results(match[1])
    op = ops.get(match[2])
    operands, attrs = _parse_call(match[3])
    node = Node(op.name, operands, tuple(results), op.complete(attrs), _parse_over(match[4]), match[5] or "")
    _add_types(node, results, types)
    return node


def _parse_region(head: str, inside: list[str], end: str, types: dict[str, TensorType]) -> Node:
    match = _REGION.fullmatch(f"{head} {end}")
    if not match:
        raise ParseError("expected `%result: Tensor[…] = region(%operand, rows=…) {`, a body, and `};`")
    results = _parse_results(match[1])
    operands, attrs = _parse_call(match[3])
    inner = {name: types[name].in_body for name in operands if name in types}
    nodes = tuple(_parse_node(line, inner) for line in inside)
    unmade = [name for name in (*operands, *results) if name not in inner]
    if unmade:
        raise ParseError(f"%{unmade[0]} is read before it is made, or never made")
    body = Graph(operands, (), nodes, tuple(results), inner).as_body()
    op = ops.get(match[2])
    attrs = op.complete({**attrs, "body": body})
    node = Node(op.name, operands, tuple(results), attrs, _parse_over(match[4]), match[5] or "")
    _add_types(node, results, types)
    return node


def _add_types(node: Node, stated: Mapping[str, TensorType | None], types: dict[str, TensorType]) -> None:
    """Add the inferred types of the node's results to `types`. Raises ParseError where the stated one is another."""
    unknown = [name for name in node.operands if name not in types]
    if unknown:
        raise ParseError(f"%{unknown[0]} is read before it is made")
    inferred = ops.get(node.op).result_types([types[name] for name in node.operands], node.attrs)
    if len(inferred) != len(node.results):
        raise ParseError(f"{node.op} gives {len(inferred)} results, the line names {len(node.results)}")
    for name, kind in zip(node.results, inferred, strict=True):
        said = stated[name]
        if said is not None and _type_text(said) != _type_text(kind):
            raise ParseError(f"{node.op} gives %{name}: {_type_text(kind)}; the text says {_type_text(said)}")
        types[name] = kind


def _parse_over(text: str | None) -> tuple[str, ...]:
    words = (word.strip() for word in text.split(",")) if text else ()
    return tuple("" if word == "_" else word.lstrip("%") for word in words)


def _parse_call(text: str) -> tuple[Names, dict[str, Any]]:
    """Operands and attributes of `%operand, …, attribute=value, …`."""
    match = re.match(rf"(?:{_NAME}(?:, |$))*", text)
    operands = match[0] if match else ""
    return tuple(re.findall(_NAME, operands)), _parse_attrs(text[len(operands) :])


def _parse_attrs(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        keywords = call.keywords if isinstance(call, ast.Call) else []
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in keywords if keyword.arg}
    except (SyntaxError, ValueError):
        raise ParseError(f"attributes are `name=value` with numbers, strings or lists; got {text!r}") from None

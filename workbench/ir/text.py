"""The graph as Relay-like text, printed and parsed back to the same graph.

    fn (%input0: Tensor[(1, 64), float32], %fc.weight: Tensor[(10, 64), float32, needs_grad=True]) {
        %0 = nn.dense(%input0, %fc.weight);  /* fc */
        …
        %9 = nn.sgd(%fc.weight, %7, %lr) over %fc.weight;
        (%3, %9)
    }

Parameters carry `needs_grad`, optimizer state `state`; other arguments are written by the host. `over` names the
operand whose storage a result takes over (`_` for none). Attributes at their default are left out. The comment is the
node's label. A line that begins with # is left out when the text is read, and so is a + or ~ before a line (see diff).
A region holds its body, which reads and makes values of the graph around it under their own names:

    %2, %97 = region(%input0, %stem.weight, %expand.weight, rows=2) {
        %2.0 = nn.conv2d(%input0, %stem.weight, …);  /* stem */
        %2, %97 = nn.conv2d(%2.0, %expand.weight, …, mask=True);  /* expand */
    };  /* stem-expand */
"""

import ast
import re
from dataclasses import replace

from workbench.errors import ParseError, WorkbenchError
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.op import REQUIRED
from workbench.ir.types import TensorType

FEW_ARGUMENTS = 4  # more than these stand on lines of their own


def print_graph(graph: Graph) -> str:
    """IR text, one node a line, ending with a newline."""
    arguments = [argument_text(graph, name) for name in graph.arguments]
    head = f"fn ({', '.join(arguments)}) {{"
    if len(arguments) > FEW_ARGUMENTS:
        head = "fn (\n    " + ",\n    ".join(arguments) + "\n) {"
    lines = [head, *(f"    {line}" for node in graph.nodes for line in node_lines(node))]
    return "\n".join([*lines, f"    {outputs_text(graph)}", "}"]) + "\n"


def outputs_text(graph: Graph) -> str:
    outputs = ", ".join(f"%{name}" for name in graph.outputs)
    return f"({outputs})" if len(graph.outputs) != 1 else outputs


def argument_text(graph: Graph, name: str) -> str:
    """%name: Tensor[…]."""
    return f"%{name}: {_type_text(graph, name)}"


def _type_text(graph: Graph, name: str) -> str:
    kind, parameter = graph.types[name], name in graph.parameters
    shape = f"({', '.join(map(str, kind.shape))}{',' if kind.rank == 1 else ''})"
    parts = [shape, kind.dtype]
    if kind.layout:
        parts.append(f'layout="{kind.layout}"')
    if kind.scale:
        parts += [f"scale={kind.scale!r}", f"zero_point={kind.zero_point}"]
    if parameter and isinstance(kind.needs_grad, tuple):
        axis, count = kind.needs_grad
        parts += [f"needs_grad={count / kind.shape[axis]:.6g}", f"grad_slice=[{axis}, {count}]"]
    elif parameter:
        parts.append(f"needs_grad={kind.needs_grad}")
    if name in graph.state:
        parts.append("state=True")
    return f"Tensor[{', '.join(parts)}]"


def node_lines(node: Node) -> list[str]:
    """%result = operator(%operand, attribute=value); on one line, a region on several."""
    if not node.body:
        return [_node_text(node)]
    before, _, after = _node_text(replace(node, attrs={**node.attrs, "body": REQUIRED})).rpartition(";")
    return [f"{before} {{", *(f"    {_node_text(inner)}" for inner in _spelled_out(node)), f"}};{after}"]


def _spelled_out(node: Node) -> tuple[Node, ...]:
    """The body's nodes with the names of the graph around it; values of the body alone are called after the region."""
    body = node.body
    outer = dict(zip(body.inputs, node.operands, strict=True)) | dict(zip(body.outputs, node.results, strict=True))
    names = {name: outer.get(name, f"{node.results[0]}.{name}") for name in body.types}
    return body.renamed(names).nodes


def _node_text(node: Node) -> str:
    defaults = ops.get(node.op).attrs
    attrs = [f"{key}={_attr_text(value)}" for key, value in node.attrs.items() if value != defaults[key]]
    results = ", ".join(f"%{name}" for name in node.results)
    call = f"{results} = {node.op}({', '.join([f'%{name}' for name in node.operands] + attrs)})"
    over = f" over {', '.join(f'%{name}' if name else '_' for name in node.over)}" if node.overwrites else ""
    label = f"  /* {node.label} */" if node.label else ""
    return f"{call}{over};{label}"


def _attr_text(value) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_attr_text, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


_NAME = r"%([\w.\-/]+)"
_TENSOR = re.compile(rf"{_NAME}: Tensor\[\(([\d, ]*)\), (\w+)((?:, \w+=(?:\[[\d, ]*\]|\"[^\"]*\"|[\w.+-]+))*)\]")
_NODE = re.compile(rf"((?:{_NAME}(?:, )?)+) = ([\w.]+)\((.*?)\)(?: over ([\w.\-/%, ]+))?;(?:\s*/\* (.*?) \*/)?")

_REGION = re.compile(r"(%.+) = ([\w.]+)\((.*)\)(?: over ([\w.\-/%, ]+))? \{ \};(?:\s*/\* (.*?) \*/)?")


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
    region, inside = "", []
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


def _parse_arguments(text: str):
    inputs, parameters, state, types = [], [], [], {}
    rest = text
    while rest:
        match = _TENSOR.match(rest)
        if not match:
            raise ParseError(f"arguments: expected `%name: Tensor[(shape), dtype]` at {rest[:60]!r}")
        name, shape, dtype, extra = match.groups()
        options = dict(re.findall(r"(\w+)=(\[[^\]]*\]|\"[^\"]*\"|[\w.+-]+)", extra))
        needs_grad = options.get("needs_grad") == "True"
        if options.get("needs_grad") not in (None, "True", "False") and "grad_slice" not in options:
            raise ParseError(f"%{name}: needs_grad={options['needs_grad']} needs a grad_slice=[axis, channels]")
        if "grad_slice" in options:
            try:
                needs_grad = tuple(ast.literal_eval(options["grad_slice"]))
            except (SyntaxError, ValueError, TypeError):
                raise ParseError(f"%{name}: grad_slice={options['grad_slice']} is no [axis, channels]") from None
        where = parameters if "needs_grad" in options else state if "state" in options else inputs
        where.append(name)
        sizes = tuple(int(size) for size in shape.replace(" ", "").split(",") if size)
        layout = options.get("layout", "").strip('"')
        quantized = float(options.get("scale", 0)), int(options.get("zero_point", 0))
        types[name] = TensorType(sizes, dtype, layout, needs_grad, *quantized)
        rest = rest[match.end() :].removeprefix(", ")
    return (tuple(inputs), tuple(parameters), tuple(state)), types


def _parse_node(line: str, types: dict[str, TensorType]) -> Node:
    match = _NODE.fullmatch(line)
    if not match:
        raise ParseError("expected `%result = operator(%operand, attribute=value);`")
    results = tuple(re.findall(_NAME, match[1]))
    op = ops.get(match[3])
    names, attrs = _parse_call(match[4])
    unknown = [name for name in names if name not in types]
    if unknown:
        raise ParseError(f"%{unknown[0]} is read before it is made")
    attrs = op.complete(attrs)
    made = op.result_types([types[name] for name in names], attrs)
    if len(made) != len(results):
        raise ParseError(f"{op.name} gives {len(made)} results, the line names {len(results)}")
    types.update(zip(results, made, strict=True))
    return Node(op.name, names, results, attrs, _parse_over(match[5]), match[6] or "")


def _parse_region(head: str, inside: list[str], end: str, types: dict[str, TensorType]) -> Node:
    match = _REGION.fullmatch(f"{head} {end}")
    if not match:
        raise ParseError("expected `%result = region(%operand, rows=…) {`, a body, and `};`")
    results = tuple(re.findall(_NAME, match[1]))
    operands, attrs = _parse_call(match[3])
    inner = {name: types[name].in_body for name in operands if name in types}
    nodes = tuple(_parse_node(line, inner) for line in inside)
    unmade = [name for name in (*operands, *results) if name not in inner]
    if unmade:
        raise ParseError(f"%{unmade[0]} is read before it is made, or never made")
    body = Graph(operands, (), nodes, results, inner).as_body()
    op = ops.get(match[2])
    attrs = op.complete({**attrs, "body": body})
    made = op.result_types([types[name] for name in operands], attrs)
    types.update(zip(results, made, strict=True))
    return Node(op.name, operands, results, attrs, _parse_over(match[4]), match[5] or "")


def _parse_over(text: str | None) -> tuple[str, ...]:
    words = (word.strip() for word in text.split(",")) if text else ()
    return tuple("" if word == "_" else word.lstrip("%") for word in words)


def _parse_call(text: str) -> tuple[tuple[str, ...], dict]:
    """Operands and attributes of `%operand, …, attribute=value, …`."""
    operands = re.match(rf"(?:{_NAME}(?:, |$))*", text)[0]
    return tuple(re.findall(_NAME, operands)), _parse_attrs(text[len(operands) :])


def _parse_attrs(text: str) -> dict:
    if not text:
        return {}
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        raise ParseError(f"attributes are `name=value` with numbers, strings or lists; got {text!r}") from None

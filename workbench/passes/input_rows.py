"""Take the image row by row: it is then a rolling buffer of the first region, and nowhere whole (`--input rows`)."""

from dataclasses import replace

from workbench.errors import ModelError
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Refusal, Tile
from workbench.ir.types import STREAM
from workbench.schedule.stages import can


def input_rows(graph: Graph) -> Graph:
    """The graph with its input read by a node of its own. Raises ModelError where it is no single image."""
    image = next(name for name in graph.inputs if graph.types[name].rank)
    kind = graph.types[image]
    if kind.rank != 4 or kind.shape[0] != 1:
        raise ModelError(f"one image can come by rows, in batches of one; {image} is {kind}", "--input whole")
    builder = Builder(replace(graph, nodes=(), types={**graph.types, image: kind.in_layout(STREAM)}))
    rows = builder.read_rows(builder.value(image), label=image).name
    nodes = [replace(node, operands=tuple(rows if name == image else name for name in node.operands))
             for node in graph.nodes]  # fmt: skip
    return replace(graph, nodes=(*builder.nodes, *nodes), types=builder.types)


def reads_rows(graph: Graph, node: Node) -> bool:
    """Whether a node takes the image row by row from where it comes."""
    return any(graph.types[name].layout == STREAM for name in node.operands) and not node.body


def require_rows(graph: Graph) -> None:
    """Raise ModelError where the image, asked for by rows, would be there as a whole; it says who needs it so."""
    for node in graph.nodes:
        image = _whole_image(graph, node)
        if not image:
            continue
        readers = [graph.nodes[index] for index in graph.analysis.readers[image]]
        apart = (other for other in readers if not other.body)
        whole = next((other for other in apart if isinstance(can(other, Tile("rows"), graph.types), Refusal)), None)
        reason, hint = "no region begins at it", "the schedule optimized, with the pass regions, or --input whole"
        if any(ops.get(other.op).loss for other in readers if not other.body):
            reason, hint = "it is the target too, and the loss reads all of it behind the output", "--input whole"
        elif whole:
            reason = f"{whole.label or whole.op} ({whole.op}) reads all of it at once"
            hint = "a policy that leaves the first layer's weight as it is, or --input whole"
        raise ModelError(f"the image cannot come by rows: {reason}", hint)


def _whole_image(graph: Graph, node: Node) -> str:
    """The value that holds the whole image, if this node reads it from where it comes and gives it on."""
    if reads_rows(graph, node):
        return node.results[0]
    body = node.body
    if body is None:
        return ""
    read = {inner.results[0] for inner in body.nodes if reads_rows(body, inner)}
    given = zip(body.outputs, node.results, strict=True)
    return next((name for made, name in given if made in read), "")

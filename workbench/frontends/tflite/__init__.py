"""TensorFlow Lite files as networks: `load("kws.tflite")`, int8 or float32.

    file                             network
    (N, H, W, C), filters OHWI       (N, C, H, W), filters OIHW
    (N, H·W·C) of an image           (N, C·H·W); the dense layer behind it has its columns reordered
    fused activation                 int8: the clip of qnn.conv2d, qnn.add, …; float32: nn.relu, nn.relu6
    PAD of rows and columns          padding of the convolutions that read it; else a node
    stored operand of ADD, SUB, MUL  a parameter that no policy updates
    LOGISTIC, HARD_SWISH, …          int8: a table of 256 results (qnn.lookup)
    (LOG_)SOFTMAX at the end         left out of `graph`, which ends at the logits; in `inference` it is there

int8 layers are rescaled as TensorFlow Lite Micro does it, to the bit: form="tflite". Newer builds of TensorFlow Lite
for desktops round once instead of twice, as form="rounded" does. int8 weights of a float32 layer (a hybrid file) are
taken as the real numbers they stand for, and the network's notes say so: trained they must be real numbers. Desktops
also quantize the layer's input on the fly, each kernel in a way of its own.
"""

from dataclasses import replace
from pathlib import Path

from workbench.errors import GraphError, ShapeError
from workbench.frontends.model import Model, ending_at
from workbench.frontends.obstacles import Unsupported
from workbench.frontends.origin import TFLITE, Moved, Origin
from workbench.frontends.tflite.file import read
from workbench.frontends.tflite.network import converted
from workbench.frontends.tflite.operators import OPERATORS
from workbench.frontends.tflite.values import Values
from workbench.ir.graph import Graph
from workbench.ir.verify import verify
from workbench.plain import printable

__all__ = ["OPERATORS", "load"]


def load(path: str | Path, batch: int = 1, form: str = "tflite") -> Model:
    """The network in a .tflite file, for `batch` samples at once, called by the file's stem.

    Inputs and outputs of four axes are NCHW. Raises ModelError for a file that cannot be read; Unsupported, which names
    every obstacle of it, for one that is no network that can be trained.
    """
    path = Path(path)
    values = Values(read(path), form)
    output, obstacles, sound = converted(values)
    if obstacles or output is None:
        raise Unsupported(path, values.network.file, obstacles, _before(values, path, sound))
    return _network(values, path, values.build.graph(output)).with_batch(batch)


def _network(values: Values, path: Path, graph: Graph) -> Model:
    network = values.network
    graph, inference = ending_at(values.logits, graph)
    return Model(
        printable(path.stem), graph, values.weights, None, f"imported from {network.file}",
        weights_from=network.file, source=str(path),
        inference=inference, notes=_notes(values), origin=_origin(values, path),
    )  # fmt: skip


def _origin(values: Values, path: Path) -> Origin:
    network, made = values.network, values.weights | values.bias_scales
    moved = tuple(Moved(tuple(names), channels) for names, channels in values.made_safe.values())
    return Origin(
        TFLITE, network.file, values.origins_of_parameters(), made, moved=moved, path=path, digest=network.digest
    )


def _before(values: Values, path: Path, sound: int) -> Model | None:
    """The network of the first `sound` nodes, those before any obstacle."""
    nodes = values.build.nodes[:sound]
    if not nodes:
        return None
    graph = values.build.graph(values.build.value(nodes[-1].results[0])).with_nodes(nodes)
    parameters = tuple(name for name in graph.parameters if graph.analysis.readers[name])
    graph = replace(graph, inputs=graph.inputs[:1], parameters=parameters)
    weights = {name: values.weights[name] for name in parameters}
    try:
        graph = verify(graph.with_nodes(nodes))
    except (GraphError, ShapeError):
        return None
    return Model(printable(path.stem), graph, weights, None, "", weights_from=values.network.file, source=str(path))


def _notes(values: Values) -> tuple[str, ...]:
    """What a user of a hybrid file should know: int8 or float16 weights under float32 activations."""
    if not values.narrow:
        return ()
    stored = " and ".join(values.narrow)
    note = f"{values.network.file} stores weights as {stored} and computes in float32 (a hybrid file)"
    note += ": they are read, trained and measured as the float32 numbers they stand for, four bytes each"
    return (f"{note}; converted with inference_input_type=tf.int8 it would be an int8 network",)

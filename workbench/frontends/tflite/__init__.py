"""TensorFlow Lite files as networks: `load("kws.tflite")`, int8 or float32.

    file                             network
    (N, H, W, C), filters OHWI       (N, C, H, W), filters OIHW
    (N, H·W·C) of an image           (N, C·H·W); the dense layer behind it has its columns reordered
    fused activation                 int8: the clip of qnn.conv2d, qnn.add, …; float32: nn.relu, nn.relu6
    PAD                              padding of the convolutions that read it
    SOFTMAX at the end               left out of `graph`, which ends at the logits; in `inference` it is there

int8 layers are rescaled as TensorFlow Lite Micro does it, to the bit: form="tflite". Newer builds of TensorFlow Lite
for desktops round once instead of twice, as form="rounded" does. int8 weights of a float32 layer (a hybrid file) are
taken as the real numbers they stand for, and the network's notes say so: trained they must be real numbers. Desktops
also quantize the layer's input on the fly, each kernel in a way of its own.
"""

from pathlib import Path

from workbench.errors import GraphError, ModelError, ShapeError
from workbench.frontends.model import Model
from workbench.frontends.tflite.file import Network, Operator, read
from workbench.frontends.tflite.operators import OPERATORS
from workbench.frontends.tflite.values import Held, Values, nchw
from workbench.ir.verify import verify
from workbench.plain import printable

__all__ = ["OPERATORS", "load"]


def load(path: str | Path, batch: int = 1, form: str = "tflite") -> Model:
    """The network in a .tflite file, for `batch` samples at once, called by the file's stem.

    Inputs and outputs of four axes are NCHW. Raises ModelError for a file that cannot be read, and for an operator that
    is not supported: one line with its name, its number and the file.
    """
    return _network(Values(read(path), form), Path(path)).with_batch(batch)


def _network(values: Values, path: Path) -> Model:
    network, build = values.network, values.build
    values.declare_input()
    for op in network.operators:
        _convert(values, op)
    if len(network.outputs) != 1:
        raise ModelError(f"{network.file} has {len(network.outputs)} outputs; a network has one")
    graph, inference = build.graph(values.in_order(values.made(network.outputs[0]))), None
    if values.logits:
        logits, count = values.logits
        graph, inference = graph.with_nodes(graph.nodes[:count], (logits.name,)), verify(graph)
    return Model(
        printable(path.stem), verify(graph), values.weights, None, f"imported from {network.file}",
        weights_from=network.file, source=str(path),
        inference=inference, notes=_notes(values),
    )  # fmt: skip


def _notes(values: Values) -> tuple[str, ...]:
    """What a user of a hybrid file should know: int8 or float16 weights under float32 activations."""
    if not values.narrow:
        return ()
    stored = " and ".join(values.narrow)
    note = f"{values.network.file} stores weights as {stored} and computes in float32 (a hybrid file)"
    note += ": they are read, trained and measured as the float32 numbers they stand for, four bytes each"
    return (f"{note}; converted with inference_input_type=tf.int8 it would be an int8 network",)


def _convert(values: Values, op: Operator) -> None:
    network, where = values.network, values.network.where(op)
    if op.name not in OPERATORS:
        before = f"; everything before operator {op.number} imported" if op.number else ""
        raise ModelError(f"{where} is not supported", f"`workbench ops --frontend tflite` lists what is{before}")
    if len(op.outputs) != 1 or not op.inputs:
        raise ModelError(f"{where} has {len(op.inputs)} operands and {len(op.outputs)} results")
    if op.outputs[0] in values.held or op.outputs[0] in values.constants:
        raise ModelError(f"{where} makes a tensor that is there already")
    try:
        made = OPERATORS[op.name].convert(values, op)
    except (ShapeError, GraphError) as error:
        raise ModelError(f"{where}: {error.message}") from None
    if made is not None:
        _check_result(network, op, made)
        values.held[op.outputs[0]] = made


def _check_result(network: Network, op: Operator, made: Held) -> None:
    tensor, kind = network.tensors[op.outputs[0]], made.value.type
    wanted = nchw(tensor.shape)
    if made.shape != wanted or kind.dtype.upper() != tensor.dtype:
        raise ModelError(f"{network.where(op)} makes {kind.dtype} {made.shape}; the file says {tensor.dtype} {wanted}"
                         f"{' (as NCHW)' if len(wanted) == 4 else ''}")  # fmt: skip

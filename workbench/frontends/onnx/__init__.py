"""ONNX files as networks: `load("net.onnx")`, float32, opset 13 to the newest that the package onnx knows.

file                                network
initializers, by name               the same names, with _ for what a name cannot have
BatchNormalization                  a scale and a shift, with frozen statistics
trained weights                     the same tensors again (see origin.py)
MatMul and Add of a constant        a dense layer and its bias
what depends on constants alone     its value
Dropout                             nothing
softmax, sigmoid at the end         left out of `graph`, which ends at the logits; in `inference` it is there
the input's first axis              the batch: whatever the file says, the network is for as many as are asked for
"""

from collections.abc import Sequence
from pathlib import Path

from workbench.errors import ModelError
from workbench.frontends.emitter import for_any_batch
from workbench.frontends.model import Model, ending_at, require_finite
from workbench.frontends.obstacles import Obstacle, Unsupported
from workbench.frontends.onnx.file import Network, read
from workbench.frontends.onnx.network import Reading
from workbench.frontends.onnx.operators import OPERATORS
from workbench.frontends.onnx.origin import origin
from workbench.ir.build import Value
from workbench.ir.graph import Graph
from workbench.plain import printable

__all__ = ["OPERATORS", "load"]


def load(path: str | Path, batch: int = 1, shape: Sequence[int] | None = None) -> Model:
    """The network in an .onnx file, for `batch` samples at once, called by the file's stem.

    `shape`: of a sample, where the file leaves sizes open.
    Raises ModelError for a file that cannot be read; Unsupported, which names every obstacle of it, for one that is no
    network that can be trained.
    """
    path = Path(path)
    network = read(path)
    reading, output = _read(network, None, shape)
    if reading.obstacles or output is None:
        raise Unsupported(path, network.file, reading.obstacles)
    if (told := reading.batch_told) != batch:
        reading, output = _read(network, batch, shape)
        if reading.obstacles or output is None:
            raise ModelError(f"{network.file} is for {told} samples at once, and cannot be for {batch}: "
                             f"{next(map(str, reading.obstacles), '')}", f"--batch {told}, or a file with a first axis "
                             "of any size")  # fmt: skip
    graph = reading.emit.build.graph(output)
    twice, of_twice = _read(network, 2 * batch, shape)
    if of_twice is not None and not twice.obstacles:
        graph = for_any_batch(graph, twice.emit.build.graph(of_twice))
    graph, inference = ending_at(reading.logits, graph)
    weights = {name: reading.emit.weights[name] for name in graph.parameters}
    require_finite(network.file, weights)
    return Model(
        printable(path.stem), graph, weights, None, f"imported from {network.file}",
        weights_from=network.file, source=str(path), inference=inference,
        notes=(*_hybrid(reading, graph), *reading.notes), origin=origin(reading, path, weights),
    )  # fmt: skip


def _hybrid(reading: Reading, graph: Graph) -> tuple[str, ...]:
    """What a user should know of whole numbers that are read as real ones."""
    real = {name for name in graph.parameters if graph.types[name].dtype == "float32"}
    narrow = sorted({str(each.values.dtype) for each in reading.stored.values() if each.name in real})
    if not narrow:
        return ()
    return (f"{reading.network.file} stores weights as {' and '.join(narrow)} and computes in float32: they are read, "
            "trained and measured as the float32 numbers they stand for, four bytes each",)  # fmt: skip


def _read(network: Network, batch: int | None, shape: Sequence[int] | None) -> tuple[Reading, Value | None]:
    reading = Reading(network, batch, shape).read()
    return reading, _output(reading)


def _output(reading: Reading) -> Value | None:
    """What the network gives; None where that comes of an obstacle."""
    network, obstacles = reading.network, reading.obstacles
    for what, tensors in (("inputs", network.inputs), ("outputs", network.outputs)):
        if len(tensors) != 1:
            names = " and ".join(f'"{printable(each.name)[:60]}"' for each in tensors[:4])
            obstacles.append(Obstacle(f" has {len(tensors)} {what}{', ' * bool(names)}{names}; a network has one"))
    if len(network.outputs) != 1:
        return None
    (result,) = reading.outputs()
    name = network.outputs[0].name
    if result is None and name not in reading.unknown:
        obstacles.append(Obstacle(f': the output, "{printable(name)[:60]}", is made by nothing'))
    elif result is not None and not isinstance(result, Value):
        obstacles.append(Obstacle(" gives what does not depend on its input"))
    elif isinstance(result, Value) and result.name in reading.emit.build.inputs and not obstacles:
        obstacles.append(Obstacle(" gives its input as it is"))
    elif isinstance(result, Value) and not obstacles and result.shape[:1] != (reading.batch_told,):
        obstacles.append(Obstacle(f" gives {result.shape}, whose first axis is not the batch of {reading.batch_told}"))
    elif isinstance(result, Value):
        return reading.emit.build.reshape(result, newshape=(*result.shape, 1)) if result.rank == 1 else result
    return None

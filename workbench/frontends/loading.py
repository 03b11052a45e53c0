"""A network by name or by file: the one place that decides where it comes from.

lenet            built in                           lenet-int8       the same, by post-training quantization
NAME.json        int8 layers, weights beside it     (LOADERS: suffix of a file -> who reads it)
mynet.py:net     a Model in a Python file, or a function that returns one (see python_file); mynet.py:net-int8
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import signature
from math import prod
from numbers import Integral
from pathlib import Path
from types import ModuleType

import numpy as np

from workbench import data
from workbench.data import Data
from workbench.errors import GraphError, ModelError, ShapeError, meant, shown
from workbench.frontends import mcu_json, python_file
from workbench.frontends.model import LARGEST_TENSOR, Model
from workbench.frontends.zoo import ZOO
from workbench.ir.types import Ints
from workbench.objective import MSE, VALUES, objective
from workbench.quantize import room
from workbench.quantize.post_training import quantized


def _tflite(path: str | Path, batch: int) -> Model:
    from workbench.frontends import tflite  # loads the schema's reader

    return tflite.load(path, batch)


def _pt2(path: str | Path, batch: int) -> Model:
    return frontend("torch", path).load(path, batch)


def _weights_alone(path: str | Path, batch: int) -> Model:
    raise ModelError(f"{path} holds weights alone, or a pickled module, which may run code",
                     "mynet.py:Net is a module in a Python file, --load-weights gives it the weights; "
                     "torch.export.save writes a .pt2, which holds both")  # fmt: skip


def _onnx(path: str | Path, batch: int, shape: Ints | None = None) -> Model:
    return frontend("onnx", path).load(path, batch, shape)


def frontend(name: str, path: str | Path | None = None) -> ModuleType:
    """workbench.frontends.NAME, which may import a package that the workbench does without; `path`: for what file."""
    try:
        return import_module(f"workbench.frontends.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("workbench"):
            raise
        where, what = "" if path is None else f"{path}: ", {"onnx": "ONNX", "torch": "PyTorch"}.get(name, name)
        raise ModelError(f"{where}{what} is not installed", f"pip install 'workbench[{name}]'; in a checkout: "
                         f"./workbench.sh setup {name}") from None  # fmt: skip


LOADERS: dict[str, Callable[..., Model]] = {
    ".json": mcu_json.load,
    ".onnx": _onnx,
    ".pt2": _pt2,
    ".tflite": _tflite,
}  # called with path and batch
REFUSED: dict[str, Callable[..., Model]] = dict.fromkeys((".pt", ".pth"), _weights_alone)
INT8 = "-int8"  # behind the name of a float network
CALIBRATION = 256  # samples that are enough to see the range of every value


def names() -> tuple[str, ...]:
    """The built-in networks."""
    return tuple(ZOO)


def load(name: str | Path, batch: int = 1, seed: int = 0, classes: int | None = None,
         shape: str | Sequence[int] | None = None) -> Model:  # fmt: skip
    """The built-in network `name`, or the one in the file of this name, for `batch` samples at once; `mynet.py:net` is
    called `net` in a Python file.

    `classes`: how many it has, where it leaves that open (None: as many as it has by itself). `shape`: of a sample,
    (1, 28, 28) or "1x28x28", where an .onnx file leaves it open. Raises ModelError that lists what there is.
    """
    if not isinstance(name, str | Path):
        raise ModelError(f"a network is loaded by its name or file; got {shown(name)}")
    if not _whole(batch, 1):
        raise ModelError(f"a batch is a whole number of samples, at least one; got {batch!r}")
    if not _whole(seed, 0):
        raise ModelError(f"a seed is a whole number of 0 or more; got {shown(seed)}")
    if classes is not None and not _whole(classes, 1):
        raise ModelError(f"classes is a whole number of 1 or more; got {shown(classes)}")
    seed, classes = int(seed), None if classes is None else int(classes)
    path, name = name, str(name)
    reader = _reader(name) or (_reader(name.removesuffix(INT8)) if name.endswith(INT8) else None)
    if shape is not None:
        reader = _of_shape(name, reader, shape)
    if reader and not name.endswith(INT8):
        return _loaded(name, reader, classes, path, int(batch))
    if python_file.split(name):
        return _of_python(name, int(batch), seed, classes)
    if name in ZOO:
        return _loaded(name, ZOO[name], classes, batch=int(batch), seed=seed)
    if reader:
        return replace(in_int8(_loaded(name, reader, classes, name.removesuffix(INT8), int(batch))), source=name)
    ending = Path(name).suffix
    if re.fullmatch(r"\.[A-Za-z]\w*", ending):  # w0.35 ends in no suffix
        raise ModelError(
            f"{name}: no network is read from {ending} files",
            f"{meant(ending, LOADERS)}there are files ending in {', '.join(LOADERS)}, Python files (mynet.py:net) "
            "and the networks of `workbench models`",
        )
    of = ZOO.get(name.removesuffix(INT8)) if name.endswith(INT8) else None
    if of is None:
        floats = [own for own in ZOO if not _leaves_classes_open(ZOO[own])]  # the others are int8 already
        all_names = [*ZOO, *(f"{own}{INT8}" for own in floats)]
        raise ModelError(
            f"no network is called {name!r}",
            f"{_meant_file(name) or meant(name, all_names)}"
            f"there are {', '.join(ZOO)}, NAME{INT8} for a float32 one quantized, files ending in "
            f"{', '.join(LOADERS)}, and mynet.py:net; `workbench models` tells more",
        )
    return in_int8(_loaded(name, of, classes, batch=int(batch), seed=seed))


def _meant_file(name: str) -> str:
    """For who types mynet:net, as of a module."""
    module, _, member = name.partition(":")
    path = f"{module}{python_file.SUFFIX}"
    return f"did you mean {path}{':' * bool(member)}{member}? " if module and os.path.isfile(path) else ""


def called(name: str | Path) -> str:
    """What a network that `load` takes is called: one in a file by its stem, `net` of mynet.py mynet.net."""
    if reference := python_file.split(name):
        return python_file.called(*reference)
    plain = str(name).removesuffix(INT8)
    return f"{Path(plain).stem}{INT8 * (plain != str(name))}" if _reader(plain) else str(name)


def _of_shape(name: str, reader: Callable[..., Model] | None, shape: str | Sequence[int]) -> Callable[..., Model]:
    """The reader, told the shape of a sample."""
    if reader is None or "shape" not in signature(reader).parameters:
        raise ModelError(f"{name} says itself what it reads", "--shape is for .onnx files that leave sizes open")
    try:
        sizes = tuple(int(size) for size in (re.split("[x,]", shape) if isinstance(shape, str) else shape))
    except (TypeError, ValueError):
        sizes = ()
    if not sizes or not all(0 < size <= LARGEST_TENSOR for size in sizes):
        raise ModelError(f"a shape is that of a sample, without the batch, such as 1x28x28; got {shown(shape)}")
    return partial(reader, shape=sizes)


def _whole(value, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def _reader(name: str | Path) -> Callable[..., Model] | None:
    return (LOADERS | REFUSED).get(Path(name).suffix.lower())


def _of_python(name: str, batch: int, seed: int, classes: int | None) -> Model:
    """The network that `name` refers to; NAME-int8 is the same, quantized after training."""
    path, member = python_file.split(name) or (Path(name), "")
    make = python_file.maker(path, member.removesuffix(INT8))
    takes = signature(make).parameters
    if "classes" in takes and takes["classes"].default is takes["classes"].empty and classes is None:
        raise ModelError(f"{name} needs to know how many classes it has", "--classes N, or a default in the function")
    how = {what: value for what, value in (("batch", batch), ("seed", seed)) if what in takes}
    model = _loaded(name, make, classes, **how)
    if model.batch != batch:
        try:
            model = model.with_batch(batch)
        except (ShapeError, GraphError, ModelError) as error:
            raise ModelError(f"{name} cannot be made for a batch of {batch}: {error.message}",
                             "a function with the parameter `batch` can make it so") from None  # fmt: skip
    return replace(in_int8(model) if member.endswith(INT8) else model, source=name)


def in_int8(model: Model, samples: np.ndarray | Data | None = None, loss: str | None = None) -> Model:
    """The float32 network quantized, calibrated on `samples`, (n, …) or Data: its own data set unless given.

    One that is not trained yet gets room for what training under `loss` will come to (see quantize/room). It is called
    NAME-int8 and remembers what it was made of. Raises ModelError for what has no int8 form.
    """
    if not isinstance(model, Model):
        raise ModelError(f"a Model is quantized; got {shown(model)}", "load gives one by its name")
    kind = model.graph.types[model.graph.inputs[0]]
    if kind.dtype != "float32":
        raise ModelError(f"{model.name} is quantized already")
    samples = _own_samples(model) if samples is None else samples
    typical = _calibrating(samples.typical if isinstance(samples, Data) else samples, kind.shape[1:])
    wide = model.with_batch(len(typical))
    output = _output_range(model, samples, loss)
    graph, weights = quantized(wide.graph, wide.weights, typical[None], model.untrained, output)
    small = Model(f"{model.name}{INT8}", graph, weights, model.data, f"{model.about}; int8",
                  pretrained=model.pretrained)  # fmt: skip
    return replace(small.with_batch(model.batch), weights_from=model.weights_from, unquantized=model)


def _output_range(model: Model, samples, loss: str | None) -> room.Range | None:
    """What the output has to say to these samples: scores of classes or probabilities, or the targets themselves."""
    if not isinstance(samples, Data):
        return room.LOGITS if model.classifies else None
    aim = objective(samples.target, loss or samples.usual_loss)
    if aim.loss != MSE:
        return room.LOGITS
    targets = samples.train_y if samples.target == VALUES else samples.train_x
    return float(targets.min()), float(targets.max())


def _calibrating(samples, shape: tuple[int, ...]) -> np.ndarray:
    """Some of the samples, in the shape that the network takes."""
    values = np.asarray(samples)
    fit = values.ndim and len(values) and values.dtype.kind in "fiub" and values[0].size == prod(shape)
    if not fit or not np.isfinite(values).all():
        raise ModelError(f"samples to calibrate with are finite numbers (n, {', '.join(map(str, shape))}); got "
                         f"{values.dtype} {values.shape}")  # fmt: skip
    return values[:CALIBRATION].reshape(-1, *shape)


def _own_samples(model: Model) -> np.ndarray | Data:
    """What it trains on; random ones where it has no data set."""
    if model.data is not None:
        return data.resolved(model.data, model.wanted, data.Reading())
    shape = model.graph.types[model.graph.inputs[0]].shape[1:]
    return np.random.default_rng(0).random((CALIBRATION, *shape), np.float32)


def _loaded(name: str, make: Callable[..., Model], classes: int | None, *arguments, **how) -> Model:
    if classes is None:
        return make(*arguments, **how)
    if _leaves_classes_open(make):
        return make(*arguments, **how, classes=classes)
    model = make(*arguments, **how)
    has = "has no classes"
    if model.classifies:
        count = model.graph.types[model.graph.outputs[0]].shape[1]
        has = f"has {count} classes, fixed by its {'data set' if model.data else 'weights'}"
    open_ones = ", ".join(own for own in ZOO if _leaves_classes_open(ZOO[own]))
    raise ModelError(f"{name} {has}", f"--classes is for networks that leave it open: {open_ones}, .json files, and "
                     "functions with the parameter `classes`")  # fmt: skip


def _leaves_classes_open(make: Callable[..., Model]) -> bool:
    return "classes" in signature(make).parameters

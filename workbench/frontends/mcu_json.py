"""Networks of "On-Device Training Under 256KB Memory" from a JSON of their layers and an NPZ of their int8 weights.

NAME.json: `convs` in order (sizes, scales, zero points), `blocks` (names of their convs; where a residual ends),
`residual_adds`, `sparse_policies`. NAME.npz: LAYER.weight int8 OIHW, LAYER.bias int32, LAYER.weight_scale float32.
The last conv is the classifier; of its rows the first `classes` are taken.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from workbench import files
from workbench.errors import GraphError, ModelError, ShapeError, shown
from workbench.frontends.model import LARGEST_TENSOR, Model
from workbench.frontends.zoo.mcu import CLASSES, sparse_policies
from workbench.ir.build import Builder, Value
from workbench.ir.verify import NAME, verify
from workbench.plain import printable
from workbench.quantize import emit
from workbench.quantize.quantization import Quantization
from workbench.quantize.safe_channels import SCALES, safe_channels

PARTS = {"weight": np.int8, "bias": np.int32, "weight_scale": np.float32}  # of a layer, as the NPZ has them
SHOWN = 60  # letters of a value, in messages
LARGEST_FILE, MOST_LAYERS = 4 * files.MB, 2000


def _whole(value, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _number(value, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


KINDS: dict[str, Callable[..., bool]] = {  # what the JSON is expected to hold
    "a name of letters, digits, _ . - and /": lambda value: isinstance(value, str) and bool(NAME.fullmatch(value)),
    "a text or null": lambda value: value is None or isinstance(value, str),
    "an object": lambda value: isinstance(value, dict),
    "a list of objects": lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
    "a list of texts": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "a shape like [1, 3, 128, 128]": lambda value: (
        isinstance(value, list) and len(value) == 4 and all(_whole(size, 1, LARGEST_TENSOR) for size in value)
    ),
    "a positive whole number": lambda value: _whole(value, 1, LARGEST_TENSOR),
    "a whole number of 0 or more": lambda value: _whole(value, 0, LARGEST_TENSOR),
    "a zero point from -128 to 127": lambda value: _whole(value, -128, 127),
    "a scale that int8 can have, a positive number": lambda value: _number(value, *SCALES),
    "a fraction from 0 to 1": lambda value: _number(value, 0, 1),
}
SIZE, SCALE, ZERO = (
    "a positive whole number",
    "a scale that int8 can have, a positive number",
    "a zero point from -128 to 127",
)
NETWORK = {"input": "an object", "convs": "a list of objects", "blocks": "a list of objects",
           "residual_adds": "a list of objects", "sparse_policies": "an object"}  # fmt: skip
INPUT = {"shape": "a shape like [1, 3, 128, 128]", "scale": SCALE, "zero_point": ZERO}
NAMED = "a name of letters, digits, _ . - and /"
CONV = {"name": NAMED, "in_channels": SIZE, "out_channels": SIZE, "kernel": SIZE, "stride": SIZE, "groups": SIZE,
        "padding": "a whole number of 0 or more",
        "x_scale": SCALE, "x_zero_point": ZERO, "y_scale": SCALE, "y_zero_point": ZERO}  # fmt: skip
BLOCK = {"convs": "a list of texts", "residual": "a text or null"}
ADD = {"name": NAMED, "params": "an object"}
SUM = {"y_scale": SCALE, "y_zero": ZERO}
POLICY = {"n_bias_update": "a whole number of 0 or more", "weight_update": "an object"}


def load(path: str | Path, batch: int = 1, classes: int = CLASSES) -> Model:
    """The network in `path` with its weights. Raises ModelError for a file that is missing, truncated or no network."""
    path = Path(path)
    network = _read(path)
    with _naming(path):
        reader = _Reader(network, batch, classes)
    arrays = _arrays(path, reader.elements)
    with _naming(path):
        return reader.model(path, arrays)


@contextmanager
def _naming(path: Path):
    try:
        yield
    except (ModelError, ShapeError, GraphError) as error:
        raise ModelError(f"{path.name}: {error.message}", error.hint) from None


@contextmanager
def _fitting(layer: str):
    """Raise ModelError that names the layer whose operands do not fit each other."""
    try:
        yield
    except ShapeError as error:
        raise ModelError(f"{layer}: {error.message}", error.hint) from None


def _read(path: Path) -> dict:
    try:
        content = files.read_json(path, LARGEST_FILE)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", f"name a .json file with {path.stem}.npz beside it") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not whole JSON: {_line(error)}", "get or write it again") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds no object", "a network is an object of input, convs, blocks and so on")
    return content


def _arrays(path: Path, elements: Mapping[str, int]) -> dict[str, np.ndarray]:
    weights = path.with_suffix(".npz")
    try:
        return files.read_arrays(weights, elements)
    except FileNotFoundError:
        raise ModelError(f"{weights} is missing", f"{path.name} needs it beside it: it holds the weights") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{weights} is not a whole .npz: {_line(error)}",
                         f"get or write it again: it holds the weights of {path.name}") from None  # fmt: skip


def _line(error: Exception) -> str:
    return getattr(error, "strerror", None) or (str(error) or type(error).__name__).splitlines()[0]


def _require(where: str, fields: Mapping, kinds: Mapping[str, str]) -> None:
    """Raise ModelError for a field that is missing or not of its kind; `where` is what the fields are of."""
    for field, kind in kinds.items():
        what = f"{where}: {field}" if where else field
        if field not in fields:
            raise ModelError(f"{what} is missing; expected {kind}")
        if not KINDS[kind](fields[field]):
            raise ModelError(f"{what} is {_short(fields[field])}; expected {kind}")


def _short(value) -> str:
    try:
        text = json.dumps(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of thousands of digits
        return shown(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _by_name(what: str, items: list[dict], kinds: Mapping[str, str]) -> dict[str, dict]:
    """The items of a list by their names, each of them what it should be."""
    named: dict[str, dict] = {}
    if len(items) > MOST_LAYERS:
        raise ModelError(f"{what} holds {len(items)}, more than a network for a microcontroller has")
    for number, item in enumerate(items):
        name = item.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            name = f"{what}[{number}]"
        _require(name, item, kinds)
        if name in named:
            raise ModelError(f"{what}[{number}] is called {name}, as another one before it")
        named[name] = item
    return named


class _Reader:
    """Makes the graph, layer by layer, of what the JSON says; what is wrong with it is told by the field's name."""

    def __init__(self, network: dict, batch: int, classes: int):
        self.network, self.classes = network, classes
        _require("", network, NETWORK)
        _require("input", network["input"], INPUT)
        self.convs = _by_name("convs", network["convs"], CONV)
        if len(self.convs) < 2:
            raise ModelError(
                f"convs holds {len(self.convs)}; expected a first one, those of the blocks, and a classifier"
            )
        self.adds = _by_name("residual_adds", network["residual_adds"], ADD)
        for number, block in enumerate(network["blocks"]):
            _require(f"blocks[{number}]", block, BLOCK)
        if (count := sum(len(block["convs"]) + bool(block["residual"]) for block in network["blocks"])) > MOST_LAYERS:
            raise ModelError(f"blocks name {count} layers, more than a network for a microcontroller has")
        self.elements = self._elements()
        self.arrays: dict[str, np.ndarray] = {}
        self.build = Builder()
        self.weights: dict[str, np.ndarray] = {}
        shape = (batch, *network["input"]["shape"][1:])
        self.input = self.build.input("input0", shape, "int8", scale=network["input"]["scale"],
                                      zero_point=network["input"]["zero_point"])  # fmt: skip

    def _elements(self) -> dict[str, int]:
        """How many elements each stored array has."""
        elements: dict[str, int] = {}
        for name, layer in self.convs.items():
            weights = layer["out_channels"] * layer["in_channels"] // layer["groups"] * layer["kernel"] ** 2
            elements |= {f"{name}.weight": weights, f"{name}.bias": layer["out_channels"]}
            elements[f"{name}.weight_scale"] = layer["out_channels"]
        if sum(elements.values()) > LARGEST_TENSOR:
            raise ModelError("its weights are more than a network for a microcontroller has")
        return elements

    def model(self, path: Path, arrays: dict[str, np.ndarray]) -> Model:
        self.arrays = arrays
        names = list(self.convs)
        x = self.conv(self.input, names[0])
        if self.input.type.elements > LARGEST_TENSOR:
            raise ModelError(f"it reads {self.input.type}, more than a network for a microcontroller has")
        for block in self.network["blocks"]:
            before = x
            for name in block["convs"]:
                x = self.conv(x, name)
            if block["residual"]:
                x = self.residual(before, x, block["residual"])
        x = emit.average(self.build, x, Quantization.of(x.type), label="pool")
        x = self.build.batch_flatten(self.conv(x, names[-1], self.classes), label="flatten")
        about = f"{len(names)} int8 convolutions, {self.classes} classes, from {printable(path.name)}"
        graph = verify(self.build.graph(x))
        policies = sparse_policies(
            {name: _sparse(name, policy) for name, policy in self.network["sparse_policies"].items()}
        )
        return Model(
            printable(path.stem), graph, self.weights, None, about,
            weights_from=printable(path.name), policies=policies,
        )  # fmt: skip

    def conv(self, x: Value, name: str, rows: int | None = None) -> Value:
        layer = self.convs.get(name)
        if layer is None:
            raise ModelError(f"blocks names {name[:SHOWN]}, which convs does not hold")
        if abs(x.type.scale / layer["x_scale"] - 1) > 1e-6 or x.type.zero_point != layer["x_zero_point"]:
            reads = f"scale {layer['x_scale']}, zero point {layer['x_zero_point']}"
            raise ModelError(f"{name} reads {reads}; what is before it gives {x.type.scale}, {x.type.zero_point}")
        w, b, s = (values[:rows] for values in self._stored(name, layer, rows or 0))
        w, b, s = safe_channels(w, b, s, layer["x_scale"] / layer["y_scale"])
        weight, bias, scales = (
            emit.parameter(self.build, self.weights, f"{name}.{part}", values)  # once, if blocks name it twice
            for part, values in (("weight", w), ("bias", b), ("weight_scale", s))
        )
        of_y = Quantization(layer["y_scale"], layer["y_zero_point"])
        with _fitting(name):
            y = emit.layer(self.build, x, weight, bias, scales, of_y, strides=(layer["stride"],) * 2,
                           padding=(layer["padding"],) * 4, groups=layer["groups"], label=name)  # fmt: skip
        if y.type.elements > LARGEST_TENSOR:
            raise ModelError(f"{name} makes {y.type}, more than a network for a microcontroller has")
        return y

    def _stored(self, name: str, layer: dict, rows: int) -> list[np.ndarray]:
        """Weight, bias and scales of a layer of at least `rows` rows, each of them what it should be."""
        outputs, kernel, stored = layer["out_channels"], (layer["kernel"],) * 2, []
        if outputs % layer["groups"] or layer["in_channels"] % layer["groups"]:
            raise ModelError(f"{name}: groups is {layer['groups']}; expected a divisor of in_channels "
                             f"{layer['in_channels']} and out_channels {outputs}")  # fmt: skip
        if rows > outputs:
            raise ModelError(f"it has {outputs} classes; {rows} are asked for", f"--classes takes up to {outputs}")
        for part, dtype in PARTS.items():
            values = self.arrays.get(f"{name}.{part}")
            wanted = (outputs, layer["in_channels"] // layer["groups"], *kernel) if part == "weight" else (outputs,)
            if values is None or values.dtype != dtype or values.shape != wanted:
                actual = "is missing" if values is None else f"is {values.dtype} {values.shape}"
                raise ModelError(f"{name}.{part} {actual}; the layer needs {np.dtype(dtype)} {wanted}")
            stored.append(values)
        if not ((stored[2] >= SCALES[0]) & (stored[2] <= SCALES[1])).all():
            raise ModelError(f"{name}.weight_scale holds scales that int8 cannot have: they are positive numbers")
        return stored

    def residual(self, a: Value, b: Value, name: str) -> Value:
        if name not in self.adds:
            raise ModelError(f"blocks names {name[:SHOWN]}, which residual_adds does not hold")
        params = self.adds[name]["params"]
        _require(f"{name}: params", params, SUM)
        scales = Quantization.of(a.type), Quantization.of(b.type)
        of_y = Quantization(params["y_scale"], params["y_zero"])
        with _fitting(name):
            return emit.of_two(self.build, "add", (a, b), scales, of_y, label=name)


def _sparse(name: str, policy) -> tuple[int, dict[int, float]]:
    """A policy of the JSON: biases of the last so many convolutions, and of which a fraction of the weight."""
    where = f"sparse_policies: {name}"
    _require("sparse_policies", {name: policy}, {name: "an object"})
    _require(where, policy, POLICY)
    for conv, part in policy["weight_update"].items():
        if not re.fullmatch(r"\d{1,9}", conv):
            raise ModelError(f"{where}: weight_update names {conv!r}; expected the number of a convolution, from 0")
        _require(f"{where}: weight_update", {conv: part}, {conv: "a fraction from 0 to 1"})
    return policy["n_bias_update"], {int(conv): part for conv, part in policy["weight_update"].items()}

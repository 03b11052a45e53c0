"""Networks of "On-Device Training Under 256KB Memory" from a JSON of their layers and an NPZ of their int8 weights.

NAME.json: `convs` in order (sizes, scales, zero points), `blocks` (names of their convs; where a residual ends),
`residual_adds`, `sparse_policies`. NAME.npz: LAYER.weight int8 OIHW, LAYER.bias int32, LAYER.weight_scale float32.
The last conv is the classifier; of its rows the first `classes` are taken.
"""

import json
import zipfile
from pathlib import Path

import numpy as np

from workbench.errors import GraphError, ModelError, ShapeError
from workbench.frontends.model import Model
from workbench.frontends.zoo.mcu import CLASSES, sparse_policies
from workbench.ir.build import Builder, Value
from workbench.ir.verify import verify
from workbench.quantize.safe_channels import SCALES, safe_channels

PARTS = {"weight": np.int8, "bias": np.int32, "weight_scale": np.float32}  # of a layer, as the NPZ has them
LARGEST_TENSOR = 1 << 26  # elements


def load(path: str | Path, batch: int = 1, classes: int = CLASSES) -> Model:
    """The network in `path` with its weights. Raises ModelError for a file that is missing, truncated or no network."""
    path = Path(path)
    told, arrays = _read(path)
    try:
        return _Reader(told, arrays, batch, classes).model(path)
    except (ModelError, ShapeError, GraphError) as error:
        raise ModelError(f"{path.name}: {error.message}", error.hint) from None
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, ArithmeticError) as error:
        raise ModelError(
            f"{path}: {type(error).__name__} at {error}: it does not describe a network of this kind"
        ) from None


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    weights = path.with_suffix(".npz")
    try:
        told = json.loads(path.read_text())
        with np.load(weights, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except FileNotFoundError as error:
        raise ModelError(f"{error.filename} is missing", f"{path.name} needs {weights.name} beside it") from None
    except (OSError, ValueError, EOFError, RecursionError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} or {weights.name} is not whole: {str(error).splitlines()[0]}") from None
    if not isinstance(told, dict):
        raise ModelError(f"{path}: holds no object")
    return told, arrays


class _Reader:
    def __init__(self, told: dict, arrays: dict[str, np.ndarray], batch: int, classes: int):
        self.told, self.arrays, self.classes = told, arrays, classes
        self.convs = {conv["name"]: conv for conv in told["convs"]}
        self.adds = {add["name"]: add["params"] for add in told["residual_adds"]}
        self.build, self.weights = Builder(), {}
        shape = (batch, *told["input"]["shape"][1:])
        quantization = {"scale": told["input"]["scale"], "zero_point": told["input"]["zero_point"]}
        self.input = self.build.input("input0", shape, "int8", **quantization)

    def model(self, path: Path) -> Model:
        names = list(self.convs)
        x = self.conv(self.input, names[0])
        for block in self.told["blocks"]:
            before = x
            for name in block["convs"]:
                x = self.conv(x, name)
            if block["residual"]:
                x = self.residual(before, x, block["residual"])
        same = {"x_scale": x.type.scale, "y_scale": x.type.scale}
        zero = {"x_zero_point": x.type.zero_point, "y_zero_point": x.type.zero_point}
        x = self.build.op("qnn.avg_pool2d", x, pool_size=x.shape[2:], **same, **zero, label="pool")
        x = self.build.batch_flatten(self.conv(x, names[-1], self.classes), label="flatten")
        about = f"{len(names)} int8 convolutions, {self.classes} classes, from {path.name}"
        graph = verify(self.build.graph(x))
        policies = sparse_policies(
            {
                name: (policy["n_bias_update"], {int(i): part for i, part in policy["weight_update"].items()})
                for name, policy in self.told["sparse_policies"].items()
            }
        )
        return Model(path.stem, graph, self.weights, None, about, weights_from=path.name, policies=policies)

    def conv(self, x: Value, name: str, rows: int | None = None) -> Value:
        told = self.convs[name]
        quantization = {key: told[key] for key in ("x_scale", "x_zero_point", "y_scale", "y_zero_point")}
        if not all(SCALES[0] <= told[key] <= SCALES[1] for key in ("x_scale", "y_scale")):
            raise ModelError(f"{name} has scales {told['x_scale']} and {told['y_scale']}, which int8 cannot have")
        if abs(x.type.scale / told["x_scale"] - 1) > 1e-6 or x.type.zero_point != told["x_zero_point"]:
            raise ModelError(f"{name} reads scale {told['x_scale']}, zero point {told['x_zero_point']}; what is before "
                             f"it gives {x.type.scale}, {x.type.zero_point}")  # fmt: skip
        quantization["x_scale"] = x.type.scale
        w, b, s = (values[:rows] for values in self._stored(name, told, rows or 0))
        kernel = w.shape[2:]
        w, b, s = safe_channels(w, b, s, told["x_scale"] / told["y_scale"])
        w, b, s = (self._parameter(f"{name}.{part}", values) for part, values in
                   (("weight", w), ("bias", b), ("weight_scale", s)))  # fmt: skip
        m = self.build.op("qnn.requantization", s, x_scale=quantization["x_scale"], y_scale=told["y_scale"],
                          label=f"{name}.factors")  # fmt: skip
        y = self.build.op(
            "qnn.conv2d", x, w, b, m, channels=w.shape[0], kernel_size=kernel, strides=(told["stride"],) * 2,
            padding=(told["padding"],) * 4, groups=told["groups"], label=name, **quantization,
        )  # fmt: skip
        if y.type.elements > LARGEST_TENSOR:
            raise ModelError(f"{name} makes {y.type}, more than a network for a microcontroller has")
        return y

    def _stored(self, name: str, told: dict, rows: int) -> list[np.ndarray]:
        """Weight, bias and scales of a layer of at least `rows` rows, each of them what it should be."""
        outputs, kernel, stored = told["out_channels"], (told["kernel"],) * 2, []
        if rows > outputs:
            raise ModelError(f"it tells {outputs} classes; {rows} are asked for", f"--classes takes up to {outputs}")
        for part, dtype in PARTS.items():
            values = self.arrays.get(f"{name}.{part}")
            wanted = (outputs, told["in_channels"] // told["groups"], *kernel) if part == "weight" else (outputs,)
            if values is None or values.dtype != dtype or values.shape != wanted:
                found = "is missing" if values is None else f"is {values.dtype} {values.shape}"
                raise ModelError(f"{name}.{part} {found}; the layer needs {np.dtype(dtype)} {wanted}")
            stored.append(values)
        if not ((stored[2] >= SCALES[0]) & (stored[2] <= SCALES[1])).all():
            raise ModelError(f"{name}.weight_scale holds scales that int8 cannot have: they are positive numbers")
        return stored

    def residual(self, a: Value, b: Value, name: str) -> Value:
        y = self.adds[name]
        return self.build.op(
            "qnn.add", a, b, a_scale=a.type.scale, a_zero_point=a.type.zero_point, b_scale=b.type.scale,
            b_zero_point=b.type.zero_point, y_scale=y["y_scale"], y_zero_point=y["y_zero"], label=name,
        )  # fmt: skip

    def _parameter(self, name: str, values: np.ndarray) -> Value:
        self.weights[name] = values
        return self.build.parameter(name, values.shape, str(values.dtype))

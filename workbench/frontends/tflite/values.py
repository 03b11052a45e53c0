"""What stands for the tensors of a .tflite file while it is imported, and what its operators ask about them."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from workbench.errors import GraphError, ModelError, ShapeError
from workbench.frontends.origin import Place, Stored
from workbench.frontends.tflite.file import Network, Operator, Tensor
from workbench.frontends.weight import Weight
from workbench.ir.build import Builder, Value
from workbench.quantize.quantization import Quantization
from workbench.quantize.safe_channels import SCALES

HELD = ("FLOAT32", "INT8")  # dtypes of activations
TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def nchw(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of the file as the network has it."""
    return tuple(shape[axis] for axis in TO_NCHW) if len(shape) == 4 else shape


class Unknown(ModelError):  # noqa: N818  no mistake of the operator that reads it
    """An operand comes of an obstacle that has been told, and nothing can stand for it."""


@dataclass(frozen=True)
class Held:
    """What stands for a tensor of the file: `value` has its shape, four axes as NCHW.

    `image` (H, W, C): the value is such an image flattened to (N, C·H·W), which the file has as (N, H·W·C).
    `zeros`: rows and columns of zeros around it, (top, left, bottom, right), left to those who read it.
    `of`: the image whose elements, in the file's order, these are: what makes them an image again needs no other.
    """

    value: Value
    image: tuple[int, int, int] | None = None
    zeros: tuple[int, int, int, int] | None = None
    of: Value | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """With the zeros."""
        if not self.zeros:
            return self.value.shape
        (n, c, height, width), (top, left, bottom, right) = self.value.shape, self.zeros
        return (n, c, height + top + bottom, width + left + right)


class Values:
    """The network as far as it is built. `held`: tensor number -> what stands for it; `constants`: what is stored."""

    def __init__(self, network: Network, form: str):
        self.network, self.form = network, form
        self.build = Builder()
        self.weights: dict[str, np.ndarray] = {}
        self.homes: dict[str, Stored] = {}  # parameter -> the stored tensor that it is made of
        self.made_safe: dict[str, tuple[list[str], np.ndarray]] = {}  # weight -> parameters, channels: see Moved
        self.bias_scales: dict[str, np.ndarray] = {}  # what is beside the weights in these
        self.held: dict[int, Held] = {}
        self.unknown: set[int] = set()
        self.constants = {tensor.number: tensor.data for tensor in network.tensors if tensor.data is not None}
        self.origins = {
            op.outputs[0]: op.inputs[0]
            for op in network.operators
            if op.name == "DEQUANTIZE" and op.outputs and op.inputs and op.inputs[0] in self.constants
        }  # tensor -> the stored one it is made of
        self.of_weight: dict[tuple, list[Operator]] = {}
        for op in network.operators:
            self.of_weight.setdefault((op.name, self.stored(op, 1)), []).append(op)
        self.shared: dict[tuple, Value] = {}  # part of a layer, and what it was made of -> the parameter
        self.narrow: dict[str, None] = {}  # dtypes of stored weights that become float32
        self.transposes: dict[str, tuple[Value, tuple[int, ...]]] = {}  # result -> what was transposed, and how
        self.labels: dict[str, int] = {}  # label -> the number that the last one called so has
        self.logits: tuple[Value, int] | None = None  # what a softmax reads, and how many nodes make it

    def declare_input(self) -> None:
        """The network's input. Raises ModelError for one of a type or shape that no network has."""
        tensor = self.network.tensors[self.network.inputs[0]]
        what = f'{self.network.file}: the input, "{tensor.name}",'
        if tensor.dtype not in HELD:
            raise ModelError(f"{what} is {tensor.dtype}; int8 and float32 are supported",
                             "convert it with inference_input_type=tf.int8")  # fmt: skip
        if not 2 <= len(tensor.shape) <= 4 or not prod(tensor.shape):
            raise ModelError(f"{what} has shape {tensor.shape}; it needs a batch axis, one to three more, and no zeros")
        if tensor.signature:
            raise ModelError(f"{what} has sizes that are open until it runs: {tensor.signature}",
                             "convert the network for an input of one size")  # fmt: skip
        self._declare(what, tensor, "input0")

    def stand_in(self, number: int) -> None:
        """An argument for a tensor that no node makes, of the type that the file says, so that its readers are checked;
        for what no argument can stand, its readers are not."""
        tensor = self.network.tensors[number]
        if number in self.held or number in self.constants:
            return
        try:
            self._declare("", tensor, f"tensor{number}")
        except (ModelError, GraphError, ShapeError):
            self.unknown.add(number)

    def _declare(self, what: str, tensor: Tensor, name: str) -> None:
        if tensor.dtype not in HELD or not tensor.shape or not prod(tensor.shape):
            raise ModelError(f"{what} is {tensor}")
        of = self.quantization(what, tensor) if tensor.dtype == "INT8" else Quantization(0.0, 0)
        x = self.build.input(name, nchw(tensor.shape), tensor.dtype.lower(), scale=of.scale, zero_point=of.zero_point)
        self.held[tensor.number] = Held(x)

    def standing_for(self, number: int) -> Held:
        """What stands for a tensor that an operator made before."""
        if number in self.unknown:
            raise Unknown("reads what is not known")
        if number not in self.held:
            name = self.network.tensors[number].name
            raise ModelError(f'{self.network.file}: tensor {number} ("{name}") is read before an operator made it')
        return self.held[number]

    def operand(self, op: Operator, index: int = 0, zeros: bool = False) -> Held:
        """Operand `index`, made by an operator before; with `zeros` there may be some left around it."""
        number = op.inputs[index] if index < len(op.inputs) else -1
        if number < 0 or number in self.constants:
            what = "is missing" if number < 0 else "is a constant, which is not supported"
            raise ModelError(f"{self.network.where(op)}: operand {index} {what}")
        return self.standing_for(number) if zeros else self.padded(number)

    def padded(self, number: int) -> Held:
        """What stands for a tensor, the zeros around it among its elements."""
        held = self.standing_for(number)
        if held.zeros:
            (top, left, bottom, right), x = held.zeros, held.value
            zero = x.type.zero_point if x.type.dtype == "int8" else 0.0
            held = Held(self.build.pad(x, low=(0, top, left), high=(0, bottom, right), strides=(1, 1, 1), value=zero,
                                       label="pad"))  # fmt: skip
            self.held[number] = held
        return held

    def stored_operand(self, op: Operator, index: int) -> np.ndarray | None:
        """Operand `index` as the file stores it; None where an operator makes it, or where it is left out."""
        return self.constants.get(op.inputs[index]) if index < len(op.inputs) else None

    def image(self, op: Operator, zeros: bool = False) -> Held:
        held = self.operand(op, 0, zeros)
        if held.value.rank != 4:
            raise ModelError(f"{self.network.where(op)} reads {held.value.type}; it needs an image of four axes")
        return held

    def constant(self, op: Operator, index: int, rank: int | None = None) -> np.ndarray | None:
        """Operand `index` as the file stores it; None where it is left out."""
        number = op.inputs[index] if index < len(op.inputs) else -1
        if number < 0:
            return None
        if number not in self.constants:
            raise ModelError(f"{self.network.where(op)}: operand {index} is not stored in the file")
        values = self.constants[number]
        if rank is not None and values.ndim != rank:
            raise ModelError(f"{self.network.where(op)}: operand {index} has {values.ndim} axes; it needs {rank}")
        return values

    def required(self, op: Operator, index: int, rank: int | None = None) -> np.ndarray:
        values = self.constant(op, index, rank)
        if values is None:
            raise ModelError(f"{self.network.where(op)}: operand {index} is missing")
        return values

    def weight(self, op: Operator, index: int, rank: int) -> Weight:
        """Stored operand `index`, to be seen otherwise."""
        return Weight(self.name(self.stored(op, index) or 0), self.required(op, index, rank))

    def name(self, number: int) -> str:
        """A tensor's name in the file, with its number where others are called so too."""
        name, tensors = self.network.tensors[number].name, self.network.tensors
        return name if sum(each.name == name for each in tensors) == 1 else f"{name};{number}"

    def home(self, op: Operator, index: int, weight: Weight) -> Stored:
        """Where the parameter that `weight` is, made of operand `index`, goes back to."""
        number = self.stored(op, index) or 0
        tensor, dtype = self.network.tensors[number], str(weight.array.dtype)
        at = Place(tensor.at, dtype, tensor.shape)
        other = (
            "" if tensor.dtype.lower() == dtype else f"it is stored as {tensor.dtype.lower()}, and trains as {dtype}"
        )
        beside = any(each.at == tensor.at and each.number != number for each in self.network.tensors)
        return Stored((self.name(number),), weight.steps, at, other, beside, number, ((op.number, index),))

    def safe(self, op: Operator, names: tuple[str, str, str], place: int, of_x: float, channels: np.ndarray) -> None:
        """Note that some channels of int8 filters were made safe: trained they go back with their scale, if the file
        has one a filter. `names`: of weight, scales and bias, which is operand `place`; `of_x`: the input's scale.
        """
        weight, scale, bias = names
        group = self.made_safe.setdefault(weight, ([weight, scale], channels))[0]
        if bias in self.homes and bias not in group:
            group.append(bias)
            if (home := self._home_of_scales(op, place, len(channels))) is not None:
                group.append(of_bias := f"{bias}.scale")
                self.homes[of_bias], self.bias_scales[of_bias] = home, np.float32(of_x) * self.weights[scale]
        if (home := self._home_of_scales(op, 1, len(channels))) is not None:
            self.homes[scale] = home
            return
        refused = "some of its filters count in a coarser scale here, and the file has one scale for all"
        for name in {weight, bias} & set(self.homes):
            self.homes[name] = replace(self.homes[name], refused=refused)

    def _home_of_scales(self, op: Operator, index: int, filters: int) -> Stored | None:
        """The scales of operand `index`, where there is one a filter."""
        number = self.stored(op, index) or 0
        tensor = self.network.tensors[number]
        place = Place(tensor.scales_at, "float32", (filters,))
        return Stored((f"{self.name(number)}:scale",), (), place) if len(tensor.scales) == filters else None

    def tensor(self, op: Operator, index: int) -> Tensor:
        return self.network.tensors[op.inputs[index]]

    def result(self, op: Operator) -> Tensor:
        return self.network.tensors[op.outputs[0]]

    def option(self, op: Operator, name: str) -> Any:  # int or float, as the schema has it
        if name not in op.options:
            raise ModelError(f"{self.network.where(op)} lacks its options")
        return op.options[name]

    def quantization(self, what: str, tensor: Tensor) -> Quantization:
        """That of an int8 tensor, which has one scale and zero point."""
        if tensor.dtype != "INT8" or len(tensor.scales) != 1:
            raise ModelError(f"{what} is {tensor.dtype} with {len(tensor.scales)} scales; it needs to be INT8 with one")
        scale, zero_point = float(tensor.scales[0]), int(tensor.zero_points[0])
        if not (SCALES[0] <= scale <= SCALES[1] and -128 <= zero_point <= 127):
            raise ModelError(f"{what} has scale {scale:g} and zero point {zero_point}, which int8 cannot have")
        return Quantization(scale, zero_point)

    def result_quantization(self, op: Operator) -> Quantization:
        """That of the operator's first result."""
        return self.quantization(f"{self.network.where(op)}: its result", self.result(op))

    def label(self, op: Operator, kind: str, index: int | None = None, ending: str = "") -> str:
        """A name for people: 'conv2d_1' of 'model/conv2d_1/Conv2D;…', the tensor of operand `index` or the result.

        A fused tensor is called by all its parts; the one that ends in `ending` is the layer's own. `kind` where the
        name tells nothing.
        """
        name = (self.result(op) if index is None else self.tensor(op, index)).name
        parts = [part.split("/") for part in name.split(";")]
        chosen = next((part for part in parts if len(part) > 1 and part[-1] == ending), parts[0])
        plain = re.sub(r"[^A-Za-z0-9_]", "_", chosen[-2])[:40] if len(chosen) > 1 else kind
        label = first = plain or kind
        while label in self.labels:
            self.labels[first] += 1
            label = f"{first}_{self.labels[first]}"
        self.labels[label] = 1
        return label

    def stored(self, op: Operator, index: int) -> int | None:
        """Which stored tensor operand `index` is; None where it is left out."""
        number = op.inputs[index] if index < len(op.inputs) else -1
        return None if number < 0 else self.origins.get(number, number)

    def sharing(self, op: Operator) -> list[Operator]:
        """The operators that have the weight of `op`, itself among them."""
        return self.of_weight[op.name, self.stored(op, 1)]

    def parameter(self, op: Operator, name: str, values: np.ndarray, *made_of, home: Stored | None = None) -> Value:
        """A parameter; the one that is there already where it is the same part of a layer, made of the same."""
        key = (name.rpartition(".")[2], *made_of)
        if None in made_of or key not in self.shared:
            self.weights[name] = np.ascontiguousarray(values)
            self.shared[key] = self.build.parameter(name, values.shape, str(values.dtype))
            if home is not None:
                self.homes[name] = home
            return self.shared[key]
        first = self.shared[key].name
        if not np.array_equal(self.weights[first], values):
            raise ModelError(f"{self.network.where(op)} has the {key[0]} of another layer, but lays it out otherwise, "
                             "which is not supported")  # fmt: skip
        if home is not None and first in self.homes:
            self.homes[first] = replace(self.homes[first], uses=(*self.homes[first].uses, *home.uses))
        return self.shared[key]

    def origins_of_parameters(self) -> dict[str, Stored]:
        """Where each parameter goes back to; those that share their bytes with others become tensors of their own."""
        users = Counter(home.place.at for home in self.homes.values() if home.place)
        made_safe = {name for names, _ in self.made_safe.values() for name in names}
        result = {}
        for name, home in self.homes.items():
            if home.tensor >= 0 and home.place and (home.shared or users[home.place.at] > 1):
                also = "its bytes are those of another tensor too, and its scale changes" if name in made_safe else ""
                own = f"{home.names[0]};{name}"
                home = replace(home, names=(own,), shared=True, refused=home.refused or also)
            result[name] = home
        return result

    def in_order(self, held: Held) -> Value:
        """The value with its elements in the file's order; four axes as NCHW all the same."""
        if not held.image:
            return held.value
        height, width, channels = held.image
        image = self.build.reshape(held.value, newshape=(held.value.shape[0], channels, height, width))
        return self.build.reshape(self._transpose(image, TO_NHWC), newshape=held.value.shape)

    def axis(self, rank: int, axis: int) -> int:
        """Which axis of a value the file's is."""
        return TO_NHWC[axis] if rank == 4 else axis

    def transposed(self, x: Value, axes: tuple[int, ...], label: str) -> Value:
        """x with its axes in this order, the first in its place; one transpose for what several would do in turn."""
        if x.name in self.transposes:
            x, order = self.transposes[x.name]
            axes = tuple(order[axis] for axis in axes)
        if axes == tuple(range(x.rank)):
            return x
        moved = [axis for axis in axes if x.shape[axis] > 1]
        if moved == sorted(moved):
            return self.build.reshape(x, newshape=tuple(x.shape[axis] for axis in axes), label=label)
        return self._transpose(x, axes, label)

    def _transpose(self, x: Value, axes: tuple[int, ...], label: str | None = None) -> Value:
        y = self.build.transpose(x, axes=axes, label=label)
        self.transposes[y.name] = x, axes
        return y

    def reshaped(self, held: Held, shape: tuple[int, ...], label: str) -> Held:
        """`held` in another shape of the file's."""
        wanted = nchw(shape)
        if held.value.shape == wanted:
            return held
        x, image = held.of or held.value, None
        if x.rank == 4:
            n, c, height, width = x.shape
            if c > 1 and height * width > 1:  # else both orders are one
                if shape == (n, c * height * width):
                    return Held(self.build.batch_flatten(x, label=label), image=(height, width, c))
                if len(shape) == 4 and (shape[0], shape[3]) == (n, c):
                    return Held(self.build.reshape(x, newshape=wanted, label=label))
                image, x = x, self.transposed(x, TO_NHWC, f"{label}.nhwc")
        else:
            x = self.in_order(held)
        if len(shape) == 4 and shape[3] > 1 and shape[1] * shape[2] > 1:
            x = self.build.reshape(x, newshape=shape, label=label)
            return Held(self.transposed(x, TO_NCHW, f"{label}.nchw"))
        return Held(self.build.reshape(x, newshape=wanted, label=label), of=image)

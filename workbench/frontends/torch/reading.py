"""An exported program as a graph, node by node."""

import operator
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from workbench.errors import GraphError, ModelError, ShapeError, WorkbenchError
from workbench.frontends import given
from workbench.frontends.emitter import Emitter
from workbench.frontends.obstacles import Obstacle
from workbench.frontends.torch.export import Exported, label_of, line_of
from workbench.frontends.torch.operators import ACTIVE, ENDS, OF_MODE, OPERATORS
from workbench.frontends.torch.shared import Call
from workbench.frontends.weight import Weight
from workbench.ir.build import Value

ERRORS = (ModelError, ShapeError, GraphError)
CHECKS = ("_assert", "sym_constrain_range")  # operators that give nothing
SIZES = ("slice.Tensor", "arange.start_step", "full.default")  # where the batch may be an argument by itself
OF_CONSTANTS = ("lift_fresh_copy.default", "scalar_tensor.default", "zeros.default", "ones.default", "eye.default",
                "triu.default", "tril.default", "zeros_like.default", "ones_like.default", "_to_copy.default",
                "index_select.default", "linspace.default", "outer.default")  # fmt: skip
JOIN = "cat.default"
PRODUCTS = ("matmul.default", "bmm.default", "scaled_dot_product_attention.default")


class Reading:
    """An exported program, node by node; what has no form here is an obstacle, and what comes behind is read too."""

    def __init__(self, found: Exported, name: str, batch: int) -> None:
        self.found, self.name, self.batch = found, name, batch
        self.emit = Emitter()
        self.values: dict[Node, Any] = {}
        self.obstacles: list[Obstacle] = []
        self.notes: list[str] = []
        self.logits: tuple[Value, int] | None = None
        self.unknown = 0
        self.of_input: set[Node] = set()
        self.nothing: Value | None = None  # a zero for each sample

    def read(self) -> Value | None:
        program, output = self.found.program, None
        self._declare()
        for number, node in enumerate(each for each in program.graph.nodes if each.op != "placeholder"):
            if node.op == "output":
                output = self._output(node)
            elif node.op == "call_function":
                self.values[node] = self._called(node, number)
            else:
                self.values[node] = self._stored(str(node.target))  # None: the body of what is control flow
        return output

    def _declare(self) -> None:
        program = self.found.program
        signature = program.graph_signature
        inputs = [node for node in program.graph.nodes if node.name in signature.user_inputs]
        if len(inputs) != 1:
            names = " and ".join(f'"{each}"' for each in signature.user_inputs[:4])
            self.obstacles.append(Obstacle(f" has {len(signature.user_inputs)} inputs, {names}; a network has one"))
        stored: dict[object, str] = {}  # storage -> the name of the weight that it is
        for node in program.graph.nodes:
            if node.op != "placeholder":
                continue
            target = signature.inputs_to_parameters.get(node.name)
            if target is not None:
                tensor = program.state_dict[target]
                first = stored.setdefault(
                    (tensor.data_ptr(), tuple(tensor.shape)) if tensor.numel() else target, target
                )
                self.values[node] = Weight(first, tensor.detach().float().cpu().numpy())
            elif node in inputs:
                self.of_input.add(node)
                if any(_is_size(size) for size in node.meta["val"].shape[1:]):
                    self.obstacles.append(Obstacle(" leaves more sizes of its input open than the batch"))
                self.values[node] = self.emit.build.input("input0", self._shape(node))
            else:
                target = signature.inputs_to_buffers.get(node.name) or signature.inputs_to_lifted_tensor_constants.get(
                    node.name
                )
                self.values[node] = self._stored(target)

    def _stored(self, target: str) -> torch.Tensor | None:
        program = self.found.program
        tensor = program.state_dict.get(target)
        return program.constants.get(target) if tensor is None else tensor

    def _shape(self, node: Node) -> Any:
        value, batch = node.meta.get("val"), self._batch_of(node)
        if isinstance(value, tuple | list):
            return [self._sizes(each, batch) for each in value]
        return self._sizes(value, batch)

    def _sizes(self, value: Any, batch: int) -> tuple[int, ...] | None:
        return tuple(self.found.number(size, batch) for size in value.shape) if hasattr(value, "shape") else None

    def _called(self, node: Node, number: int) -> Any:
        value, kind = node.meta.get("val"), str(node.target).removeprefix("aten.")
        if kind.startswith(CHECKS):
            return None
        if isinstance(value, torch.SymInt | int) and not isinstance(value, bool):
            return self.found.number(value, self.batch)
        if isinstance(value, torch.SymBool | torch.SymFloat | bool | float):
            compute: Any = node.target
            return compute(*self._resolved(node.args, self.batch))
        if self.of_input.intersection(node.all_input_nodes):
            self.of_input.add(node)
        count = len(self.emit.build.nodes)
        try:
            return self._made(node, kind, count)
        except ERRORS as error:
            self._obstacle(node, kind, number, error)
        except (TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
            first = (str(error).strip().splitlines() or [""])[0][:200]
            self._obstacle(node, kind, number, ModelError(f"is not supported with these arguments ({first})"))
        return self._stand_in(self._shape(node))

    def _made(self, node: Node, kind: str, count: int) -> Any:
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            raise ModelError("is control flow, which is not supported")
        batch = self._batch_of(node)
        arguments, how = self._resolved(node.args, batch), self._resolved(node.kwargs, batch)
        if node.target is operator.getitem:
            if arguments[0][arguments[1]] is None:
                raise ModelError(f"{node.args[0]} gives a second result, which is not supported")
            return arguments[0][arguments[1]]
        if any(_is_size(each) for each in node.args) and self.found.symbol is not None and kind not in SIZES:
            raise ModelError("computes with the size of the batch, which is not supported")
        if not _reads_values((arguments, how)):
            return self._constant(node, kind, arguments, how)
        label = label_of(node)
        call = Call(self.emit, label, self._shape(node))
        if kind in ACTIVE:
            raise ModelError(f"is {ACTIVE[kind]}, which is not supported", OF_MODE)
        if kind not in OPERATORS:
            raise ModelError("is not supported", "`workbench ops --frontend torch` lists what is")
        if self._ends(node, kind, arguments):
            self.logits = self.emit.value(arguments[0], label), count
        if kind in (JOIN, *PRODUCTS) and node in self.of_input:
            rank = len(call.shape) if kind in PRODUCTS and _is_size(node.meta["val"].shape[0]) else 0
            together = self._together(node.args[:3], arguments[:3], label, rank)
            arguments = (*together, *arguments[3:])
        result = OPERATORS[kind](call, *_plain(arguments), **_plain(how))
        self._check(result, call.shape)
        return torch.from_numpy(np.array(result)) if isinstance(result, np.ndarray) else result

    def _batch_of(self, node: Node) -> int:
        """One of what does not depend on the input: it is repeated for each sample, as broadcasting does."""
        return self.batch if node in self.of_input or self.found.symbol is None else 1

    def _constant(self, node: Node, kind: str, arguments: Any, how: Any) -> Any:
        """What PyTorch makes of constants alone."""
        compute: Any = node.target
        tags = getattr(compute, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            raise ModelError("draws random numbers, which is not supported")
        if kind not in OPERATORS and kind not in OF_CONSTANTS and not {torch.Tag.core, torch.Tag.pointwise} & {*tags}:
            raise ModelError("of constants is not supported")
        shape = self._shape(node)
        if isinstance(shape, tuple):
            given.at_most("a tensor", shape)
        result = compute(*arguments, **how)
        if self.found.symbol is not None and _any_size((node.args, node.kwargs)):
            twice = compute(*self._resolved(node.args, 2), **self._resolved(node.kwargs, 2))
            fits = all(a in (1, b) for a, b in zip(result.shape, twice.shape, strict=True))
            if not fits or not torch.equal(result.expand(twice.shape), twice):
                raise ModelError("computes with the size of the batch, which is not supported")
        return result

    def _together(self, nodes: Any, arguments: Any, label: str, rank: int) -> Any:
        """The operands, those that do not depend on the input repeated for each sample.

        `rank`: of a product that has the batch.
        """
        emit = self.emit
        if isinstance(nodes, tuple | list):
            pairs = zip(nodes, arguments, strict=True)
            return type(arguments)(self._together(a, b, label, rank) for a, b in pairs)
        if not isinstance(nodes, Node) or nodes in self.of_input or self.found.symbol is None:
            return arguments
        shape = getattr(nodes.meta.get("val"), "shape", ())
        grows = [at for at, size in enumerate(shape) if isinstance(size, torch.SymInt)]
        if not grows and rank and len(shape) > 2:  # matrices that are the same for each sample
            arguments = emit.reshape(_plain(arguments), (1,) * (rank - len(shape)) + tuple(shape), label)
            grows = [0]
        if len(grows) != 1 or not isinstance(arguments, Value | Weight | torch.Tensor | np.ndarray):
            return arguments
        if self.nothing is None:
            one = emit.build.value(emit.build.inputs[0])
            for each in range(1, one.rank):
                one = emit.value(emit.part(one, each, 0, 1, "batch"), "batch")
            self.nothing = emit.build.multiply(one, emit.value(np.zeros((1,) * one.rank, np.float32), "batch.zero"))
        shape = [1] * len(arguments.shape)
        shape[grows[0]] = self.batch
        return emit.of_two("add", _plain(arguments), emit.reshape(self.nothing, shape, label), label)

    def _obstacle(self, node: Node, kind: str, number: int, error: WorkbenchError) -> None:
        line = line_of(node)
        reason = error.message if error.message.startswith("is ") else f": {error.message}"
        where = f"{' ' if reason.startswith('is ') else ''}{reason}{f' ({line})' if line else ''}"
        self.obstacles.append(Obstacle(where, error.hint, kind.removesuffix(".default"), number, node.name))

    def _check(self, result: Any, shape: Any) -> None:
        if isinstance(result, tuple | list) and isinstance(shape, list):
            for each, its in zip(result, shape, strict=False):
                self._check(each, its)
        if isinstance(result, Value | Weight) and isinstance(shape, tuple) and tuple(result.shape) != shape:
            raise ModelError(f"makes {tuple(result.shape)}; PyTorch says {shape}")

    def _stand_in(self, shape: Any) -> Any:
        if isinstance(shape, list):
            return tuple(None if each is None else self._stand_in(each) for each in shape)
        self.unknown += 1
        return self.emit.build.input(f"unknown{self.unknown}", tuple(max(1, size) for size in shape or (1, 1)))

    def _resolved(self, argument: Any, batch: int) -> Any:
        if isinstance(argument, Node):
            value = argument.meta.get("val")
            return self.found.number(value, batch) if isinstance(value, torch.SymInt) else self.values[argument]
        if isinstance(argument, tuple | list):
            return type(argument)(self._resolved(each, batch) for each in argument)
        if isinstance(argument, dict):
            return {name: self._resolved(each, batch) for name, each in argument.items()}
        return self.found.number(argument, batch) if isinstance(argument, torch.SymInt) else argument

    def _ends(self, node: Node, kind: str, arguments: Any) -> bool:
        """Whether it is a softmax or sigmoid that training does without: the loss is computed from the logits."""
        if kind not in ENDS or not isinstance(arguments[0], Value) or arguments[0].rank != 2:
            return False
        if not all(user.op == "output" for user in node.users):
            return False
        if kind != "sigmoid.default" and arguments[1] % 2 != 1:
            return False
        if kind == "sigmoid.default" and arguments[0].shape == self.emit.build.types[self.emit.build.inputs[0]].shape:
            return False
        self.notes.append(
            f"the {ENDS[kind]} at the end is left to the loss: training begins at the logits, and predict gives it back"
        )
        return True

    def _output(self, node: Node) -> Value | None:
        signature = self.found.program.graph_signature
        for name in [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]:
            self.obstacles.append(Obstacle(f' writes to "{name}" in every call; a network keeps nothing'))
        names = list(signature.user_outputs)
        listed: Any = node.args[0]
        results: Any = [each for each in listed if getattr(each, "name", None) in names or each is None]
        if not results and len(names) == 1:
            self.obstacles.append(Obstacle(" gives what does not depend on its input"))
            return None
        if len(results) != 1:
            self.obstacles.append(Obstacle(f" has {len(results)} outputs; a network has one"))
            return None
        result = self._resolved(results[0], self.batch)
        if isinstance(result, Value) and result.name == self.emit.build.inputs[0]:
            self.obstacles.append(Obstacle(" gives its input as it is"))
            return None
        if not isinstance(result, Value) or results[0] not in self.of_input:
            self.obstacles.append(Obstacle(" gives what does not depend on its input"))
            return None
        first = results[0].meta["val"].shape[0] if results[0].meta["val"].ndim else None
        batches = (1, 2) if self.found.symbol is not None else (self.batch,)
        if first is None or any(self.found.number(first, batch) != batch for batch in batches):
            self.obstacles.append(Obstacle(" gives an output whose first axis is not the batch"))
            return None
        if result.rank == 1:
            return self.emit.build.reshape(result, newshape=(*result.shape, 1), label="output")
        return result


def _is_size(argument: Any) -> bool:
    """Whether it is the batch, or a number that was computed from it."""
    value = argument.meta.get("val") if isinstance(argument, Node) else argument
    return isinstance(value, torch.SymInt | torch.SymFloat)


def _any_size(argument: Any) -> bool:
    if isinstance(argument, tuple | list):
        return any(map(_any_size, argument))
    return any(map(_any_size, argument.values())) if isinstance(argument, dict) else _is_size(argument)


def _reads_values(argument: Any) -> bool:
    if isinstance(argument, tuple | list):
        return any(map(_reads_values, argument))
    if isinstance(argument, dict):
        return any(map(_reads_values, argument.values()))
    return isinstance(argument, Value | Weight)


def _plain(argument: Any) -> Any:
    """Tensors as arrays."""
    if isinstance(argument, torch.Tensor):
        tensor = argument.detach().cpu()
        values = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        return values if values.dtype == bool else values.astype(np.float32)
    if isinstance(argument, tuple | list):
        return type(argument)(map(_plain, argument))
    return {name: _plain(each) for name, each in argument.items()} if isinstance(argument, dict) else argument

"""PyTorch modules as networks: `from_torch(module, example)`, `load("model.pt2")`.

module                         network
(N, C, H, W), OIHW             the same
parameters, by name            the same names; those of one storage are one weight
BatchNorm behind a layer       folded into it, else a scale and a shift with frozen statistics
Dropout                        nothing
softmax, sigmoid at the end    left out of `graph`, which ends at the logits; in `inference` it is there
requires_grad                  the policy as-given
"""

import operator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from workbench.data import taken
from workbench.errors import GraphError, ModelError, ShapeError, WorkbenchError
from workbench.frontends import given
from workbench.frontends.emitter import Emitter, Weight
from workbench.frontends.model import Model
from workbench.frontends.obstacles import Obstacle, Unsupported
from workbench.frontends.origin import TORCH, of_emitter
from workbench.frontends.torch.export import Exported, exported, label_of, line_of, of_program
from workbench.frontends.torch.operators import ENDS, OPERATORS, Call
from workbench.frontends.torch.saved import aliases_of, digest_of, packed
from workbench.ir.build import Value
from workbench.ir.rewrite import without_dead_code
from workbench.ir.verify import verify
from workbench.plain import printable
from workbench.policy import AS_GIVEN, as_given

__all__ = ["OPERATORS", "from_torch", "load"]
ERRORS = (ModelError, ShapeError, GraphError)


def from_torch(module: torch.nn.Module, example: Any, *, name: str | None = None, data: Any = None,
               batch: int | None = None, fold: bool = True) -> Model:  # fmt: skip
    """The network that a module is, in evaluation mode.

    `example`: a tensor or array (batch, …) like its input; its numbers do not matter. `batch`: how many samples at once
    (None: one). `fold`: batch norms go into the layers before them, which saves memory and instructions; but then a
    step moves them otherwise than PyTorch's at the same rate. Else their scale and shift are trained, as PyTorch does.
    `data`: what it trains on, as layers.Network.model takes it. Raises Unsupported, which names every obstacle.
    """
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"from_torch takes a torch.nn.Module; got {type(module).__name__}")
    data = None if data is None else taken(data)
    name = given.network_name(type(module).__name__ if name is None else name)
    found = exported(module, example, name, batch)
    state = module.state_dict()
    kept = {"aliases": aliases_of(state), "snapshot": packed(state), "module": module}
    model = _network(found, name, f"a PyTorch module, {type(module).__name__}", data, fold, Path(name), kept)
    return _for_batch(model, found, batch or 1)


def load(path: str | Path, batch: int = 1) -> Model:
    """The network in a .pt2 file, as torch.export.save wrote it."""
    path = Path(path)
    try:
        program = torch.export.load(path)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing") from None
    except Exception as error:  # whatever a damaged archive makes of torch's reader
        first = (str(error).strip().splitlines() or [""])[0][:200]
        hint = "torch.export.save(torch.export.export(module, (example,)), FILE) writes one"
        raise ModelError(f"{path} is no exported PyTorch program: {type(error).__name__}: {first}", hint) from None
    found = of_program(program, path.name)
    kept = {"aliases": aliases_of(program.state_dict), "path": path, "digest": digest_of(path)}
    name = printable(path.stem)
    model = _network(found, name, f"imported from {path.name}", None, True, path, kept)
    return replace(_for_batch(model, found, batch), source=str(path))


def _for_batch(model: Model, found: Exported, batch: int) -> Model:
    if batch == model.batch:
        return model
    if found.symbol is None:
        raise ModelError(f"{model.name} fixes its batch at {found.batch}", f"an example of {batch} samples may do")
    return model.with_batch(batch)


def _network(found: Exported, name: str, about: str, data: Any, fold: bool, path: Path, kept: dict[str, Any]) -> Model:
    reading = _Reading(found, name, fold, 1 if found.symbol is not None else found.batch)
    output = reading.read()
    if reading.obstacles or output is None:
        raise Unsupported(path, name, reading.obstacles)
    graph, inference = reading.emit.build.graph(output), None
    if found.symbol is not None:
        other = _Reading(found, name, fold, 2)
        twice = other.read()
        graph = _for_any_batch(graph, other.emit.build.graph(twice)) if twice else graph
    if reading.logits:
        logits, count = reading.logits
        inference = verify(without_dead_code(graph))
        graph = graph.with_nodes(graph.nodes[:count], (logits.name,))
    graph = verify(without_dead_code(graph))
    weights = {each: reading.emit.weights[each] for each in graph.parameters}
    origin = of_emitter(reading.emit, TORCH, path.name, weights, **kept)
    own = found.program.state_dict
    trained = [each for each in graph.parameters if each in own and own[each].requires_grad]
    policies = {AS_GIVEN: as_given(trained)} if trained else {}
    frozen = [each for each in graph.parameters if each in own and not own[each].requires_grad]
    kept_so = (f"{name} has {len(frozen)} parameters that require no gradient, {frozen[0]} for one; only the policy "
               "as-given leaves them as they are",) if trained and frozen else ()  # fmt: skip
    return Model(name, graph, weights, data, about, policies=policies, inference=inference,
                 notes=(*found.notes, *reading.notes, *kept_so, *origin.notes), origin=origin)  # fmt: skip


def _for_any_batch(graph, twice):
    """The graph with −1 for each size in a reshape that grows with the batch."""
    if [node.op for node in graph.nodes] != [node.op for node in twice.nodes]:
        return graph
    nodes = []
    for node, other in zip(graph.nodes, twice.nodes, strict=True):
        shape, grown = node.attrs.get("newshape"), other.attrs.get("newshape")
        if node.op == "reshape" and shape != grown and len(shape) == len(grown):
            sizes = [-1 if a != b else a for a, b in zip(shape, grown, strict=True)]
            if sizes.count(-1) == 1:
                node = replace(node, attrs=dict(node.attrs) | {"newshape": tuple(sizes)})
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


class _Reading:
    """An exported program, node by node; what has no form here is an obstacle, and what comes behind is read too."""

    def __init__(self, found: Exported, name: str, fold: bool, batch: int) -> None:
        self.found, self.name, self.fold, self.batch = found, name, fold, batch
        self.emit = Emitter()
        self.values: dict[Node, Any] = {}
        self.obstacles: list[Obstacle] = []
        self.notes: list[str] = []
        self.logits: tuple[Value, int] | None = None
        self.unknown = 0

    def read(self) -> Value | None:
        program, output = self.found.program, None
        self._declare()
        for number, node in enumerate(each for each in program.graph.nodes if each.op != "placeholder"):
            if node.op == "output":
                output = self._output(node)
            elif node.op == "call_function":
                self.values[node] = self._called(node, number)
            else:
                self.values[node] = self._stored(str(node.target))
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
                self.values[node] = Weight(first, tensor.detach().cpu().numpy().astype(np.float32))
            elif node in inputs:
                shape = self._shape(node)
                self.values[node] = self.emit.build.input("input0", shape)
            else:
                target = signature.inputs_to_buffers.get(node.name) or signature.inputs_to_lifted_tensor_constants.get(
                    node.name
                )
                self.values[node] = self._stored(target)

    def _stored(self, target: str) -> torch.Tensor:
        program = self.found.program
        tensor = program.state_dict.get(target)
        return program.constants[target] if tensor is None else tensor

    def _shape(self, node: Node) -> Any:
        value = node.meta.get("val")
        if isinstance(value, tuple | list):
            return [self._sizes(each) for each in value]
        return self._sizes(value)

    def _sizes(self, value: Any) -> tuple[int, ...] | None:
        return tuple(self.found.number(size, self.batch) for size in value.shape) if hasattr(value, "shape") else None

    def _called(self, node: Node, number: int) -> Any:
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt | int) and not isinstance(value, bool):
            return self.found.number(value, self.batch)
        arguments, how = self._resolved(node.args), self._resolved(node.kwargs)
        if node.target is operator.getitem:
            return arguments[0][arguments[1]]
        if not _reads_values((arguments, how)):
            compute: Any = node.target
            return compute(*arguments, **how)  # of constants alone
        kind = str(node.target).removeprefix("aten.")
        label, build = label_of(node), self.emit.build
        count = len(build.nodes)
        call = Call(self.emit, label, self._shape(node), self.fold and _read_once(node))
        try:
            if kind not in OPERATORS:
                raise ModelError("is not supported", "`workbench ops --frontend torch` lists what is")
            if self._ends(node, kind, arguments):
                self.logits = self.emit.value(arguments[0], label), count
            before = set(self.emit.folded)
            result = OPERATORS[kind](call, *_plain(arguments), **_plain(how))
            for weight in set(self.emit.folded) - before:
                self._name_mean(weight, node)
            self._check(result, call.shape)
            return result
        except ERRORS as error:
            self._obstacle(node, kind, number, error)
        except (TypeError, ValueError, IndexError) as error:
            self._obstacle(node, kind, number, ModelError(f"is not supported with these arguments ({error})"))
        return self._stand_in(call.shape)

    def _name_mean(self, weight: str, norm: Node) -> None:
        """Tell a folded norm its mean, which takes the bias where neither the layer nor the norm has one."""
        folded, program = self.emit.folded[weight], self.found.program
        if folded.bias not in program.state_dict:
            mean = program.graph_signature.inputs_to_buffers[str(norm.args[3])]
            self.emit.folded[weight] = replace(folded, mean=mean)

    def _obstacle(self, node: Node, kind: str, number: int, error: WorkbenchError) -> None:
        line = line_of(node)
        reason = error.message if error.message.startswith("is ") else f": {error.message}"
        where = f"{' ' if reason.startswith('is ') else ''}{reason}{f' ({line})' if line else ''}"
        self.obstacles.append(Obstacle(where, error.hint, kind.removesuffix(".default"), number, node.name))

    def _check(self, result: Any, shape: Any) -> None:
        if isinstance(result, Value | Weight) and isinstance(shape, tuple) and tuple(result.shape) != shape:
            raise ModelError(f"makes {tuple(result.shape)}; PyTorch says {shape}")

    def _stand_in(self, shape: Any) -> Any:
        if isinstance(shape, list):
            return tuple(None if each is None else self._stand_in(each) for each in shape)
        self.unknown += 1
        return self.emit.build.input(f"unknown{self.unknown}", shape or (1, 1))

    def _resolved(self, argument: Any) -> Any:
        if isinstance(argument, Node):
            return self.values[argument]
        if isinstance(argument, tuple | list):
            return type(argument)(self._resolved(each) for each in argument)
        if isinstance(argument, dict):
            return {name: self._resolved(each) for name, each in argument.items()}
        return self.found.number(argument, self.batch) if isinstance(argument, torch.SymInt) else argument

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
            f"the {ENDS[kind]} at the end is left to the loss: training begins at the logits, which predict gives; "
            "outputs gives what is behind"
        )
        return True

    def _output(self, node: Node) -> Value | None:
        results: Any = node.args[0]
        if len(results) != 1:
            self.obstacles.append(Obstacle(f" has {len(results)} outputs; a network has one"))
            return None
        result = self._resolved(results[0])
        if not isinstance(result, Value):
            self.obstacles.append(Obstacle(" gives what does not depend on its input"))
            return None
        if result.rank == 1:
            return self.emit.build.reshape(result, newshape=(*result.shape, 1), label="output")
        return result


def _read_once(node: Node) -> bool:
    """Whether nothing else reads what a norm reads, nor the weights of the layer before it."""
    made = node.args[0]
    return isinstance(made, Node) and all(
        len(each.users) == 1 for each in (made, *made.args[1:], *node.args[1:]) if isinstance(each, Node)
    )


def _reads_values(argument: Any) -> bool:
    if isinstance(argument, tuple | list):
        return any(map(_reads_values, argument))
    if isinstance(argument, dict):
        return any(map(_reads_values, argument.values()))
    return isinstance(argument, Value | Weight)


def _plain(argument: Any) -> Any:
    """Tensors as arrays."""
    if isinstance(argument, torch.Tensor):
        values = argument.detach().cpu().numpy()
        return values if values.dtype == bool else values.astype(np.float32)
    if isinstance(argument, tuple | list):
        return type(argument)(map(_plain, argument))
    return {name: _plain(each) for name, each in argument.items()} if isinstance(argument, dict) else argument

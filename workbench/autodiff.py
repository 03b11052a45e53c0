"""Differentiate at compile time: append the backward graph, for the wanted values only, and the updates.

The gradient of each node is emitted by its operator's rules, one an operand; gradients that meet are summed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import workbench.schedule  # noqa: F401  registers every operator, held against its kernel
from workbench.errors import GraphError, ModelError, PolicyError
from workbench.ir import labels
from workbench.ir import op as ops
from workbench.ir.analysis import GRADIENT_INPUT
from workbench.ir.build import Builder, Value
from workbench.ir.deltas import state_of
from workbench.ir.graph import Graph, Node
from workbench.ir.labels import CONSTANT
from workbench.ir.types import Ints, TensorType
from workbench.ir.verify import verify
from workbench.objective import BCE, CLASSIFY, INPUT, LABELS, VALUES, Objective
from workbench.options import AUTO_BIASES
from workbench.policy import PLAIN_SGD, Optimizer, written
from workbench.quantize import emit
from workbench.quantize.bias_storage import with_deltas
from workbench.quantize.units import units

SQUASHING = "sigmoid"  # the function that binary cross-entropy with logits undoes


def differentiate(graph: Graph, wanted: Iterable[str]) -> tuple[Graph, dict[str, str]]:
    """`graph` with gradient nodes appended, and the name of each wanted value's gradient.

    `graph` has one output. If that is a loss it starts there; else the gradient of the output becomes an
    argument, `%grad_output`. Raises GraphError for a wanted value the output does not depend on, and for an
    operator on the way that has no gradient.
    """
    wanted = tuple(dict.fromkeys(wanted))
    needing = _depends_on(graph, wanted)
    builder = Builder(_in_training_form(graph, needing))
    (output,) = graph.outputs
    meet: dict[str, list[Value]] = {}
    if not _is_loss(graph, output):
        meet[output] = [builder.input(GRADIENT_INPUT, graph.types[output].shape)]
    gradients: dict[str, Value] = {}

    for node in reversed(builder.nodes.copy()):
        op = ops.get(node.op)
        builder.default_label = f"{labels.GRADIENT}{graph.label(node.results[0])}"
        dy = _total(builder, meet.pop(node.results[0], []))
        if node.results[0] in wanted and dy is not None:
            gradients[node.results[0]] = dy
        if dy is None and not (op.loss and node.results[0] == output):
            continue
        for index, operand in enumerate(node.operands):
            if operand not in needing:
                continue
            rule = op.grad(index)
            if rule is None:
                raise GraphError(f"{op.name} has no gradient for its operand {index}, %{operand}")
            builder.default_label = f"{labels.GRADIENT}{graph.label(operand)}"
            operands = [builder.value(name) for name in node.operands]
            results = tuple(builder.value(name) for name in node.results)
            meet.setdefault(operand, []).append(rule(builder, dy, *operands, y=results, **node.attrs))
    for name in wanted:
        builder.default_label = f"{labels.GRADIENT}{name}"
        total = gradients.get(name) or _total(builder, meet.pop(name, []))
        if total is None:
            raise GraphError(f"%{output} does not depend on %{name}: it has no gradient")
        gradients[name] = total
    gradients = {name: gradients[name] for name in wanted}
    full = keep_parts_early(graph, builder.graph(*gradients.values()))
    return verify(full), {name: value.name for name, value in gradients.items()}


def training_step(
    forward: Graph,
    optimizer: Optimizer = PLAIN_SGD,
    orders: Mapping[str, Mapping[int, Sequence[int] | np.ndarray]] | None = None,
    objective: Objective = CLASSIFY,
    weights: Mapping[str, np.ndarray] | None = None,
) -> Graph:
    """Forward, loss, gradients and updates of every parameter that needs a gradient, in the order *vanilla* runs them.

    Arguments added: what the output is held against, `%label0` (int32, one a sample) or `%target0` (float32, of the
    output's shape; none where the input is the target), the scalars `%lr` for weights and `%lr_bias` for biases, and
    the optimizer's state. The output is the batch's mean loss; the logits are the loss node's first operand. `orders`
    tells where the channels of a parameter stood that were moved (passes/permute_channels); `weights`, the parameters'
    values behind that, which int32 biases can be kept as deltas (None: none is). Raises ModelError for a network that
    the objective does not fit.
    """
    wanted = [name for name in forward.parameters if forward.types[name].needs_grad]
    if not wanted:
        raise PolicyError("the policy updates no parameter of this network")
    require_applicable(forward, optimizer)
    for name in wanted:
        _require_part(forward, name)
    require_trainable(forward, objective)
    wide: dict[str, Ints] = {}
    if weights is not None and optimizer.bias_storage == AUTO_BIASES:
        forward, wide = with_deltas(forward, wanted, weights)
    builder = Builder(forward)
    logits = _outputs(builder, forward, objective)
    if logits.type.scale:
        logits = emit.dequantized(builder, logits, label=labels.LOGITS)
    loss = _loss(builder, logits, objective)
    graph, names = differentiate(builder.graph(loss), wanted)
    _require_read_in_parts(graph)

    builder = Builder(graph)
    roles = {name: "bias" if role == "bias" else "weight" for name, role in parameter_roles(forward).items()}
    rates = {role: builder.input(rate) for role, rate in RATES.items() if role in {roles[name] for name in wanted}}
    counters: tuple[Value, ...] = ()
    if optimizer.rounding == "stochastic" and any(forward.types[name].dtype != "float32" for name in wanted):
        counters = tuple(builder.input(name, (), "int32") for name in COUNTERS)
    gradients = {name: builder.value(gradient) for name, gradient in names.items()}
    if optimizer.clip is not None:
        gradients, rates = _clipped(builder, gradients, rates, optimizer)
    for name, gradient in gradients.items():
        order = (orders or {}).get(name, {})
        _append_update(builder, name, gradient, rates[roles[name]], counters, optimizer, order, wide.get(name))
    return verify(builder.graph(loss).renumbered())


def require_trainable(forward: Graph, objective: Objective) -> None:
    """Raise ModelError for a network whose output the objective cannot be computed of."""
    source, output = (forward.types[names[0]] for names in (forward.inputs, forward.outputs))
    if objective.target == LABELS and output.rank != 2:
        raise ModelError(f"cross-entropy takes class scores, (batch, classes); the network gives {output}",
                         "--loss mse holds an output of any shape against numbers")  # fmt: skip
    if objective.target == INPUT and not is_told_anew(source, output):
        raise ModelError(f"the input is the target, so the output has its values; it is {source}, the output {output}",
                         "targets of the output's shape, or labels, can be given with the data")  # fmt: skip


def is_told_anew(source: TensorType, output: TensorType) -> bool:
    """Whether an output holds as many values as the input, in the same shape or in a row."""
    long = [tuple(size for size in kind.shape if size > 1) for kind in (source, output)]
    return source.elements == output.elements and (long[0] == long[1] or 2 in (source.rank, output.rank))


def _outputs(builder: Builder, forward: Graph, objective: Objective) -> Value:
    """What the loss is computed of: the network's output; under bce, which takes logits, what a last sigmoid reads."""
    output = builder.value(forward.outputs[0])
    last = builder.producer(output) if objective.loss == BCE else None
    if last is None:
        return output
    return builder.value(last.operands[0]) if _function(builder, last) == SQUASHING else output


def _function(builder: Builder, node: Node) -> str:
    """The function that a node computes of each element, be it by a table; "" of another node."""
    op = ops.get(node.op)
    table = None if op.tabulated is None else builder.producer(builder.value(node.operands[op.tabulated]))
    return str(table.attrs.get("function", "")) if table else op.function


def _loss(builder: Builder, logits: Value, objective: Objective) -> Value:
    attrs: dict[str, Any] = {}
    if objective.target == LABELS:
        target = builder.input("label0", logits.shape[:1], "int32")
    elif objective.target == VALUES:
        target = builder.input("target0", logits.shape)
    else:
        target = builder.value(builder.inputs[0])
        if target.type.dtype == "int8":
            attrs = {"scale": target.type.scale, "zero_point": target.type.zero_point}
        if target.shape != logits.shape:
            target = builder.reshape(target, newshape=logits.shape, label="target")
    return builder.op(ops.of_loss(objective.loss).name, logits, target, label="loss", **attrs)


def require_applicable(forward: Graph, optimizer: Optimizer) -> None:
    """Raise PolicyError for what is said of int8 updates where no parameter holds integers."""
    if not isinstance(optimizer, Optimizer):
        raise PolicyError(f"an optimizer is a workbench.policy.Optimizer; got {optimizer!r}")
    said = [f"--rounding {optimizer.rounding}"] * (optimizer.rounding != PLAIN_SGD.rounding)
    said += ["--no-qas"] * (not optimizer.qas)
    said += [f"--bias-storage {optimizer.bias_storage}"] * (optimizer.bias_storage != PLAIN_SGD.bias_storage)
    if said and all(forward.types[name].dtype == "float32" for name in forward.parameters):
        raise PolicyError(f"{' and '.join(said)}: for int8 weights alone; these are float32",
                          "leave it out, or train NAME-int8, the network quantized")  # fmt: skip


RATES = {"weight": "lr", "bias": "lr_bias"}
COUNTERS = ("seed", "step")  # what stochastic rounding hashes: the host writes the one, the firmware counts the other


def _append_update(
    builder: Builder, name: str, gradient: Value, rate: Value, counters: tuple[Value, ...], optimizer: Optimizer,
    order: Mapping[int, Sequence[int] | np.ndarray], wide: Ints | None,
) -> None:  # fmt: skip
    """`wide` of a bias that is kept as a delta."""
    builder.default_label = f"{labels.UPDATE}{name}"
    if optimizer.clip is None:
        gradient = _accumulated(builder, name, gradient, optimizer)
    attrs: dict[str, Any] = {"scale": 1 / optimizer.accumulate, "weight_decay": optimizer.weight_decay}
    if builder.types[name].dtype != "float32":
        if optimizer.momentum:
            raise PolicyError(f"{name} holds integers: they are updated without momentum", "leave out --momentum")
        scales, unit = units(builder, name)
        attrs |= {"unit": unit, "parameter": builder.parameters.index(name)}
        attrs |= {"rounding": optimizer.rounding, "qas": optimizer.qas}
        if counters:
            attrs |= {
                called: tuple(map(int, order.get(axis, ()))) for axis, called in enumerate(("filters", "channels"))
            }
        if wide is None:
            emit.updated(builder, builder.value(name), gradient, scales, rate, *counters, **attrs)
        else:
            change, base = builder.value(state_of(name)), builder.value(name)
            emit.updated_delta(builder, change, gradient, base, scales, rate, *counters, wide=wide, **attrs)
    elif optimizer.momentum:
        speed = builder.state_beside(name, "momentum")
        builder.sgd_momentum(builder.value(name), gradient, speed, rate, momentum=optimizer.momentum, **attrs)
    else:
        builder.sgd(builder.value(name), gradient, rate, **attrs)
    if optimizer.accumulate > 1:
        builder.clear(gradient, label=f"{labels.CLEAR}{name}")


def _accumulated(builder: Builder, name: str, gradient: Value, optimizer: Optimizer) -> Value:
    """The gradient, or its sum over the batches of a step."""
    if optimizer.accumulate == 1:
        return gradient
    return builder.accumulate(builder.state_beside(name, "sum"), gradient, label=f"{labels.SUM}{name}")


def _clipped(
    builder: Builder, gradients: Mapping[str, Value], rates: Mapping[str, Value], optimizer: Optimizer
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Gradients, summed over the batches of a step, and rates, such that the global norm is at most `optimizer.clip`.

    Where an update is the rate times the gradient, the rate is made smaller instead of every gradient.
    """
    sums = {name: _accumulated(builder, name, gradient, optimizer) for name, gradient in gradients.items()}
    squares = []
    for name, gradient in sums.items():
        scales, unit = ((), 1.0) if builder.types[name].dtype == "float32" else units(builder, name)
        operands = (gradient, scales) if scales else (gradient,)
        squares.append(builder.sum_of_squares(*operands, unit=unit, label=f"{labels.SQUARES}{name}"))
    factor = builder.clip_factor(*squares, limit=optimizer.clip, scale=1 / optimizer.accumulate, label="clip")
    if not (optimizer.momentum or optimizer.weight_decay):
        return sums, {
            role: builder.scale(rate, factor, label=f"{labels.CLIP}{rate.name}") for role, rate in rates.items()
        }
    storage = {name: _storage(builder, gradient) for name, gradient in sums.items()}
    alone = {name for name, each in storage.items() if list(storage.values()).count(each) == 1}
    scaled = {
        name: builder.scale(gradient, factor, label=f"{labels.CLIP}{name}", over=(gradient.name,) * (name in alone))
        for name, gradient in sums.items()
    }
    return scaled, dict(rates)


def _storage(builder: Builder, value: Value) -> str:
    """Where a gradient lies: two parameters that are added to one image, of its shape, have one gradient."""
    while (maker := builder.producer(value)) is not None and ops.get(maker.op).view:
        value = builder.value(maker.operands[0])
    return value.name


def keep_parts_early(forward: Graph, graph: Graph) -> Graph:
    """What the backward keeps of a forward value (`Op.keeps`) is made as soon as the forward has read that value.

        conv2d(x, w); …            backward: part = x[:, :2]; dw = …       x lives until the backward
        conv2d(x, w); part = x[:, :2]; …     backward: dw = …              two channels of it do

    Left where it is if the backward reads the rest of x all the same; a clip's own gradient does not count, for it
    needs no more than a bit mask.
    """
    root, count = graph.analysis.root, len(forward.nodes)
    behind: dict[int, list[Node]] = {}
    for node in graph.nodes[count:]:
        if not ops.get(node.op).keeps or node.operands[0] not in forward.types:
            continue
        source = root[node.operands[0]]
        readers = graph.analysis.storage_readers[source]
        late = [graph.nodes[index].op for index in readers if index >= count]
        maker = graph.analysis.producer(source)
        masked = ops.get(maker.op).masked if maker else ""
        if all(ops.get(op).keeps or masked == op for op in late):
            last = max(index for index in readers if index < count)
            label = node.label.replace(labels.GRADIENT, labels.KEPT, 1)
            behind.setdefault(last, []).append(replace(node, label=label))
    moved = {node.results[0] for nodes in behind.values() for node in nodes}
    order = [each for i, node in enumerate(graph.nodes[:count]) for each in (node, *behind.get(i, ()))]
    return graph.with_nodes([*order, *(node for node in graph.nodes[count:] if node.results[0] not in moved)])


def channel_axis(graph: Graph, weight: str) -> tuple[int, int]:
    """The axis along which a part of a weight can be updated, and how many elements along it make a channel.

    Raises PolicyError where its operator updates whole weights only.
    """
    axes: set[tuple[int, int] | None] = set()
    for reader in graph.analysis.readers[weight]:
        node = graph.nodes[reader]
        op = ops.get(node.op)
        types = [graph.types[operand] for operand in node.operands]
        for index, name in enumerate(node.operands):
            if name == weight:
                known = op.kernel is not None and index in op.kernel.split
                axes.add(op.part(*types, **node.attrs) if op.part and known else None)
    (axis, *others) = axes or {None}
    if axis is None or others:
        raise _whole_only(weight)
    return axis


def _require_read_in_parts(graph: Graph) -> None:
    """Raise PolicyError for a partly updated weight that a gradient reads where only a whole one can be read."""
    for node in graph.nodes:
        kernel = ops.get(node.op).kernel
        for index, name in enumerate(node.operands):
            if isinstance(graph.types[name].needs_grad, tuple) and (kernel is None or index not in kernel.split):
                raise _whole_only(name)


def _whole_only(weight: str) -> PolicyError:
    hint = "a fraction of 1 updates it"
    return PolicyError(f"{written(weight)}: a part of it cannot be updated, only the whole", hint)


def _require_part(forward: Graph, name: str) -> None:
    part = forward.types[name].needs_grad
    if isinstance(part, tuple):
        axis, unit = channel_axis(forward, name)
        if part[0] != axis or part[1] % unit:
            raise PolicyError(f"{name}: the part is of whole channels along axis {axis}, {unit} elements each; "
                              f"got grad_slice={list(part)}")  # fmt: skip


def loss_nodes(graph: Graph) -> tuple[Node, ...]:
    """The nodes that make a loss: one in a training graph; its operands are the logits and the target."""
    return tuple(node for node in graph.nodes if ops.get(node.op).loss)


def fed_targets(graph: Graph) -> tuple[str, ...]:
    """The arguments that an output is held against: labels or numbers. None where the input is the target, which the
    forward reads too.
    """
    root = graph.analysis.root
    read: set[str] = set()
    held: set[str] = set()
    for node in graph.nodes:
        op = ops.get(node.op)
        if op.loss:
            held |= {root[name] for name in node.operands[1:]} - read
        elif not op.view:
            read |= {root[name] for name in node.operands}
    return tuple(name for name in graph.inputs if name in held)


def parameter_roles(graph: Graph) -> dict[str, str]:
    """Parameter -> weight, bias, scale or constant, as its first reader uses it."""
    roles: dict[str, str] = {}
    for node in graph.nodes:
        for index, told in ops.get(node.op).parameters.items():
            if index < len(node.operands) and node.operands[index] in graph.parameters:
                name = node.operands[index]
                roles.setdefault(name, role_of(told, name, graph.types[name]))
    return {name: roles.get(name) or role_of("", name, graph.types[name]) for name in graph.parameters}


def role_of(told: str, name: str, kind: TensorType) -> str:
    """The role of a parameter whose reader's `Op.parameters` says `told` of it ("": nothing).

    What a frontend calls NAME.constant stays as it is. A factor is a weight; a term is a bias where it is called so, or
    is one number a channel and not called weight. Any other is a weight: a position's embedding, say.
    """
    if told not in ("factor", "term", "bias", ""):
        return told
    if name.endswith(CONSTANT):
        return "constant"
    if told == "bias":
        return told
    if told == "factor" or name.endswith(".weight"):
        return "weight"
    one_a_channel = told == "term" and sum(size > 1 for size in kind.shape) <= 1
    return "bias" if one_a_channel or name.endswith(".bias") else "weight"


def _depends_on(graph: Graph, wanted: tuple[str, ...]) -> set[str]:
    needing = set(wanted)
    for node in graph.nodes:
        if needing.intersection(node.operands):
            needing.update(node.results)
    return needing


def _in_training_form(graph: Graph, needing: set[str]) -> Graph:
    """Forward nodes that gradients pass through save what their rule reads (`Op.training`)."""
    builder = Builder(graph)
    builder.nodes = []
    for node in graph.nodes:
        op = ops.get(node.op)
        if op.training and needing.intersection(node.operands):
            attrs = {**node.attrs, **op.training}
            types = op.result_types([graph.types[name] for name in node.operands], attrs)
            extra = builder.fresh(len(types) - len(node.results))
            node = Node(node.op, node.operands, (*node.results, *extra), attrs, node.over, node.label)
            builder.types.update(zip(node.results, types, strict=True))
        builder.nodes.append(node)
    return builder.graph(*(builder.value(name) for name in graph.outputs))


def _is_loss(graph: Graph, output: str) -> bool:
    maker = graph.analysis.producer(output)
    return maker is not None and bool(ops.get(maker.op).loss)


def _total(builder: Builder, parts: list[Value]) -> Value | None:
    """The sum of the gradients that meet at a value; None where there is none."""
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = builder.add(total, part)
    return total

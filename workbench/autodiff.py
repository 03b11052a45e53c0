"""Differentiate at compile time: append the backward graph, for the wanted values only, and the updates.

The gradient of each node is emitted by its operator's rules, one an operand; gradients that meet are summed.
"""

from collections.abc import Iterable

import workbench.ops  # noqa: F401  registers the operators gradients are made of
from workbench.errors import GraphError, PolicyError
from workbench.ir import op as ops
from workbench.ir.build import Builder, Value
from workbench.ir.graph import Graph, Node
from workbench.ir.liveness import GRADIENT_INPUT
from workbench.ir.verify import verify
from workbench.policy import PLAIN_SGD, Optimizer


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
        builder.default_label = f"d.{graph.label(node.results[0])}"
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
            builder.default_label = f"d.{graph.label(operand)}"
            operands = [builder.value(name) for name in node.operands]
            results = tuple(builder.value(name) for name in node.results)
            meet.setdefault(operand, []).append(rule(builder, dy, *operands, y=results, **node.attrs))
    for name in wanted:
        builder.default_label = f"d.{name}"
        total = gradients.get(name) or _total(builder, meet.pop(name, []))
        if total is None:
            raise GraphError(f"%{output} does not depend on %{name}: it has no gradient")
        gradients[name] = total
    gradients = {name: gradients[name] for name in wanted}
    return verify(builder.graph(*gradients.values())), {name: value.name for name, value in gradients.items()}


def training_step(forward: Graph, optimizer: Optimizer = PLAIN_SGD) -> Graph:
    """Forward, loss, gradients and updates of every parameter that needs a gradient, in the order *vanilla* runs them.

    Arguments added: `%label0` (int32, one a sample), the scalars `%lr` for weights and `%lr_bias` for biases, and the
    optimizer's state. The output is the batch's mean loss; the logits are the loss node's first operand.
    """
    wanted = [name for name in forward.parameters if forward.types[name].needs_grad]
    if not wanted:
        raise PolicyError("the policy updates no parameter of this network")
    sliced = [name for name in wanted if forward.types[name].needs_grad is not True]
    if sliced:
        raise PolicyError(f"only whole parameters can be updated; {', '.join(sliced)} asks for a slice")
    builder = Builder(forward)
    logits = builder.value(forward.outputs[0])
    labels = builder.input("label0", logits.shape[:1], "int32")
    loss = builder.softmax_cross_entropy(logits, labels, label="loss")
    graph, gradients = differentiate(builder.graph(loss), wanted)

    builder = Builder(graph)
    roles = parameter_roles(forward)
    rates = {role: builder.input(rate) for role, rate in RATES.items() if role in {roles[name] for name in wanted}}
    for name, gradient in gradients.items():
        _append_update(builder, name, builder.value(gradient), rates[roles[name]], optimizer)
    return verify(builder.graph(loss))


RATES = {"weight": "lr", "bias": "lr_bias"}


def _append_update(builder: Builder, name: str, gradient: Value, rate: Value, optimizer: Optimizer) -> None:
    builder.default_label = f"update.{name}"
    total = None
    if optimizer.accumulate > 1:
        total = gradient = builder.accumulate(builder.state_beside(name, "sum"), gradient, label=f"sum.{name}")
    attrs = {"scale": 1 / optimizer.accumulate, "weight_decay": optimizer.weight_decay}
    if optimizer.momentum:
        speed = builder.state_beside(name, "momentum")
        builder.sgd_momentum(builder.value(name), gradient, speed, rate, momentum=optimizer.momentum, **attrs)
    else:
        builder.sgd(builder.value(name), gradient, rate, **attrs)
    if total is not None:
        builder.clear(total, label=f"clear.{name}")


def loss_nodes(graph: Graph) -> tuple[Node, ...]:
    """The nodes that make a loss: one in a training graph; its operands are the logits and the labels."""
    return tuple(node for node in graph.nodes if ops.get(node.op).loss)


def parameter_roles(graph: Graph) -> dict[str, str]:
    """Parameter -> weight or bias, as its first reader uses it."""
    roles: dict[str, str] = {}
    for node in graph.nodes:
        for index, role in ops.get(node.op).parameters.items():
            if node.operands[index] in graph.parameters:
                roles.setdefault(node.operands[index], role)
    return {name: roles.get(name, "weight") for name in graph.parameters}


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
    return any(ops.get(node.op).loss and output in node.results for node in graph.nodes)


def _total(builder: Builder, parts: list[Value]) -> Value | None:
    """The sum of the gradients that meet at a value; None where there is none."""
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = builder.add(total, part)
    return total

"""What update policies would update, save and cost, as planned: no firmware is built."""

from collections.abc import Sequence
from dataclasses import dataclass

from workbench import session
from workbench.frontends import Model
from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.liveness import liveness, phases, steps
from workbench.passes.apply_policy import apply_policy, weighted_layers
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy, parse_policy


@dataclass(frozen=True)
class Cost:
    """Of one policy: elements updated, bytes of weights and state in SRAM, of what the forward saves for the backward,
    and of the planned arena; multiply-accumulates forward and behind the loss, of the whole batch.
    """

    policy: str
    updated: int
    parameters_bytes: int
    saved_bytes: int
    arena_bytes: int
    forward_macs: int
    backward_macs: int


@dataclass(frozen=True)
class LayerPart:
    """What a policy updates of one layer: elements of its weights and biases, and of how many there are."""

    layer: str
    weights: int
    weights_of: int
    biases: int
    biases_of: int


def cost(
    model: Model, policy: str | UpdatePolicy, schedule: str = "optimized", optimizer: Optimizer = PLAIN_SGD
) -> Cost:
    """What a training step under this policy costs, by its plan. Raises PolicyError as compiling does."""
    compiled = session.compile(model, policy, schedule, optimizer)
    graph = compiled.graph
    updated = [graph.types[name].updated for name in graph.parameters if graph.types[name].needs_grad]
    state = [graph.types[name] for name in graph.state]
    forward, backward = _macs(graph)
    return Cost(
        compiled.policy.name, sum(kind.elements for kind in updated), sum(kind.bytes for kind in [*updated, *state]),
        saved_bytes(graph), compiled.memory.plan.bytes, forward, backward,
    )  # fmt: skip


def layer_parts(model: Model, policy: str | UpdatePolicy) -> list[LayerPart]:
    """Layer by layer, in forward order."""
    types = apply_policy(model.graph, parse_policy(policy)).types

    def elements(names: Sequence[str]) -> tuple[int, int]:
        kinds = [types[name] for name in names]
        return sum(kind.updated.elements for kind in kinds if kind.needs_grad), sum(kind.elements for kind in kinds)

    return [
        LayerPart(layer.name, *elements(layer.weights), *elements(layer.biases))
        for layer in weighted_layers(model.graph)
    ]


def saved_bytes(graph: Graph) -> int:
    """Bytes that the forward leaves for the backward: what is alive behind the loss and was made before it."""
    loss = phases(graph).index("loss")
    return sum(storage.bytes for storage in liveness(graph).arena if storage.lower < loss and storage.upper > loss + 1)


def _macs(graph: Graph) -> tuple[int, int]:
    forward = backward = 0
    for node, phase in zip(steps(graph), phases(graph), strict=True):
        macs = ops.get(node.op).macs(*(graph.types[name] for name in node.operands), **node.attrs)
        forward, backward = (forward + macs, backward) if phase == "forward" else (forward, backward + macs)
    return forward, backward

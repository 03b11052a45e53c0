"""What training a network would take, by its graph alone: layers, multiply-accumulates, and an estimate of each policy.

Nothing is generated, compiled by gcc or run. SRAM is planned, but for the stack, which is assumed; planning a big
network with the pass `regions` takes long: unless told to, it is planned without, and needs less with it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from workbench import boards
from workbench.autodiff import parameter_roles, training_step
from workbench.boards import Board
from workbench.errors import ModelError
from workbench.frontends import Model
from workbench.frontends.summary import Layer, layers
from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.labels import GRADIENT
from workbench.objective import Objective
from workbench.passes.apply_policy import apply_policy, weighted_layers
from workbench.passes.pipeline import chosen_passes, run_forward_passes
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy
from workbench.study.instructions import estimated_instructions
from workbench.study.policies import Cost, cost

MANY_NODES = 60  # from so many on the pass `regions` takes seconds a policy


@dataclass(frozen=True)
class Trained:
    """A layer under a policy: how many of its parameters can be updated and are, and the multiply-accumulates that its
    gradients take, of the whole batch (None: the network cannot be trained).
    """

    layer: Layer
    trainable: int
    updated: int
    backward_macs: int | None

    def as_json(self) -> dict:
        own = self.layer
        return {
            "layer": own.name, "operators": list(own.operators), "dtype": own.dtype, "shape": list(own.shape),
            "parameters": own.elements, "trainable": self.trainable, "updated": self.updated, "macs": own.macs,
            "backward_macs": self.backward_macs,
        }  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """What a policy takes. `at_most`: planned without `regions`, so it may need less; `boards`: name -> whether it
    fits, None where only the plan with `regions` could tell.
    """

    cost: Cost
    instructions: int
    at_most: bool
    boards: dict[str, bool | None]

    def as_json(self) -> dict:
        own = self.cost
        return {
            "policy": own.policy, "updated": own.updated, "forward_macs": own.forward_macs,
            "backward_macs": own.backward_macs, "instructions": self.instructions, "saved_bytes": own.saved_bytes,
            "arena_bytes": own.arena_bytes, "static_bytes": own.static_bytes, "sram_bytes": own.sram_bytes,
            "at_most": self.at_most, "fits": self.boards,
        }  # fmt: skip


def usual_policies(model: Model) -> tuple[str, ...]:
    """The policies to estimate where none are named: the network's own; the last layers where none are published."""
    count, last = len(weighted_layers(model.graph)), () if model.published else (1, 2)
    return ("full", "bias-only", *model.policies, *(f"last-{k}" for k in last if k < count))


def trained_layers(
    model: Model, policy: str | UpdatePolicy = "full", objective: Objective | None = None
) -> list[Trained]:
    """Layer by layer. Raises PolicyError for a policy that does not apply to the network."""
    every = layers(model.graph)
    if not weighted_layers(model.graph):
        return [Trained(layer, 0, 0, None) for layer in every]
    marked, roles = apply_policy(model.graph, model.policy(policy)), parameter_roles(model.graph)
    backward = _backward_macs(model, marked, every, objective)
    types = marked.types

    def elements(names: Sequence[str], part: bool) -> int:
        kinds = [types[name].updated if part else types[name] for name in names]
        return sum(kind.elements for kind in kinds)

    def trained(layer: Layer) -> Trained:
        own = [name for name in layer.parameters if roles.get(name) in ("weight", "bias")]
        wanted = [name for name in own if types[name].needs_grad]
        return Trained(layer, elements(own, part=False), elements(wanted, part=True),
                       None if backward is None else backward[layer.name])  # fmt: skip

    return [trained(layer) for layer in every]


def estimate(
    model: Model,
    policy: str | UpdatePolicy,
    schedule: str = "optimized",
    optimizer: Optimizer = PLAIN_SGD,
    passes: str = "",
    on: Sequence[Board] = boards.REFERENCE,
    quick: bool = False,
    objective: Objective | None = None,
) -> Estimate:
    """What a step under this policy would take, and which boards it fits. `quick`: a big network's plan is without
    `regions`; `objective` as session.compile takes it. Raises what compiling raises."""
    at_most = quick and schedule == "optimized" and len(model.graph.nodes) >= MANY_NODES
    without = ["-regions"] if at_most else []
    of_plan = cost(model, policy, schedule, optimizer, ",".join(filter(None, [passes, *without])), objective)
    step = _training_step(model, apply_policy(model.graph, model.policy(policy)), optimizer, objective, passes)

    def fits(board: Board) -> bool | None:
        if of_plan.fits(board):
            return True
        kept = of_plan.static_bytes + of_plan.saved_bytes  # whatever the plan
        return None if at_most and kept <= board.sram_size else False

    return Estimate(of_plan, estimated_instructions(step), at_most, {board.name: fits(board) for board in on})


def _training_step(
    model: Model, marked: Graph, optimizer: Optimizer = PLAIN_SGD, objective: Objective | None = None, passes: str = ""
) -> Graph:
    """The step as autodiff gives it. Raises ModelError for a network that cannot be trained."""
    marked, weights, _ = run_forward_passes(marked, model.weights, chosen_passes("optimized", passes))
    return training_step(marked, optimizer, objective=objective or model.objective(), weights=weights)


def _backward_macs(model: Model, marked: Graph, every: list[Layer], objective: Objective | None) -> Counter | None:
    """Of each layer: the nodes behind the loss that read a parameter of the layer or make that parameter's gradient."""
    try:
        step = _training_step(model, marked, objective=objective)
    except ModelError:
        return None
    layer_of = {name: layer.name for layer in every for name in layer.parameters}
    macs: Counter = Counter()
    for node, phase in zip(step.analysis.work, step.analysis.phases, strict=True):
        own = [layer_of[name] for name in node.operands if name in layer_of]
        own += [layer_of[name] for name in (node.label.removeprefix(GRADIENT),) if name in layer_of]
        if own and phase in ("backward", "update"):
            macs[own[0]] += ops.get(node.op).macs(*(step.types[name] for name in node.operands), **node.attrs)
    return macs

"""What update policies would update, save and cost, as planned: no firmware is built."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import frontends, session
from workbench.boards import Board
from workbench.codegen.layout import lay_out
from workbench.frontends import Model
from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.liveness import liveness
from workbench.objective import Objective
from workbench.passes.apply_policy import Layer, apply_policy, weighted_layers
from workbench.passes.permute_channels import updated_channels
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy
from workbench.units import KB

if TYPE_CHECKING:
    from workbench.report.figure import Picture

STACK, CODE = 512, 96 * KB  # bytes assumed: our networks' stacks took 28 to 412, their code 17 to 100 KB


@dataclass(frozen=True)
class Cost:
    """What one policy costs: elements updated; bytes of weights and state in SRAM, of what the forward saves for the
    backward, and of the planned arena; multiply-accumulates of the whole batch, forward and behind the loss.
    `static_bytes`: weights and state with the scalars beside them; `constant_bytes` of flash: all parameters' first
    values.
    """

    policy: str
    updated: int
    parameters_bytes: int
    saved_bytes: int
    arena_bytes: int
    forward_macs: int
    backward_macs: int
    formula_bytes: int | None  # of extra memory, see extra_memory; None for a float32 network
    static_bytes: int
    constant_bytes: int

    @property
    def sram_bytes(self) -> int:
        """An estimate: the stack is not known before the C is compiled."""
        return self.static_bytes + self.arena_bytes + STACK

    def fits(self, board: Board) -> bool:
        return self.sram_bytes <= board.sram_size and self.constant_bytes + CODE <= board.flash_size


@dataclass(frozen=True)
class LayerPart:
    """What a policy updates of one layer: elements of its weights and biases, and of how many there are.

    Of a partly updated weight `channels` are the numbers, in the model, of those that are updated.
    """

    layer: str
    weights: int
    weights_of: int
    biases: int
    biases_of: int
    channels: tuple[int, ...] = ()
    channels_of: int = 0


def cost(
    model: Model,
    policy: str | UpdatePolicy,
    schedule: str = "optimized",
    optimizer: Optimizer = PLAIN_SGD,
    passes: str = "",
    objective: Objective | None = None,
) -> Cost:
    """What a training step under this policy costs, by its plan. Raises what compiling raises."""
    compiled = session.compile(model, policy, schedule, optimizer, passes, objective)
    graph = compiled.graph
    updated = [graph.types[name].updated for name in graph.parameters if graph.types[name].needs_grad]
    forward, backward = _macs(graph)
    buffers = lay_out(graph, compiled.memory).buffers
    kept = [row for row in buffers if row.storage == "sram"]
    constant = sum(row.size for row in buffers if row.storage == "flash" or row.role == "parameter")
    return Cost(
        compiled.policy.name, sum(kind.elements for kind in updated),
        sum(row.size for row in kept if row.role != "scalar"),
        saved_bytes(graph), compiled.memory.plan.bytes, forward, backward, extra_memory(model, compiled.policy),
        sum(row.size for row in kept), constant,
    )  # fmt: skip


def extra_memory(model: Model, policy: UpdatePolicy) -> int | None:
    """Bytes of SRAM that training an int8 network takes beyond inference, by the formula that the sparse policies of
    "On-Device Training Under 256KB Memory" (Lin et al. 2022) were searched with; None for a float32 network.

        biases updated     a bit an output element (the mask), 32 bits a bias
        weights updated    8 bits an element of the part, and of the input channels that it reads (saved)
        last layer         8 bits an element of its input, whatever is updated of it
    """
    types = apply_policy(model.graph, policy).types
    layers = [node for node in model.graph.nodes if "weight" in ops.get(node.op).parameters.values()]
    bits = 0
    if not layers:
        return None
    for node in layers:
        roles = ops.get(node.op).parameters
        of = {roles[index]: types[name] for index, name in enumerate(node.operands) if index in roles}
        x, y, w, b = types[node.operands[0]], types[node.results[0]], of["weight"], of.get("bias")
        if w.dtype != "int8" or b is None:
            return None
        if node is layers[-1]:
            bits += 8 * x.elements
            continue
        bits += y.elements + 32 * b.elements if b.needs_grad else 0
        part = w.updated.elements if w.needs_grad else 0
        bits += 8 * part + 8 * x.elements * part // w.elements
    return bits // 8


def layer_parts(model: Model, policy: str | UpdatePolicy) -> list[LayerPart]:
    """Layer by layer, in forward order."""
    policy = model.policy(policy)
    marked = apply_policy(model.graph, policy)
    channels, types = updated_channels(marked, model.weights, policy), marked.types

    def elements(names: Sequence[str]) -> tuple[int, int]:
        kinds = [types[name] for name in names]
        return sum(kind.updated.elements for kind in kinds if kind.needs_grad), sum(kind.elements for kind in kinds)

    def part_of(layer: Layer) -> LayerPart:
        chosen = next((channels[name] for name in layer.weights if name in channels), None)
        return LayerPart(layer.name, *elements(layer.weights), *elements(layer.biases), *(chosen or ()))

    return [part_of(layer) for layer in weighted_layers(model.graph)]


def plot_policies(
    model: str | Path | Model, policies: Sequence[str | UpdatePolicy], path: str | Path | None = None
) -> "Picture":
    """Each policy as layers, their weights and biases filled as far as it updates them; saved to `path` if given."""
    from workbench.report.figure import save_figure
    from workbench.report.paradigms import paradigms, paradigms_figure

    model = frontends.network(model)
    parts = {model.policy(each).name: layer_parts(model, each) for each in policies}
    figure = paradigms_figure(model.name, paradigms(parts))
    if path is not None:
        save_figure(figure, path, text=True)
    return figure


def saved_bytes(graph: Graph) -> int:
    """Bytes that the forward saves for the backward: values made before the loss and alive after it."""
    loss = graph.analysis.phases.index("loss")
    return sum(
        storage.bytes_at(loss + 1)
        for storage in liveness(graph).arena
        if storage.lower < loss and storage.upper > loss + 1
    )


def _macs(graph: Graph) -> tuple[int, int]:
    forward = backward = 0
    for node, phase in zip(graph.analysis.work, graph.analysis.phases, strict=True):
        macs = ops.get(node.op).macs(*(graph.types[name] for name in node.operands), **node.attrs)
        forward, backward = (forward + macs, backward) if phase == "forward" else (forward, backward + macs)
    return forward, backward

"""A network's graph at a stage, as text: what `workbench show` prints and workbench.show gives.

forward      as imported, its parameters marked by the policy
backward     differentiated, under headings: forward, loss, backward, update, and grad_input, grad_weight, grad_bias
optimized    after the passes of a schedule
planned      the same, with its memory plan
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import frontends
from workbench.artifacts import Compiled
from workbench.autodiff import differentiate, parameter_roles, training_step
from workbench.codegen.layers import layers_of
from workbench.errors import WorkbenchError, there_are
from workbench.frontends import Model
from workbench.ir.diff import print_difference
from workbench.ir.graph import Graph, Node
from workbench.ir.labels import GRADIENT
from workbench.ir.text import print_graph
from workbench.objective import Objective
from workbench.passes.apply_policy import apply_policy
from workbench.passes.permute_channels import updated_channels
from workbench.passes.pipeline import chosen_passes, run_forward_passes
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy
from workbench.units import ranges

if TYPE_CHECKING:
    from workbench.report.figure import Picture

STAGES = ("forward", "backward", "optimized", "planned")


@dataclass(frozen=True, repr=False)
class Shown:
    """`graph` is the network's at `stage` under `policy`; `full` that of the full update, where the difference is asked
    for; `compiled` the step, where it was compiled."""

    model: Model
    policy: UpdatePolicy
    stage: str
    graph: Graph
    full: Graph | None = None
    compiled: Compiled | None = None

    @property
    def text(self) -> str:
        """IR, which parses back to the graph."""
        if self.full is not None:
            return print_difference(self.full, self.graph)
        return print_graph(self.graph, headings(self.graph) if self.stage == "backward" else None)

    def __repr__(self) -> str:
        return f"{self.channels}{self.text}".rstrip()

    def plot(self, path: str | Path | None = None) -> "Picture":
        """The graph in layers, its buffers with their bytes; saved to `path` (.png, .svg, .pdf) if given."""
        from workbench.report.figure import save_figure
        from workbench.report.graph_figure import graph_figure
        from workbench.study.graph_tables import drawn

        title = f"{self.model.name} {self.policy.name}, {self.stage}"
        figure = graph_figure(drawn(title, self.graph, self.full))
        if path is not None:
            save_figure(figure, path, text=True)
        return figure

    @property
    def channels(self) -> str:
        """Comments that name the channels of partly updated weights, where these are not the model's first."""
        if self.policy.channels == "first":
            return ""
        marked = apply_policy(self.model.graph, self.policy)
        chosen = updated_channels(marked, self.model.weights, self.policy)
        return "".join(
            f"# {name}: channels {ranges(some)} of {total} first\n" for name, (some, total) in chosen.items()
        )


def show(
    model: str | Path | Model, *, stage: str = "forward", policy: str | UpdatePolicy = "full",
    schedule: str = "optimized", passes: str = "", optimizer: Optimizer = PLAIN_SGD, loss: str | None = None,
    objective: Objective | None = None, diff: bool = False,
) -> Shown:  # fmt: skip
    """The network's graph at a stage. `diff`, of stage backward: beside that of the full update.

    A part of a network, which ends in an image, has no loss unless one is named: its backward starts at the gradient of
    its output. Raises what compiling raises.
    """
    if stage not in STAGES:
        raise WorkbenchError(f"no stage is called {stage!r}", there_are(stage, STAGES))
    if diff and stage != "backward":
        raise WorkbenchError("--diff compares training graphs", "give --stage backward with it")
    model = frontends.network(model)
    policy = model.policy(policy)
    if stage in ("optimized", "planned"):
        from workbench import session

        compiled = session.compile(model, policy, schedule, optimizer, passes, objective or model.objective(loss))
        return Shown(model, policy, stage, compiled.graph, compiled=compiled)
    marked = apply_policy(model.graph, policy)
    if stage == "forward":
        return Shown(model, policy, stage, marked)
    is_part = loss is None and model.graph.types[model.graph.outputs[0]].rank > 2
    aim = None if is_part else objective or model.objective(loss)
    graph = _backward(model, policy, optimizer, aim)
    return Shown(model, policy, stage, graph, _backward(model, model.policy("full"), optimizer, aim) if diff else None)


def _backward(model: Model, policy: UpdatePolicy, optimizer: Optimizer, aim: Objective | None) -> Graph:
    """The training step as autodiff gives it, or without an aim the gradients of a part of a network."""
    marked = apply_policy(model.graph, policy)
    if aim is not None:
        marked, weights, _ = run_forward_passes(marked, model.weights, chosen_passes("optimized"))
        return training_step(marked, optimizer, objective=aim, weights=weights)
    wanted = [name for name in marked.parameters if marked.types[name].needs_grad]
    outside = marked.inputs if wanted == list(marked.parameters) else ()  # a part of a network, trained whole
    return differentiate(marked, [*outside, *wanted])[0]


def headings(graph: Graph) -> dict[str, str]:
    """The first result of a node -> what begins with it: a phase, or within the backward a gradient of a layer."""
    phases = {node.results[0]: phase for node, phase in zip(graph.analysis.work, graph.analysis.phases, strict=True)}
    layers = dict(zip(phases, layers_of(graph, graph.analysis.root), strict=True))
    gradients = _Gradients(graph, phases)
    found: dict[str, str] = {}
    phase = last = ""
    for node in graph.nodes:
        first = node.results[0]
        if first not in phases:  # a view belongs to what stands before it
            continue
        heading = new = phases[first]
        if new == "backward":
            heading = gradients.heading(node, layers[first]) or new
        if heading != last:
            found[first] = heading if new in (phase, heading) else f"{new}\n    # {heading}"
        phase, last = new, heading
    return found


class _Gradients:
    """What a gradient is of: an input, a weight or a bias of its layer."""

    def __init__(self, graph: Graph, phases: Mapping[str, str]):
        self.roles = parameter_roles(graph)
        reads_weight = [name for node in graph.nodes if phases.get(node.results[0]) == "forward"
                        and any(self.roles.get(name) == "weight" for name in node.operands)
                        for name in node.operands]  # fmt: skip
        self.read = {graph.label(name) for name in reads_weight}

    def heading(self, node: Node, layer: str) -> str:
        """grad_weight of conv1; through conv1 for what is a step on the way; "" for the loss's own gradient."""
        of = node.label.removeprefix(GRADIENT)
        if not layer:
            return ""
        what = f"grad_{self.roles[of]}" if of in self.roles else "grad_input" if of in self.read else ""
        return f"{what} of {layer}" if what else f"through {layer}"

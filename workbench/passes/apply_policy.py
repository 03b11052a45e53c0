"""Resolve an update policy against a network: set `needs_grad` on the parameters it updates, before autodiff runs."""

from dataclasses import dataclass

from workbench.autodiff import channel_axis, parameter_roles
from workbench.errors import PolicyError, meant
from workbench.ir.graph import Graph
from workbench.policy import HELP, TERMS, UpdatePolicy

FROZEN = ("scale", "constant")  # roles of parameters that no policy updates


@dataclass(frozen=True)
class Layer:
    """A weighted layer: its name, its weights and its biases (a bias belongs to the weight before it)."""

    name: str
    weights: tuple[str, ...]
    biases: tuple[str, ...]


def apply_policy(graph: Graph, policy: UpdatePolicy) -> Graph:
    """`graph` (forward) with the policy's parameters marked. Raises PolicyError for layers that are not there."""
    layers = weighted_layers(graph)
    for which in (*(part.layers for part in policy.weights), *policy.biases):
        _require_trainable(graph, which, policy)
    fraction: dict[str, float] = {}
    for part in policy.weights:
        for layer in chosen(layers, part.layers, policy):
            for name in layer.weights:
                fraction[name] = max(fraction.get(name, 0), part.fraction)
    wanted = {name: _part(graph, name, share) for name, share in fraction.items()}
    term = "last" if policy.file else "biases"
    for which in policy.biases:
        wanted |= {name: True for layer in chosen(layers, which, policy, term) for name in layer.biases}
    if not wanted:
        raise PolicyError(f"{policy.where} updates nothing: the network has no such parameter")
    return graph.with_needs_grad(wanted)


def _require_trainable(graph: Graph, which: str, policy: UpdatePolicy) -> None:
    """Raise PolicyError for the name of a parameter, or of its layer, that no policy updates."""
    frozen = {name: role for name, role in parameter_roles(graph).items() if role in FROZEN}
    name = next((each for each in (which, f"{which}.weight") if each in frozen), None)
    if name is None:
        return
    integers = frozen[name] == "constant" and graph.types[name].dtype != "float32"
    hint = "its float32 network can train it" if integers else "a network's own constants and scales stay as they are"
    raise PolicyError(f"{policy.where}: {name} is a {frozen[name]} of this network, which no policy updates", hint)


def chosen(layers: list[Layer], which: str, policy: UpdatePolicy, term: str = "last") -> list[Layer]:
    """The layers a policy means by all, last-N, head, a name or a number; by a parameter's name, that one alone.

    `term` is how the policy writes last-N: biases-N where it means those alone.
    """
    if which == "all":
        return layers
    if which == "head":
        return layers[-1:]
    if which.startswith("last-") and which[5:].isdecimal():
        count = int(which[5:])
        if count > len(layers):
            raise PolicyError(
                f"{policy.where} wants {count} weighted layers; the network has {len(layers)}",
                f"the last one that fits is {term}-{len(layers)}",
            )
        return layers[len(layers) - count :]
    if which.lstrip("-").isdecimal():
        if not -len(layers) <= int(which) < len(layers):
            raise PolicyError(f"{policy.where}: there is no layer {which}; the network has {len(layers)}, from 0")
        return [layers[int(which)]]
    found = [layer for layer in layers if which == layer.name]
    found += [Layer(layer.name, (which,), ()) for layer in layers if which in layer.weights]
    found += [Layer(layer.name, (), (which,)) for layer in layers if which in layer.biases]
    if not found:
        own, counts = [layer.name for layer in layers], range(1, len(layers) + 1)
        own += [name for layer in layers for name in (*layer.weights, *layer.biases)]
        names = ", ".join(layer.name for layer in layers)
        if policy.file:
            hint = f"{meant(which, [*own, *(f'last-{k}' for k in counts)])}it has {names}"
            raise PolicyError(f"{policy.file}: {which!r} is no layer of the network", hint)
        terms = [*TERMS, *(f"{term}-{k}" for term in ("last", "biases") for k in counts)]
        raise PolicyError(
            f"{policy.where}: {which!r} is neither a policy nor a layer of the network, which has {names}",
            f"{meant(which, [*terms, *own])}{HELP}",
        )
    return found


def _part(graph: Graph, weight: str, fraction: float) -> bool | tuple[int, int]:
    """`needs_grad` of a weight of which this fraction of the channels is updated: at least one channel, or all."""
    if fraction == 1:
        return True
    axis, unit = channel_axis(graph, weight)
    units = graph.types[weight].shape[axis] // unit
    count = max(1, round(fraction * units))
    return True if count == units else (axis, count * unit)


def weighted_layers(graph: Graph) -> list[Layer]:
    """The layers of a network in forward order. A weight called conv1.weight belongs to layer conv1, and so does each
    bias behind it, at every place where a shared weight is read."""
    roles = parameter_roles(graph)
    layers: list[Layer] = []
    place: dict[str, int] = {}  # parameter -> its layer
    last = 0
    for node in graph.nodes:
        for name in node.operands:
            if name not in graph.parameters or roles[name] in FROZEN:
                continue
            if roles[name] == "weight" or not layers:
                if name not in place:
                    weights, biases = ((name,), ()) if roles[name] == "weight" else ((), (name,))
                    layers.append(Layer(name.removesuffix(".weight"), weights, biases))
                last = place.setdefault(name, len(layers) - 1)
            elif name not in place:
                layer = layers[last]
                layers[last] = Layer(layer.name, layer.weights, (*layer.biases, name))
                place[name] = last
    return layers

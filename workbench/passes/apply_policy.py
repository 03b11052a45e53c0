"""Resolve an update policy against a network: set `needs_grad` on the parameters it updates, before autodiff runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from workbench.autodiff import channel_axis, parameter_roles
from workbench.errors import PolicyError, meant
from workbench.ir.graph import Graph
from workbench.policy import EXACT, GLOB, HELP, TERMS, UpdatePolicy, written

FROZEN = ("scale", "constant")  # roles of parameters that no policy updates


@dataclass(frozen=True)
class Layer:
    """A weighted layer: its name, its weights and its biases (a bias belongs to the weight before it)."""

    name: str
    weights: tuple[str, ...]
    biases: tuple[str, ...]


@dataclass(frozen=True)
class _Network:
    """What a policy can name: the layers, and the parameters that no policy updates, with their roles."""

    graph: Graph
    layers: Sequence[Layer]
    frozen: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Of layers, then of their parameters."""
        own = [layer.name for layer in self.layers]
        return own + [name for layer in self.layers for name in (*layer.weights, *layer.biases)]


def apply_policy(graph: Graph, policy: UpdatePolicy) -> Graph:
    """`graph` (forward) with the policy's parameters marked. Raises PolicyError for layers that are not there."""
    frozen = {name: role for name, role in parameter_roles(graph).items() if role in FROZEN}
    network = _Network(graph, weighted_layers(graph), frozen)
    fraction: dict[str, float] = {}
    together: set[str] = set()  # weights of layers that one term names together
    for part in policy.weights:
        layers = _chosen(network, part.layers, policy)
        if not any(layer.weights for layer in layers) and (part.layers not in policy.biases or part.fraction < 1):
            raise PolicyError(f"{policy.where}: {part.layers} names biases alone, which are updated as a whole",
                              "name them under biases" if policy.file else "leave out the fraction")  # fmt: skip
        for layer in layers:
            for name in layer.weights:
                fraction[name] = max(fraction.get(name, 0), part.fraction)
                together |= {name} if len(layers) > 1 else set()
    wanted = {name: _part(graph, name, share, name in together) for name, share in fraction.items()}
    term, weights = "last" if policy.file else "biases", {part.layers for part in policy.weights}
    for which in policy.biases:
        layers = _chosen(network, which, policy, term)
        if which not in weights and layers and not any(layer.biases or layer in network.layers for layer in layers):
            raise PolicyError(f"{policy.where}: {which} names weights alone", "name them under [weights]")
        wanted |= {name: True for layer in layers for name in layer.biases}
    if not wanted:
        raise PolicyError(f"{policy.where} updates nothing: the network has no such parameter")
    return graph.with_needs_grad(wanted)


def _chosen(network: _Network, which: str, policy: UpdatePolicy, term: str = "last") -> list[Layer]:
    """The layers a policy means by all, last-N, head, a number, a name or a glob; by a parameter's name, that alone.

    `term` is how the policy writes last-N: biases-N where it means those alone.
    """
    layers, exact = list(network.layers), which.removeprefix(EXACT)
    if exact != which:
        parameters = [Layer("", layer.weights, layer.biases) for layer in layers]  # they come before layers
        found = _fitting(parameters, lambda name: name == exact) or [each for each in layers if each.name == exact]
        if not found:
            raise _unknown(network, exact, policy, exactly=True)
        return found
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
    found = _fitting(layers, lambda name: name == which)
    if not found and GLOB.search(which):
        found = _fitting(layers, lambda name: fnmatchcase(name, which))
    if not found:
        raise _unknown(network, which, policy)
    return found


def _fitting(layers: Sequence[Layer], fits: Callable[[str], bool]) -> list[Layer]:
    """The layers whose names fit, and of others the parameters whose names do."""
    parts = [
        layer
        if fits(layer.name)
        else replace(layer, weights=tuple(filter(fits, layer.weights)), biases=tuple(filter(fits, layer.biases)))
        for layer in layers
    ]
    return [layer for layer in parts if layer.weights or layer.biases]


def _unknown(network: _Network, which: str, policy: UpdatePolicy, exactly: bool = False) -> PolicyError:
    """What is wrong with a name that no layer and no parameter has that can be updated."""
    glob = not exactly and GLOB.search(which)
    meant_names = (which, f"{which}.weight")
    frozen = [name for name in network.frozen
              if name in meant_names or (glob and any(fnmatchcase(name, each) for each in meant_names))]  # fmt: skip
    if frozen:
        integers = network.frozen[frozen[0]] == "constant" and network.graph.types[frozen[0]].dtype != "float32"
        hint = "its float32 network can train it" if integers else "a network's own constants and scales stay"
        return PolicyError(f"{policy.where}: {frozen[0]} is a {network.frozen[frozen[0]]} of this network, which no "
                           "policy updates", hint)  # fmt: skip
    counts = range(1, len(network.layers) + 1)
    names = [written(name, bool(policy.file)) for name in network.names]
    has = ", ".join(names[: len(network.layers)])
    if exactly:
        return PolicyError(f"{policy.where}: no layer and no parameter of the network is called {which!r}; it has "
                           f"{has}", meant(which, names).strip() or None)  # fmt: skip
    if glob:
        hint = f"{meant(which, names)}* stands for any letters, dots too: conv*, *.bias, blocks.3.*"
        return PolicyError(f"{policy.where}: {which!r} matches no layer and no parameter of the network, which has "
                           f"{has}", hint)  # fmt: skip
    if policy.file:
        hint = f"{meant(which, [*names, *(f'last-{k}' for k in counts)])}it has {has}"
        return PolicyError(f"{policy.file}: {which!r} is no layer of the network", hint)
    terms = [*TERMS, *(f"{term}-{k}" for term in ("last", "biases") for k in counts)]
    return PolicyError(
        f"{policy.where}: {which!r} is neither a policy nor a layer of the network, which has {has}",
        f"{meant(which, [*terms, *names])}{HELP}",
    )


def _part(graph: Graph, weight: str, fraction: float, together: bool) -> bool | tuple[int, int]:
    """`needs_grad` of a weight of which this fraction of the channels is updated: at least one channel, or all.

    `together`: it is named among others, so that one which has no part, a norm's, is updated whole.
    """
    if fraction == 1:
        return True
    try:
        axis, unit = channel_axis(graph, weight)
    except PolicyError:
        if together:
            return True
        raise
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

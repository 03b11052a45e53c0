"""Resolve an update policy against a network: set `needs_grad` on the parameters it updates, before autodiff runs."""

from workbench.autodiff import parameter_roles
from workbench.errors import PolicyError
from workbench.ir.graph import Graph
from workbench.policy import UpdatePolicy


def apply_policy(graph: Graph, policy: UpdatePolicy) -> Graph:
    """`graph` (forward) with the policy's parameters marked. Raises PolicyError for layers that are not there."""
    layers = weighted_layers(graph)
    for count in (policy.weights, policy.biases):
        if count is not None and count > len(layers):
            raise PolicyError(
                f"policy {policy.name} wants {count} weighted layers; the network has {len(layers)}",
                f"the last one that fits is last-{len(layers)}",
            )
    wanted = {}
    for depth, (weights, biases) in enumerate(reversed(layers)):
        wanted |= dict.fromkeys(weights, policy.weights is None or depth < policy.weights)
        wanted |= dict.fromkeys(biases, policy.biases is None or depth < policy.biases)
    if not any(wanted.values()):
        raise PolicyError(f"policy {policy.name} updates nothing: the network has no such parameter")
    return graph.with_needs_grad(wanted)


def weighted_layers(graph: Graph) -> list[tuple[list[str], list[str]]]:
    """(weights, biases) of each layer in forward order; a bias belongs to the weight before it."""
    roles = parameter_roles(graph)
    layers: list[tuple[list[str], list[str]]] = []
    seen = set()
    for node in graph.nodes:
        for name in node.operands:
            if name not in graph.parameters or name in seen:
                continue
            seen.add(name)
            if roles[name] == "weight":
                layers.append(([name], []))
            elif layers:
                layers[-1][1].append(name)
            else:
                layers.append(([], [name]))
    return layers

"""Rematerialize: compute again in the backward what the forward would save, where it is larger than its source.

    before   m, s, n = f(x)  …  loss  …  g(m, s, n)                  masks m, n and a kept slice s live on behind f
    after    f(x)            …  loss  …  m, s, n = f(x);  g(m, s, n)     only x does

Exact: the same operators on the same operands, whose weights are not updated before. In no schedule, as it costs
instructions: `--passes=recompute`. A chain has at most LONGEST operators that compute: an inverted bottleneck's
expansion and depthwise convolution, which have the widest masks. As a region it never has their results whole.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace

from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph, Node
from workbench.ir.labels import AGAIN
from workbench.ir.liveness import live_bytes, peak_bytes
from workbench.ir.rewrite import without_dead_code
from workbench.ir.types import STREAM
from workbench.passes import Declined
from workbench.passes.later import Later
from workbench.schedule.cascade import STACK
from workbench.units import size

LONGEST = 2


def recompute(graph: Graph, later: Later) -> Graph:
    """The graph with those chains computed again that lower its peak once the `later` passes have run too.

    Begins with every chain that saves more bytes than the image it starts from takes. While the peak is where a chain
    runs again, that chain is dropped. Then the chains that save least are dropped, as many as leave the peak as it is.
    """
    loss = next((index for index, node in enumerate(graph.nodes) if ops.get(node.op).loss), 0)
    saved = _saved(graph, loss)
    chains = _chains(graph, loss, saved)
    if not chains:
        raise Declined("nothing that is saved takes more memory than what it is computed from")
    without = peak_bytes(later.graph(graph))
    least, best = _least_peak(graph, loss, chains, saved, later)
    if least + STACK > without:
        raise Declined(f"the least peak is {size(least)} with it, stack left out, {size(without)} without")

    def in_vain(dropped: int) -> bool:
        again, _ = _computed_again(graph, loss, by_worth[dropped:], saved)
        return peak_bytes(later.graph(again)) <= least

    by_worth = sorted(best, key=lambda chain: _spared(graph, chain, saved))
    dropped = bisect_left(range(1, len(by_worth)), True, key=lambda count: not in_vain(count))
    return _computed_again(graph, loss, by_worth[dropped:], saved)[0]


def _least_peak(
    graph: Graph, loss: int, chains: list[list[Node]], saved: set[str], later: Later
) -> tuple[int, list[list[Node]]]:
    """Drop chains that run again at the peak until there is none: the least peak on the way, and the chains it had."""
    best: tuple[int, list[list[Node]]] | None = None
    while chains:
        again, copies = _computed_again(graph, loss, chains, saved)
        end = later.graph(again)
        peak = peak_bytes(end)
        if best is None or peak < best[0]:
            best = peak, chains
        live = zip(end.analysis.work, live_bytes(end), strict=True)
        worst = {name for node, alive in live if alive == peak for name in node.results}
        kept = [chain for chain, names in zip(chains, copies, strict=True) if not worst.intersection(names)]
        if len(kept) == len(chains):
            break
        chains = kept
    assert best is not None, "there is a chain to begin with"
    return best


def _chains(graph: Graph, loss: int, saved: set[str]) -> list[list[Node]]:
    """For each image, in order, the chain that starts from it and saves most. No node is in two chains."""
    images = [name for name in graph.inputs if graph.types[name].rank]
    images += [node.results[0] for node in graph.nodes[:loss]]
    chains: list[list[Node]] = []
    again: set[str] = set()
    for image in images:
        if image not in again:
            chain = _worth(graph, loss, image, saved - again)
            chains += [chain] if chain else []
            again.update(name for node in chain for name in node.results)
    return chains


def _saved(graph: Graph, loss: int) -> set[str]:
    """Images and masks that the forward makes and the backward reads, each alone in its storage."""
    known = graph.analysis
    return {
        name for name, index in known.maker.items()
        if index < loss <= known.last_reader(name) and graph.types[name].rank == 4
        and known.alone(name) and name not in known.outputs
    }  # fmt: skip


def _worth(graph: Graph, loss: int, image: str, saved: set[str]) -> list[Node]:
    """The chain from an image that saves the most bytes; [] where none saves any."""
    there, chain, best, most, length = {image}, [], [], 0, 0
    spared = 0 if image in saved else -graph.types[image].bytes
    for node in graph.nodes[:loss]:
        read = {name for name in node.operands if not graph.analysis.is_static(name)}
        computes = not ops.get(node.op).keeps  # a part of what is there costs next to nothing
        streamed = any(graph.types[name].layout == STREAM for name in node.operands)
        if len(read) != 1 or not read <= there or streamed or (computes and length == LONGEST):
            continue
        chain.append(node)
        there.add(node.results[0])
        length += computes
        spared += _spared(graph, [node], saved)
        if spared > most:
            best, most = list(chain), spared
    return best


def _spared(graph: Graph, chain: list[Node], saved: set[str]) -> int:
    return sum(graph.types[name].bytes for node in chain for name in saved.intersection(node.results))


def _computed_again(graph: Graph, loss: int, chains: list[list[Node]], saved: set[str]) -> tuple[Graph, list[set[str]]]:
    """The graph in which each chain runs once more, right before the backward first reads what it makes of `saved`; and
    for each chain the names of the values that it makes the second time."""
    builder, new = Builder(graph), dict[str, str]()
    copies: list[set[str]] = []
    before: dict[int, list[Node]] = {}
    for chain in chains:
        needed = saved.intersection(name for node in chain for name in node.results)
        again: list[Node] = []
        first = _place(graph, loss, needed)
        for node in reversed(chain):
            if needed.intersection(node.results):
                needed.update(node.operands)
                again.insert(0, node)
        new |= {name: builder.fresh(1)[0] for node in again for name in node.results}
        copies.append({new[name] for node in again for name in node.results})
        before.setdefault(first, []).extend(replace(_renamed(node, new), label=node.label + AGAIN) for node in again)
    nodes = list(graph.nodes[:loss])
    for at in range(loss, len(graph.nodes)):
        nodes += [*before.get(at, ()), _renamed(graph.nodes[at], new)]
    types = dict(graph.types) | {name: graph.types[old] for old, name in new.items()}
    whole = replace(graph, types=types).with_nodes(nodes)
    readers = whole.analysis.readers
    nodes = [_without_mask(node) if node.attrs.get("mask") and not readers[node.results[1]] else node for node in nodes]
    return without_dead_code(whole.with_nodes(nodes)), copies


def _place(graph: Graph, loss: int, needed: set[str]) -> int:
    """The index before which to make these: where the gradient is made that the first of them is read with. (In between
    they would part what can run as one region.)"""
    known = graph.analysis
    first = min(reader for name in needed for reader in known.readers[name] if reader >= loss)
    makers = (known.maker.get(name, -1) for name in graph.nodes[first].operands if name not in needed)
    return min((maker for maker in makers if maker >= loss), default=first)


def _renamed(node: Node, new: Mapping[str, str]) -> Node:
    operands, results = (tuple(new.get(name, name) for name in names) for names in (node.operands, node.results))
    return replace(node, operands=operands, results=results)


def _without_mask(node: Node) -> Node:
    return replace(node, attrs={**node.attrs, "mask": False}, results=node.results[:1], over=node.over[:1])

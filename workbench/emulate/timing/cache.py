"""How often an instruction cache misses, estimated from how often control went from block to block.

    outer: 80 lines, entered once, 10 rounds                 a cache of 64 lines
        inner: 40 lines, entered 10 times, 1000 rounds       40 · 10 + 40 · 10 misses

What runs in circles (a strongly connected part of the graph of blocks) and fits the cache misses each of its lines once
each time that it is entered. What does not fit is taken apart: the block by which it is entered misses all of its lines
each time that it runs, as least-recently-used lines do in a loop that is too long, and of the rest each circle is
looked at by itself. The order within a circle, sets of a cache that is not fully associative, and lines that last from
one circle to another are left out: an estimate, which is exact for loops within loops.
"""

import numpy as np

ENTRY = -1  # the source of an edge by which all begins


def misses(of: np.ndarray, line: np.ndarray, edges: np.ndarray, capacity: int) -> int:
    """Lines that are missed in a cache of `capacity` lines, all of it empty at first.

    of, line  that block of[i] needs line[i], each pair once
    edges     int64 [n, 4]: source block or ENTRY, target block, count (1 or more), and whether (1 or 0) the target's
              first line is the one that the source ran in last
    """
    source, target, count, shared = edges.T
    ran = np.bincount(target, count, minlength=int(of.max(initial=0)) + 1)
    needed = np.unique(line[ran[of] > 0])
    if len(needed) <= capacity:
        return len(needed)
    blocks = max(len(ran), int(source.max(initial=0)) + 1)
    sizes = np.bincount(of, minlength=blocks)
    alone = np.bincount(target, count * (sizes[target] - shared), minlength=blocks)
    total, waiting = 0, [np.arange(blocks)]
    while waiting:
        nodes = waiting.pop()
        circles, rest = _circles(nodes, source, target, blocks)
        total += int(alone[rest].sum())
        for circle in circles:
            inside = np.zeros(blocks, bool)
            inside[circle] = True
            comes = inside[target] & ~((source >= 0) & inside[source])
            own, runs = np.unique(line[inside[of]], return_inverse=True)
            if len(own) <= capacity:
                executed = np.bincount(runs.ravel(), ran[of[inside[of]]])
                total += int(np.minimum(max(1, count[comes].sum()), executed).sum())
            else:
                entries = np.bincount(target[comes], count[comes], minlength=blocks)
                head = circle[np.argmax(entries[circle])]
                total += int(alone[head])
                waiting.append(circle[circle != head])
    return total


def _circles(nodes, source, target, blocks: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The strongly connected parts of these nodes that run in circles, and the nodes that are in none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    inside = np.zeros(blocks, bool)
    inside[nodes] = True
    within = (source >= 0) & inside[source] & inside[target]
    ways = coo_array((np.ones(within.sum()), (source[within], target[within])), shape=(blocks, blocks))
    part = connected_components(ways, connection="strong")[1][nodes]
    circles = np.bincount(part)[part] > 1
    circles |= np.isin(nodes, source[within & (source == target)])
    order = np.argsort(part[circles], kind="stable")
    cuts = np.flatnonzero(np.diff(part[circles][order])) + 1
    found = np.split(nodes[circles][order], cuts) if circles.any() else []
    return found, nodes[~circles]

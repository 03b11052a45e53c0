"""What an instruction cache's misses cost a program, estimated from the edges that were counted."""

import numpy as np

from workbench.boards import Board, Region
from workbench.emulate.timing.cache import misses
from workbench.emulate.timing.decode import Code
from workbench.trace import flow_state as s
from workbench.trace.counted import Counted


def miss_cycles(counted: Counted, code: Code, board: Board) -> int | None:
    """Cycles that cached memory was waited for; None where the board has none that waits. Literals count as lines."""
    cached = [region for region in board.regions if region.wait_states and region.cache_lines]
    return sum(region.wait_states * _misses(counted, code, region) for region in cached) if cached else None


def _misses(counted: Counted, code: Code, region: Region) -> int:
    begin, end = counted.blocks[:, s.BEGIN_SIZE] & 0xFFFFFFFF, counted.blocks[:, s.END]
    first, last = begin // region.line, (end - 1) // region.line
    here = (begin >= region.base) & (begin < region.end)
    of, line = _spread(first, np.where(here, last - first + 1, 0))
    pools = np.flatnonzero((code.literal >= region.base) & (code.literal < region.end))
    low, high = (np.searchsorted(code.address[pools], each) for each in (begin, end))
    loads, pool = _spread(low, high - low)
    pairs = np.concatenate([[of, line], [loads, code.literal[pools[pool]] // region.line]], axis=1)
    of, line = np.unique(pairs, axis=1)
    source, target, count = counted.edges[counted.edges[:, s.COUNT] > 0][:, [s.FROM, s.TO, s.COUNT]].T
    shared = (source >= 0) & here[target] & (last[source] == first[target])
    return misses(of, line, np.stack([source, target, count, shared], axis=1), region.cache_lines)


def _spread(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(i, first[i]), (i, first[i] + 1) … count[i] times."""
    of = np.repeat(np.arange(len(count)), count)
    return of, first[of] + np.arange(len(of)) - (np.cumsum(count) - count)[of]

"""What the planner reaches: greedy beside exact, for MinMalloc inputs, cut rectangles and the built-in graphs.

    python tests/benchmarks/planner.py [SECONDS [FOLDER]]     SECONDS of search an input (default 60), FOLDER of *.csv

An input whose name holds a capacity (A.1048576.csv) is asked to fit it; all others are made as small as can be.
Not a test: a shared machine's clock is no judge. Nodes are the same everywhere, unless the seconds end the search.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from plan.rectangles import cut_rectangle

from workbench import frontends, session
from workbench.errors import WorkbenchError
from workbench.plan import Buffer, lower_bound, validate
from workbench.plan.allocate import COMPILE_LOOKS
from workbench.plan.exact import Limit, fit, minimise
from workbench.plan.greedy import greedy
from workbench.plan.problem import read_buffers

TESTS = Path(__file__).resolve().parent.parent
POLICIES = ("full", "bias-only", "last-1", "last-2", "last-3")
SCHEDULES = ("vanilla", "reordered", "optimized")
ROW = "{:<34}{:>8}{:>9}{:>9}{:>9}{:>8}{:>10}  {}"


def inputs(folder: Path) -> Iterator[tuple[str, list[Buffer], int]]:
    """Name, buffers and capacity."""
    for path in sorted(folder.glob("*.csv")):
        yield path.stem, read_buffers(path), int(path.stem.rsplit(".", 1)[1])
    for count in (150, 250, 450):
        for seed in (1, 2, 3):
            whole = cut_rectangle(seed, count, capacity=1024, positions=500)
            yield f"rectangle {count} #{seed}", whole, 1024
            thinned = [b for at, b in enumerate(whole) if at % 20]
            yield f"rectangle {count} #{seed}, 5 % less", thinned, 1024


def graphs() -> Iterator[tuple[str, list[Buffer]]]:
    for name in frontends.names():
        for policy in POLICIES:
            for schedule in SCHEDULES:
                try:
                    compiled = session.compile(frontends.load(name), policy, schedule)
                except WorkbenchError:
                    continue  # not to be trained, or no such policy
                buffers = [Buffer(b.id, b.lower, b.upper, b.size) for b in compiled.memory.plan.buffers]
                yield f"{name} {policy} {schedule}", buffers


def row_of_input(name: str, buffers: list[Buffer], capacity: int, seconds: float) -> str:
    answer = fit(buffers, capacity, Limit(seconds=seconds))
    if answer.placed:
        assert validate(buffers, answer.placed, capacity) is None
        size, verdict = max(b.end for b in answer.placed), "fits"
        verdict = "optimal" if size == lower_bound(buffers) else verdict
    else:
        size, verdict = "-", "impossible, proven" if answer.needed > capacity else "not found"
    first = greedy(buffers)
    return ROW.format(
        name, len(buffers), first.bound, first.bytes, size, f"{answer.seconds:.2f}", answer.nodes, verdict
    )


def row_of_graph(name: str, buffers: list[Buffer]) -> str:
    start = time.perf_counter()
    first = plan = greedy(buffers)
    if not plan.optimal:
        plan = minimise(buffers, plan, Limit(looks=COMPILE_LOOKS))
    seconds = time.perf_counter() - start
    assert validate(buffers, plan.buffers, plan.bytes) is None
    verdict = "optimal" if plan.optimal else f"at most {plan.gap} above"
    return ROW.format(name, len(buffers), plan.bound, first.bytes, plan.bytes, f"{seconds:.2f}", plan.nodes, verdict)


def main(seconds: float = 60, folder: str | None = None) -> None:
    shared = Path(os.environ.get("WORKBENCH_DATA") or TESTS.parents[1] / "shared" / "data")
    fit([Buffer("any", 0, 1, 1)], 1, Limit())  # the machine code is made before any clock runs
    print(ROW.format("input", "buffers", "bound", "greedy", "exact", "s", "nodes", "verdict"))
    for name, buffers, capacity in inputs(Path(folder or shared / "minimalloc")):
        print(row_of_input(name, buffers, capacity, float(seconds)), flush=True)
    for name, buffers in graphs():
        print(row_of_graph(name, buffers), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

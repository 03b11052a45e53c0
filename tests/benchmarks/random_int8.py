"""Random int8 networks of the kinds that most people have (see random_networks), by the hundreds.

    python tests/benchmarks/random_int8.py bits [N [FIRST]]        vanilla, reordered and optimized: equal to the bit?
    python tests/benchmarks/random_int8.py plans [N [FIRST]]       do they need more SRAM than in float32?

`bits` trains N networks for STEPS steps in each schedule, emulated: losses and weights are equal to the bit, no access
violates the plan, and what is touched is what is planned. Some seconds a network. Exit code 1: one is not so.

`plans` compiles N networks under each of POLICIES, without C: arena and static bytes of int8 beside those of float32;
where int8 needs MARGIN bytes more than float32, its worst position and the largest storages that are alive there.
"""

import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the tests' own modules

from random_networks import POLICIES, drawn_int8, planned, trained_alike

from workbench.artifacts import Compiled
from workbench.errors import WorkbenchError
from workbench.policy import PLAIN_SGD

STEPS = 3
MARGIN = 2048  # bytes
LARGER = (16, 17, 20, 24, 27, 32)  # rows and columns, where a plan is wanted alone


def worst(compiled: Compiled) -> str:
    """The operator at the worst position, and the largest storages alive there."""
    graph, living = compiled.graph, compiled.memory.liveness
    node = graph.analysis.work[living.worst]
    alive = [s for s in living.arena if s.lower <= living.worst < s.upper]
    largest = sorted(alive, key=lambda storage: -storage.bytes)[:3]
    told = (f"{graph.types[s.name]} {_maker(graph, s.name)}" for s in largest)
    return f"{node.op} {node.label} of {living.peak:,} B: {'; '.join(told)}"


def _maker(graph, name: str) -> str:
    maker = graph.analysis.maker.get(name)
    return name if maker is None else f"by {graph.nodes[maker].op} {graph.nodes[maker].label}"


def bits(count: int, first: int) -> int:
    wrong = 0
    for seed in range(first, first + count):
        begun, drawn = time.monotonic(), drawn_int8(seed)
        try:
            problem = trained_alike(drawn, STEPS)
        except WorkbenchError as error:
            problem = f"{type(error).__name__}: {error}"
        wrong += bool(problem)
        print(f"{seed:5} {problem or 'alike':10} {time.monotonic() - begun:5.1f} s  {drawn}", flush=True)
    print(f"{count} networks, {wrong} wrong")
    return int(wrong > 0)


def plans(count: int, first: int) -> int:
    more, kinds = [], Counter()
    for seed in range(first, first + count):
        for policy in POLICIES:
            drawn = drawn_int8(seed, LARGER, policy)
            try:
                small = replace(drawn, optimizer=PLAIN_SGD).compiled()
                wide = replace(drawn, optimizer=PLAIN_SGD, model=drawn.model.unquantized).compiled()
            except WorkbenchError as error:
                print(seed, policy, error)
                continue
            sizes = planned(small), planned(wide)
            kinds["less" if sizes[0] <= sizes[1] else "within" if sizes[0] <= sizes[1] + MARGIN else "more"] += 1
            if sizes[0] > sizes[1] + MARGIN:
                more.append((sizes[0] / sizes[1], *sizes, f"{drawn.model.name} {drawn.policy}: {worst(small)}"))
                print(f"{more[-1][0]:5.2f}  {sizes[0]:8,} {sizes[1]:8,}  {more[-1][3]}", flush=True)
    print(dict(kinds))
    return int(bool(more))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:4]]
    sys.exit({"bits": bits, "plans": plans}[sys.argv[1]](*numbers, *(200, 0)[len(numbers) :]))

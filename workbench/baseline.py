"""The conventional way of training, as schedules: the whole of it, and with one part after another taken away.

    conventional            a heap, updates at the end, every operator, kernels for any shape, an executor with a tape
    conventional-planned    addresses from the plan in the heap's place
    conventional-early      and each update as soon as it is safe
    conventional-used       and only the operators used
    conventional-literal    and kernels with sizes as literals
    reordered               and straight-line calls: nothing conventional is left

A name leads to what is left: codegen/conventional.py builds it, `workbench compare --ladder` measures them all.
"""

from dataclasses import dataclass

CONVENTIONAL = "conventional"
TAKEN_AWAY = {  # schedule -> what it lacks of the one before
    "conventional-planned": "the heap",
    "conventional-early": "late updates",
    "conventional-used": "unused operators",
    "conventional-literal": "sizes at run time",
    "reordered": "the executor",
}
LADDER = (CONVENTIONAL, *TAKEN_AWAY)


@dataclass(frozen=True)
class Baseline:
    """What a firmware has of the conventional way.

    heap            tensors are allocated as they come (plan/heap.py); False: at planned addresses
    late_updates    updates run at the end; False: each as soon as it is safe
    every_operator  kernels of all operators are linked in; False: of those used
    any_shape       kernels take their sizes at run time; False: as literals
    """

    heap: bool = True
    late_updates: bool = True
    every_operator: bool = True
    any_shape: bool = True


BASELINES = {
    CONVENTIONAL: Baseline(),
    "conventional-planned": Baseline(heap=False),
    "conventional-early": Baseline(heap=False, late_updates=False),
    "conventional-used": Baseline(heap=False, late_updates=False, every_operator=False),
    "conventional-literal": Baseline(heap=False, late_updates=False, every_operator=False, any_shape=False),
}

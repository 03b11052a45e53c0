"""Several seeds of one training: their networks, and their runs in parallel processes.

A seed decides the network's initial weights, the order of samples, and how int8 updates are rounded. All seeds hold out
the same samples (`split_seed` decides which), and all begin with given weights, or a pre-training, if there are any.
"""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from workbench import frontends
from workbench.errors import WorkbenchError, shown
from workbench.feeding import Training, with_data
from workbench.frontends import Model
from workbench.options import is_number, passes_for, takes
from workbench.study.cells import Cell, Comparison
from workbench.study.compare import compare_cells

MOST = 100  # the network of each lies in memory


def seeds_of(first: int, count: int) -> range:
    """`count` seeds from the first one on. Raises WorkbenchError for less than one, or too many."""
    if not is_number(count, Integral) or count < 1:
        raise WorkbenchError(f"seeds is {shown(count)}: at least one is needed", "how many, such as 3")
    if count > MOST:
        raise WorkbenchError(
            f"seeds is {shown(count)}: at most {MOST} at once", "a few tell mean and spread, such as 5"
        )
    return range(first, first + int(count))


def networks(
    name: str | Path | Model, first: Model, seeds: range, options: Training, batch=None, classes=None, shape=None
) -> Mapping[int, Model]:
    """The network of each seed; `first` is that of the first seed. A Model has the same weights for all of them.

    `options`: the training for which `first` was prepared.
    """
    if isinstance(name, Model):
        return dict.fromkeys(seeds, first)
    how = batch, classes, shape
    return {seed: first if seed == seeds[0] else _network(name, seed, options, *how) for seed in seeds}


def _network(name: str | Path, seed: int, options: Training, batch, classes, shape) -> Model:
    network = frontends.network(name, batch, seed, classes, shape)
    if network.unquantized is None:
        return network
    return with_data(network, replace(options, seed=seed), calibrate=True)[0]  # its ranges


def same_weights(models: Mapping[int, Model]) -> bool:
    """Whether all begin with the same weights, as networks do that bring their own."""
    first, *others = (model.weights for model in models.values())
    return all(np.array_equal(each[name], first[name]) for each in others for name in first)


@takes(compare_cells, without=("models", "lone", "seeds"), trace="ops")
def run_seeds(
    model: str | Path | Model, seeds: int = 3, *, policy: str = "full", schedule: str = "optimized", passes: str = "",
    input: str = "whole", **options: Any,
) -> Comparison:  # fmt: skip
    """One run with each of so many seeds, from `seed` on: `.runs`, and `.over_seeds()[0]` for mean and spread.

    Further keywords are those of compare: `folder` keeps the runs in seed-0/ … beside seeds.csv. Unlike there, `trace`
    is ops unless given, and what does not fit the board is an error.
    """
    seeds_of(0, seeds)  # raises; None would be one run that knows no seeds
    options = {"trace": "ops", **options, "seeds": seeds, "lone": True}
    return compare_cells(model, [Cell(policy, schedule, passes_for(passes, input))], **options)

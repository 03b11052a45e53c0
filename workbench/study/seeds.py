"""Several seeds of one training: their networks, and all of them run in parallel processes.

A seed is the network's initial weights, the order of samples, and how int8 updates are rounded. What is held out is the
same for all of them (`split_seed` tells it apart), and so is a start that was given: weights, or pre-training.
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
    """The first one and those that follow it. Raises WorkbenchError for a count that is none, or too many."""
    if not is_number(count, Integral) or count < 1:
        raise WorkbenchError(f"seeds is {shown(count)}: at least one is needed", "how many, such as 3")
    if count > MOST:
        raise WorkbenchError(
            f"seeds is {shown(count)}: at most {MOST} at once", "a few tell mean and spread, such as 5"
        )
    return range(first, first + int(count))


def networks(
    name: str | Path | Model, first: Model, seeds: range, options: Training, batch=None, classes=None
) -> Mapping[int, Model]:
    """The network of each seed: `first` is that of the first one; a Model has the same weights for all of them.

    `options` are those with which `first` was made fit for its data.
    """
    if isinstance(name, Model):
        return dict.fromkeys(seeds, first)
    return {seed: first if seed == seeds[0] else _network(name, seed, options, batch, classes) for seed in seeds}


def _network(name: str | Path, seed: int, options: Training, batch, classes) -> Model:
    found = frontends.network(name, batch, seed, classes)
    if found.unquantized is None:
        return found
    return with_data(found, replace(options, seed=seed), calibrate=True)[0]  # its ranges


def same_weights(models: Mapping[int, Model]) -> bool:
    """Whether all of them begin alike, as those do that come with their weights."""
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

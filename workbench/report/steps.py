"""A training step by its layers: F0 is the forward of layer 0, B0 its backward, U0 its update, in the order they run.

vanilla      F0 F1 F2 B2 B1 B0 U0 U1 U2
reordered    F0 F1 F2 B2 U2 B1 U1 B0 U0
"""

from collections.abc import Sequence

import pandas as pd

from workbench import units
from workbench.record import Run

LETTERS = {"forward": "F", "backward": "B", "update": "U"}
JOINED = "+"  # between the layers of a region (see ops.csv in FORMATS)
MOST = 48  # names in a line of text; of more, those that count up or down are told by their ends


def steps(run: Run) -> pd.DataFrame:
    """A row for neighbouring operators of one phase and layer: name, layer, begin and end (positions).

    Layers count from 0 in the order of the forward. What belongs to none, as the loss, has no row; a region of several
    has the numbers of all of them: B0–2.
    """
    ops = run.ops.sort_values("position", ignore_index=True)
    forward = ops.layer[ops.phase == "forward"].astype(str)
    order = dict.fromkeys(layer for told in forward for layer in told.split(JOINED) if layer)
    number = {layer: at for at, layer in enumerate(order)}
    rows: list[tuple[str, str, int, int]] = []
    for position, phase, layer in zip(ops.position.astype(int), ops.phase, ops.layer.astype(str), strict=True):
        numbers = sorted(number[each] for each in layer.split(JOINED) if each in number)
        if phase not in LETTERS or not numbers:
            continue
        name = f"{LETTERS[phase]}{units.ranges(numbers).replace(', ', ',')}"
        if rows and rows[-1][0] == name and rows[-1][3] == position:
            rows[-1] = (*rows[-1][:3], position + 1)
        else:
            rows.append((name, layer, position, position + 1))
    return pd.DataFrame(rows, columns=["name", "layer", "begin", "end"])


def steps_text(runs: Sequence[Run]) -> str:
    """A line a run: its schedule, and its steps in order; "" where no run knows the layers."""
    known = [(str(run.meta["schedule"]), list(steps(run).name)) for run in runs]
    wide = max((len(schedule) for schedule, _ in known), default=0)
    lines = [f"{schedule:<{wide}}  {' '.join(_shortened(names))}\n" for schedule, names in known if names]
    return "".join(["F forward, B backward, U update of each layer\n", *lines]) if lines else ""


def _shortened(names: list[str]) -> list[str]:
    """F0…F9 for F0 F1 … F9, where there are many."""
    if len(names) <= MOST:
        return names
    told: list[list[str]] = []
    for name in names:
        if told and _follows(told[-1], name):
            told[-1].append(name)
        else:
            told.append([name])
    return [f"{run[0]}…{run[-1]}" if len(run) > 2 else " ".join(run) for run in told]


def _follows(run: list[str], name: str) -> bool:
    """Whether a name counts on, by one up or down, as those before it do."""
    before = run[-1]
    if before[0] != name[0] or not (before[1:].isdecimal() and name[1:].isdecimal()):
        return False
    by = int(name[1:]) - int(before[1:])
    return by in (-1, 1) and (len(run) == 1 or by == int(before[1:]) - int(run[-2][1:]))

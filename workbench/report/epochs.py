"""A run's epochs as a table: the mean training loss of each, and what was measured at its end."""

import pandas as pd

from workbench import units
from workbench.record import Run
from workbench.report.cells import NOTHING, grid

FIGURES = {
    "loss": "training loss", "validation_loss": "validation loss", "validation_accuracy": "validation accuracy",
    "held_out_loss": "held-out loss", "accuracy": "held-out accuracy",
}  # fmt: skip
MOST = 20  # rows of a table


def epochs_table(run: Run) -> pd.DataFrame:
    """A row an epoch: `epoch`, and the FIGURES that any epoch has; NaN where one was not measured or is no number."""
    table = pd.DataFrame(run.meta.get("epochs_done") or [], columns=["epoch", *FIGURES])
    figures = table.drop(columns="epoch").apply(pd.to_numeric, errors="coerce")
    figures = figures[[name for name in figures if name == "loss" or figures[name].notna().any()]]
    return pd.concat([pd.to_numeric(table.epoch, errors="coerce"), figures], axis=1).dropna(subset="epoch")


def epochs_text(run: Run) -> str:
    """The table as text, '' for fewer than two epochs; of many epochs only some, with the first, last and best one."""
    table, best = epochs_table(run), run.meta.get("best_epoch")
    if len(table) < 2:
        return ""
    every = -(-len(table) // MOST)
    chosen = table[(table.index % every == 0) | (table.index == len(table) - 1) | (table.epoch == best)]
    rows = [
        [f"{row.epoch:.0f}", *(_cell(name, getattr(row, name)) for name in table.columns[1:])]
        for row in chosen.itertuples()
    ]
    left_out = f"{len(chosen)} of {len(table)} epochs\n" * (len(chosen) < len(table))
    kept = f"the weights of epoch {best} were kept\n" * (best is not None)
    text = grid(["epoch", *(FIGURES[name] for name in table.columns[1:])], rows, set())
    return text + "\n" * bool(left_out + kept) + left_out + kept


def _cell(name: str, value: float) -> str:
    if pd.isna(value):
        return NOTHING
    return units.percent(value) if name.endswith("accuracy") else units.loss(value)

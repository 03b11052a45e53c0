"""What a comparison keeps, from the first run on: a folder a run, and tables of them.

out/lenet-compare-nrf52840/            of several seeds:
    compare.csv                            compare.csv, seeds.csv        a row a cell, a row a run
    full-optimized/  run.json …            full-optimized/seed-0/  run.json …

Several seeds of one cell alone, as `run --seeds` has them, lie in seed-0/ … beside seeds.csv.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from workbench.record.folder import SEEDS, checkpoint, manifest, place_of, write_at_once
from workbench.report import tables
from workbench.report.roles import comparison_csv
from workbench.study.cells import OUR_BUG, Cell, Comparison, Outcome
from workbench.study.processes import Died
from workbench.toolchain import install

TABLE = "compare.csv"
OF_A_SEED = [
    "policy", "schedule", "passes", "seed", "steps", "instructions", "sram_peak", "loss_first", "loss_last",
    "held_out_loss_before", "held_out_loss_after", "accuracy_before", "accuracy_after",
]  # fmt: skip


@dataclass(frozen=True)
class Shelf:
    """A folder that is being filled (None: nothing is kept). `lone`: it holds the seeds of one cell directly."""

    folder: Path | None
    lone: bool = False

    def kept(self, cell: Cell, result: Outcome | Died) -> Outcome:
        """The outcome, its run saved with its firmware."""
        if isinstance(result, Died):
            return Outcome(cell, error=str(result), error_code=OUR_BUG)
        if result.run is None or self.folder is None:
            return result
        own = self.folder / self.place(cell)
        artifacts = result.run.meta["artifacts"]
        artifacts["run"] = str(place_of(own))
        if result.firmware:
            elf = install(*result.firmware, own / "firmware").elf
            artifacts |= {"firmware": str(place_of(own / "firmware")), "elf": str(place_of(elf))}
        result.run.save(own)
        return replace(result, firmware=None)

    def place(self, cell: Cell) -> str:
        """The folder of a cell's run, within this one."""
        return cell.folder.rpartition("/")[2] if self.lone else cell.folder

    def keep_tables(self, comparison: Comparison) -> None:
        """Write the tables: a row a run, with its folder; then a row for each cell without a run, with its error.

        From the first run on they replace an earlier comparison: no kill loses a run that a table lists.
        """
        if self.folder is None:
            return
        counting = bool(manifest(self.folder))
        if counting:
            checkpoint(self.folder)
        for name, table in self._tables(comparison).items():
            write_at_once(self.folder / name, table.to_csv(index=False))
        if comparison.runs and not counting:
            checkpoint(self.folder)

    def remove_tables(self) -> None:
        """Remove the tables: without a run they would replace an earlier comparison by nothing."""
        if self.folder is None:
            return
        for name in (TABLE, SEEDS):
            (self.folder / name).unlink(missing_ok=True)

    def _tables(self, comparison: Comparison) -> dict[str, pd.DataFrame]:
        """compare.csv, a row a cell; of several seeds seeds.csv too, a row a run: alone where there is but one cell."""
        if all(outcome.cell.seed is None for outcome in comparison.outcomes):
            return {TABLE: _table(comparison.outcomes, comparison_csv(comparison.runs), _name)}
        runs = tables.comparison(comparison.runs)[OF_A_SEED] if comparison.runs else pd.DataFrame()
        runs.insert(0, "cell", [_name(outcome.cell) for outcome in comparison.outcomes if outcome.run is not None])
        of_each = {SEEDS: _table(comparison.outcomes, runs, self.place)}
        if self.lone:
            return of_each
        # A cell's row is that of the first seed which left a run; without any, its first error.
        firsts = [next((each for each in outcomes if each.run), outcomes[0]) for outcomes in comparison.cells.values()]
        return {TABLE: _table(firsts, comparison_csv(comparison.rows), _name)} | of_each


def _name(cell: Cell) -> str:
    return cell.folder.partition("/")[0]


def _table(outcomes: Sequence[Outcome], measured: pd.DataFrame, folder: Callable[[Cell], str]) -> pd.DataFrame:
    """What was `measured`, a row an outcome with a run, and its folder; below, the errors of those without."""
    folders = [folder(outcome.cell) for outcome in outcomes if outcome.run is not None]
    table = measured.assign(folder=folders) if folders else measured
    errors = [_error(outcome) for outcome in outcomes if outcome.run is None]
    return pd.concat([table, pd.DataFrame(errors)], ignore_index=True) if errors else table


def _error(outcome: Outcome) -> dict:
    cell = outcome.cell
    row = {"policy": cell.policy, "schedule": cell.schedule, "error": outcome.error}
    return row if cell.seed is None else {"cell": _name(cell), "seed": cell.seed} | row

"""A network inspected, as Python gives it and a notebook shows it: what `workbench inspect` tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from workbench import boards, frontends
from workbench.boards import Board
from workbench.diagnosis import limits
from workbench.errors import ModelError, PolicyError
from workbench.frontends import Model
from workbench.frontends.summary import title
from workbench.study.inspection import Estimate, Trained, estimate, trained_layers, usual_policies
from workbench.study.inspection_tables import Cells, layers_table, policies_table

SHOWN, ENDS = 40, 16  # rows shown whole; of more, the first and the last


@dataclass(frozen=True, repr=False)
class Inspection:
    """Layers under the policy full, and an estimate of each policy. `why`: the reason where there is no estimate: the
    network cannot be trained, or none was asked for. `limits`: what keeps any training from its aim."""

    model: Model
    layers: tuple[Trained, ...]
    estimates: tuple[Estimate, ...]
    why: str = ""
    limits: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Inspection {title(self.model)}>"

    def _repr_html_(self) -> str:
        source = self.model.graph.types[self.model.graph.inputs[0]].dtype
        parts = [_line(title(self.model)), _table(layers_table(self.layers, source), left=3)]
        if self.estimates:
            parts.append(_table(policies_table(self.estimates, sum(each.trainable for each in self.layers)), left=1))
            parts.append(
                _line("policies are estimates by their plan; backward and updated of the layers are under full")
            )
        return "\n".join([*parts, *map(_line, filter(None, [self.why, *self.model.notes, *self.limits]))])


def inspect(
    model: str | Path | Model, policies: Sequence[str] | None = None, *, board: str | Board | None = None,
    sram: int | str | None = None, loss: str | None = None,
) -> Inspection:  # fmt: skip
    """Layers, and what a training step takes under each policy (None: full, bias-only, its own or the last layers), on
    one board or the two of `boards.REFERENCE`; nothing is compiled or run. Raises ModelError that names every
    obstacle of a file.

    `policies` of none: the layers alone, at once."""
    model = frontends.network(model)
    on = boards.REFERENCE if board is None and sram is None else [boards.chosen(board or boards.DEFAULT, sram)]
    aim = model.objective(loss)
    known = tuple(limits(model, aim))
    if policies is not None and not policies:
        layers = tuple(trained_layers(model, objective=aim))
        return Inspection(model, layers, (), "workbench.inspect(model) estimates what training it takes", known)
    layers = tuple(trained_layers(model, objective=aim))
    asked = usual_policies(model) if policies is None else policies
    try:
        estimates = [estimate(model, each, on=on, quick=policies is None, objective=aim) for each in asked]
    except (ModelError, PolicyError) as error:
        if policies is not None:
            raise
        return Inspection(model, layers, (), error.message, known)
    return Inspection(model, layers, tuple(estimates), limits=known)


def _line(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(cells: Cells, left: int) -> str:
    heads, rows = cells
    if len(rows) > SHOWN:
        between = [f"… {len(rows) - 2 * ENDS} more", *[""] * (len(heads) - 1)]
        rows = [*rows[:ENDS], between, *rows[-ENDS:]]
    body = "\n".join(_row("td", row, left) for row in rows)
    return f"<table><thead>{_row('th', heads, left)}</thead><tbody>\n{body}\n</tbody></table>"


def _row(tag: str, cells: Sequence[str], left: int) -> str:
    aligned = ("left" if at < left else "right" for at in range(len(cells)))
    elements = (
        f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>' for side, cell in zip(aligned, cells, strict=True)
    )
    return f"<tr>{''.join(elements)}</tr>"

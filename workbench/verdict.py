"""Gather what a training left behind, as evidence for the notes on it (report/training_notes)."""

from collections.abc import Mapping, Sequence

import numpy as np

from workbench import diagnosis
from workbench.artifacts import Built
from workbench.data import Data
from workbench.evaluation import Figures, constant_guess, widest_guess
from workbench.feeding import Training, input_of
from workbench.frontends import Model
from workbench.objective import LABELS, VALUES
from workbench.rates import rates_of
from workbench.report.learning.held_out import HeldOut
from workbench.report.learning.layers import Observed
from workbench.report.learning.rates import Rates
from workbench.report.losses import guess
from workbench.report.training_notes import Evidence, advice, epoch_note, training_notes
from workbench.targets import told


def notes(
    built: Built,
    options: Training,
    samples: Data,
    losses: Sequence[float],
    held_out: tuple[Figures, Figures],
    compiled: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    ends: Mapping[str, np.ndarray],
) -> list[str]:
    """The notes on a training.

    `held_out` are the figures before and after it; `compiled` its last weights in the compiled order of channels,
    `weights` the same by the model's own names and shapes; `ends` tell of each bias kept as a delta which channels
    changed as far as that holds.
    """
    model, optimizer = built.compiled.model, built.compiled.optimizer
    epoch = len(samples.train_x) // (model.batch * optimizer.accumulate)  # in steps, as feeding.steps_of has it
    learned = training_notes(_evidence(built, options, samples, losses, held_out, compiled, weights, ends, epoch))
    figures_told = "accuracies" if built.compiled.objective.target == LABELS else "held-out losses"
    early = options.evaluate and len(samples.test_x) and advice(learned) is None
    notes = [*model.notes, *samples.notes, *learned]
    return [*notes, *filter(None, [epoch_note(len(losses), epoch, figures_told) if early else None])]


def _evidence(
    built: Built,
    options: Training,
    samples: Data,
    losses: Sequence[float],
    held_out: tuple[Figures, Figures],
    compiled: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    ends: Mapping[str, np.ndarray],
    epoch: int,
) -> Evidence:
    model, objective = built.compiled.model, built.compiled.objective
    optimizer, own = built.compiled.optimizer, made_up(built, options)
    updated = diagnosis.updated(built.compiled)
    before, after = (
        {name: values[name][tuple(map(slice, kind.shape))] for name, kind in updated.items()}
        for values in (built.compiled.weights, compiled)
    )
    integers = any(kind.dtype != "float32" for kind in updated.values())
    qas, worth = bool(optimizer.qas) if integers else None, diagnosis.worth(model.graph, model.weights, updated)
    rates = Rates(*rates_of(options), optimizer.momentum, qas, worth)
    observed = (Observed(), Observed()) if own or not options.evaluate else _observed(model, samples, weights)
    targets, (a_guess, widest) = _targets(built, samples), _guesses(built, samples)
    return Evidence(
        losses=losses, rates=rates, a_guess=a_guess, widest=widest,
        epoch=None if own else epoch, classes=class_count(built), names=samples.names, weights=weights,
        updated=(before, after), ends=ends,
        held_out=(_of_figures(held_out[0]), _of_figures(held_out[1])),
        observed=observed,
        targets=(float(targets.mean()), float(targets.std())) if objective.target == VALUES and not own else None,
    )  # fmt: skip


def _of_figures(figures: Figures) -> HeldOut:
    return HeldOut(figures.loss, figures.accuracy, figures.predicted, figures.labels)


def _observed(model: Model, samples: Data, weights: Mapping[str, np.ndarray]) -> tuple[Observed, Observed]:
    """The layers before and after the training; before only where the notes compare both, as it takes time."""
    typical = samples.test_x if len(samples.test_x) else samples.train_x
    after = diagnosis.observed(model, weights, typical)
    return diagnosis.observed(model, model.weights, typical) if after.striking else Observed(), after


def guesses(built: Built, samples: Data) -> dict[str, float | None]:
    """`guess`: the loss of an answer that knows nothing of the input, equal scores of all classes or the mean target;
    `widest_guess`: the largest loss of a sample under that answer, in units of `guess`.
    """
    a_guess, widest = _guesses(built, samples)
    return {"guess": a_guess, "widest_guess": widest}


def _guesses(built: Built, samples: Data) -> tuple[float | None, float]:
    objective, targets = built.compiled.objective, _targets(built, samples)
    a_guess = guess(objective.loss, class_count(built)) or constant_guess(objective, targets)
    return a_guess, widest_guess(objective, targets)


def class_count(built: Built) -> int | None:
    graph = built.compiled.model.graph
    return graph.types[graph.outputs[0]].shape[1] if built.compiled.objective.target == LABELS else None


def made_up(built: Built, options: Training) -> bool:
    """Whether the samples are random."""
    return options.data is None and built.compiled.model.data is None


def _targets(built: Built, samples: Data) -> np.ndarray:
    return told(built.compiled.objective, samples.train_x, samples.train_y, input_of(built.compiled.model))

"""What each epoch of a training came to, and when one that stops early is done.

epoch             1     2     3     4     5     6     7
validation loss   0.9   0.5   0.4   0.31  0.33  0.35  0.34     --patience 3: no better one for three epochs, so it
                                    best              stops    stops, and the weights of epoch 4 are put back

Of the held-out samples the figures are taken after each epoch only where there are no more of them than an epoch trains
on: else they would take longer than the training.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench import units
from workbench.data import Data
from workbench.engine import Engine
from workbench.evaluation import Figures
from workbench.feeding import Training

Measure = Callable[[np.ndarray, np.ndarray], Figures]  # of inputs and their targets, with the weights as they stand


@dataclass(frozen=True)
class Best:
    """The epoch of the least validation loss, and the state of the device behind it."""

    epoch: int
    loss: float
    state: Mapping[str, bytes]


class Epochs:
    """The epochs of one training, whose steps take `a_step` samples. `held_out`: measure held-out samples too."""

    def __init__(self, samples: Data, a_step: int, options: Training, engine: Engine, measure: Measure, held_out: bool):
        self.samples, self.steps = samples, len(samples.train_x) // a_step
        self.asked, self.patience = options.epochs, options.patience
        self.implied = options.patience is not None and options.validation is None
        self.engine, self.measure = engine, measure
        self.affordable = held_out and len(samples.test_x) <= len(samples.train_x)
        self.done: list[dict] = []  # as run.json tells them
        self.figures: dict[int, Figures] = {}  # of held-out samples, by epoch
        self.best: Best | None = None

    def step_done(self, losses: Sequence[float]) -> None:
        """Call it after each step, with all losses so far."""
        if len(losses) % self.steps:
            return
        own = losses[-self.steps :]
        mean = float(np.mean(own)) if np.isfinite(own).all() else None
        figures = self.measure(self.samples.test_x, self.samples.test_y) if self.affordable else Figures(None)
        epoch = len(losses) // self.steps
        self.figures |= {epoch: figures} if self.affordable else {}
        self.done.append(
            {"epoch": epoch, "loss": mean, "held_out_loss": figures.loss,
             "accuracy": figures.accuracy}
        )  # fmt: skip
        if len(self.samples.validation_x):
            self._validate()

    def _validate(self) -> None:
        figures = self.measure(self.samples.validation_x, self.samples.validation_y)
        self.done[-1] |= {"validation_loss": figures.loss, "validation_accuracy": figures.accuracy}
        if not self.patience or figures.loss is None:
            return
        if self.best is None or figures.loss < self.best.loss:
            self.best = Best(self.done[-1]["epoch"], figures.loss, self.engine.device.state())

    @property
    def exhausted(self) -> bool:
        """Whether the training stops: for `patience` epochs the validation loss got no better."""
        if not self.patience:
            return False
        return len(self.done) - (self.best.epoch if self.best else 0) >= self.patience

    def known(self, step: int) -> Figures | None:
        """The held-out figures of the weights after `step` steps, or of the best epoch's where those are kept."""
        entry = self._entry(step)
        return self.figures.get(entry["epoch"]) if entry else None

    def learn(self, step: int, figures: Figures) -> None:
        """Note held-out figures that were measured after the training."""
        if entry := self._entry(step):
            entry |= {"held_out_loss": figures.loss, "accuracy": figures.accuracy}

    def _entry(self, step: int) -> dict | None:
        epoch = self.best.epoch if self.best else step / self.steps
        return next((entry for entry in self.done if entry["epoch"] == epoch), None)

    def notes(self, step: int, interrupted: bool) -> list[str]:
        """Notes on the samples set aside, on where the training ended, and on the epoch whose weights are kept."""
        aside, trained = len(self.samples.validation_x), len(self.samples.train_x)
        part = f"{aside:,} of {aside + trained:,} training samples"
        told = f"{part} are validated on, not trained on: --validation sets the part"
        return [told] * self.implied + self._kept(step, interrupted)

    def _kept(self, step: int, interrupted: bool) -> list[str]:
        if self.best is None or self.best.epoch * self.steps == step:
            return []
        best = f"best validation loss {units.loss(self.best.loss)} at epoch {self.best.epoch}, whose weights are kept"
        if interrupted or not self.exhausted or len(self.done) == self.asked:
            return [best]
        return [f"stopped after epoch {len(self.done)} of {self.asked}: {best}"]

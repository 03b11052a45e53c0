"""What a training minimizes: a loss, and what the network's output is held against.

target   given with each sample            loss
labels   int32, its class                  cross-entropy
values   float32 of the output's shape     mse (mean squared error), bce (binary cross-entropy with logits)
input    nothing: the input itself         mse, bce            an autoencoder
"""

from dataclasses import dataclass, fields, replace

from workbench.errors import DataError, there_are
from workbench.options import LOSSES, OPTIONS, Minimizing, require

CROSS_ENTROPY, MSE, BCE = LOSSES
LABELS, VALUES, INPUT = TARGETS = ("labels", "values", "input")


@dataclass(frozen=True)
class Objective(Minimizing):
    """One of LOSSES and one of TARGETS. Raises DataError for what is none, and for a pair that makes no sense."""

    loss: str = CROSS_ENTROPY
    target: str = LABELS

    def __post_init__(self):
        require(self)
        OPTIONS["loss"].require(self.loss)
        if self.target not in TARGETS:
            raise DataError(f"no target is called {self.target!r}", there_are(self.target, TARGETS))
        if (self.loss == CROSS_ENTROPY) != (self.target == LABELS):
            needs = "class labels" if self.loss == CROSS_ENTROPY else "numbers as targets"
            raise DataError(f"the loss {self.loss} needs {needs}")


CLASSIFY = Objective()


def objective(target: str, loss: str | None = None) -> Objective:
    """The objective for such targets: cross-entropy of labels and mse of numbers, unless `loss` names another."""
    return Objective(loss or (CROSS_ENTROPY if target == LABELS else MSE), target)


def as_asked(aim: Objective, asked: Minimizing) -> Objective:
    """The objective with the options asked for. The loss stays: the data had a say in it."""
    further = [each.name for each in fields(Minimizing) if each.name != "loss"]
    return replace(aim, **{name: getattr(asked, name) for name in further})

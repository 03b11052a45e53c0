"""What a training minimizes: a loss, and what the network's output is held against.

target   given with each sample            loss
labels   int32, its class                  cross-entropy
values   float32 of the output's shape     mse (mean squared error), bce (binary cross-entropy with logits)
input    nothing: the input itself         mse, bce            an autoencoder
"""

from dataclasses import dataclass

from workbench.errors import DataError, there_are

CROSS_ENTROPY, MSE, BCE = LOSSES = ("cross-entropy", "mse", "bce")
LABELS, VALUES, INPUT = TARGETS = ("labels", "values", "input")


@dataclass(frozen=True)
class Objective:
    """Raises DataError for a loss or target there is not, and for a pair that makes no sense."""

    loss: str = CROSS_ENTROPY
    target: str = LABELS

    def __post_init__(self):
        require_loss(self.loss)
        if self.target not in TARGETS:
            raise DataError(f"no target is called {self.target!r}", there_are(self.target, TARGETS))
        if (self.loss == CROSS_ENTROPY) != (self.target == LABELS):
            needs = "class labels" if self.loss == CROSS_ENTROPY else "numbers as targets"
            raise DataError(f"the loss {self.loss} needs {needs}")


def require_loss(name: str) -> None:
    """Raise DataError for what is no loss."""
    if name not in LOSSES:
        raise DataError(f"no loss is called {name!r}", there_are(name, LOSSES))


CLASSIFY = Objective()


def objective(target: str, loss: str | None = None) -> Objective:
    """For targets of this kind: cross-entropy of labels and mse of numbers, unless `loss` says another."""
    return Objective(loss or (CROSS_ENTROPY if target == LABELS else MSE), target)

"""What outputs are worth beside their targets: the mean loss, in float64, and of classes the share that is right."""

from dataclasses import dataclass

import numpy as np

import workbench.ops  # noqa: F401  registers the losses
from workbench.ir import op as ops
from workbench.objective import BCE, LABELS, MSE, Objective


@dataclass(frozen=True)
class Figures:
    """`loss` is the mean over samples and elements, None where it is no number; `accuracy` None without classes.

    Under bce, one output beside targets of 0 and 1 tells two classes by its sign. `predicted` and `labels` count, class
    by class, the samples predicted to be of it and those that are.
    """

    loss: float | None
    accuracy: float | None = None
    predicted: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()


def figures(objective: Objective, outputs: np.ndarray, targets: np.ndarray) -> Figures:
    """The figures of outputs (samples, …) beside targets: int labels (samples,), or numbers of the outputs' shape."""
    outputs = outputs.reshape(len(outputs), -1).astype(np.float64)
    if objective.target != LABELS:
        targets = targets.reshape(outputs.shape).astype(np.float64)
    with np.errstate(all="ignore"):
        (value,) = ops.of_loss(objective.loss).evaluated(outputs, targets)
    loss = float(value) if np.isfinite(value) else None
    if objective.target == LABELS:
        predicted, labels, classes = outputs.argmax(axis=1), targets.reshape(-1).astype(int), outputs.shape[1]
    elif objective.loss == BCE and outputs.shape[1] == 1 and np.isin(targets, (0, 1)).all():
        predicted, labels, classes = (outputs[:, 0] > 0).astype(int), targets[:, 0].astype(int), 2
    else:
        return Figures(loss)
    counts = (tuple(np.bincount(each, minlength=classes).tolist()) for each in (predicted, labels))
    return Figures(loss, float((predicted == labels).mean()), *counts)


def constant_guess(objective: Objective, targets: np.ndarray) -> float | None:
    """The loss of the best constant output, the mean target: what can be learned without looking at the input.

    None for classes: there a guess is equal scores.
    """
    if objective.target == LABELS or not len(targets):
        return None
    targets = targets.reshape(len(targets), -1).astype(np.float64)
    mean = targets.mean(axis=0)
    if objective.loss == BCE:
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean))
        return float(np.nan_to_num(entropy).mean())
    return float(((targets - mean) ** 2).mean())


def widest_guess(objective: Objective, targets: np.ndarray) -> float:
    """Under mse, the largest loss of a sample over the mean loss, if the mean target is always answered; else 1."""
    if objective.loss != MSE or not len(targets):
        return 1.0
    targets = targets.reshape(len(targets), -1).astype(np.float64)
    losses = ((targets - targets.mean(axis=0)) ** 2).mean(axis=1)
    return float(losses.max() / losses.mean()) if losses.any() else 1.0

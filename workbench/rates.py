r"""The learning rates of each step: `lr` and `lr_bias` times what the schedule makes of them.

constant   ‾‾‾‾‾‾‾\___           times lr_decay after each epoch
cosine     ‾‾\                   ½ (1 + cos πt/T), t of T steps done: half a wave, down to nearly 0 at the last step
              \__
warm-up    /‾‾‾‾‾                before either: lr/N, 2 lr/N … lr in the first N steps, which are not among the T
"""

from math import cos, pi

from workbench.errors import DataError
from workbench.options import FLOAT32_MAX, LR_SCHEDULES, SEARCHED, START

CONSTANT, COSINE = LR_SCHEDULES


def usual_schedule(epochs: int | None, lr_decay: float) -> str:
    """The one of a training for which none is asked: cosine over epochs, which are to end well; a constant rate would
    leave lenet anywhere from 91 to 97 %. Steps, of which one looks at the first few, are alike whatever follows.
    """
    return COSINE if epochs is not None and lr_decay == 1 else CONSTANT


def require_schedule(name: str, lr_decay: float) -> None:
    """Raise DataError for a schedule that goes down by itself beside a decay."""
    if name == COSINE and lr_decay != 1:
        raise DataError(f"a cosine goes down by itself; lr_decay {lr_decay:g} would come on top",
                        "leave out --lr-decay, or --lr-schedule cosine")  # fmt: skip


def require_room(warmup: int, steps: int) -> None:
    """Raise DataError for a warm-up that is longer than the training."""
    if warmup > steps:
        raise DataError(f"the warm-up takes {warmup} steps; the training has {steps}",
                        "a warm-up takes a few of a hundred steps")  # fmt: skip


def rates_of(options, epoch: int = 0) -> tuple[float, float]:
    """lr and lr_bias of a feeding.Training in this epoch, before `share`. Raises DataError where they have grown beyond
    float32.
    """
    lr = START if options.lr == SEARCHED else options.lr
    lr_bias = lr if options.lr_bias is None else options.lr_bias
    try:
        decay = options.lr_decay**epoch
    except OverflowError:
        decay = float("inf")
    rates = lr * decay, lr_bias * decay
    if not all(rate <= FLOAT32_MAX for rate in rates):
        raise DataError(f"times {options.lr_decay:g} an epoch, the learning rate leaves float32 by epoch {epoch}",
                        "lr_decay is the factor an epoch, 1 or less as a rule")  # fmt: skip
    return rates


def share(options, step: int, steps: int) -> float:
    """The part of `rates_of` that step number `step` (from 0) of `steps` takes, in [0, 1]."""
    if step < options.warmup:
        return (step + 1) / options.warmup
    if options.lr_schedule == CONSTANT:
        return 1.0
    return (1 + cos(pi * (step - options.warmup) / (steps - options.warmup))) / 2

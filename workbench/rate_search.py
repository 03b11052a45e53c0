"""`lr="auto"`: the learning rate that a short sweep finds best on a validation part, before the training itself.

    the training part ──┬── 80 %  trained on at each rate of the grid, each time from the initial weights
                        └── 20 %  validation: the rate of least loss there is taken; held-out samples are never seen

Where a part is validated on anyway (`validation`, `patience`), it is that one.

Grid: RATES. Without quantization-aware scaling an int8 weight moves by lr · dw steps of its integer, with it by
lr · dw / s²: the same move needs the rate divided by s². So the grid is divided by the median of s² over all that is
updated, and each way is tried where it can learn (see ops/qnn_sgd). Where biases alone are, it is by theirs.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from math import isfinite

from workbench import diagnosis
from workbench.data import Data
from workbench.data.split import set_aside
from workbench.errors import DataError
from workbench.feeding import EMULATED, Training, step_count, with_data

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
SHARE = 0.2  # of the training part, for validation
MOST_STEPS, MOST_EMULATED = 1500, 300  # a rate; no more than the training itself has, and an epoch


def at_best_rate(train: Callable, built, options: Training, progress=None, interrupted=None, like=None):
    """What `train` gives at the rate found; `lr_sweep` of run.json tells what was tried. Raises DataError; and
    KeyboardInterrupt where `interrupted` ends the sweep, of which nothing is kept.
    """
    if like is not None:
        return _with_sweep(train(built, replace(options, lr=like.meta["lr"]), like=like), like.meta.get("lr_sweep"))
    begin = time.perf_counter()
    best, sweep, note = best_rate(built, options, train, interrupted)
    took = time.perf_counter() - begin
    run, weights = train(built, replace(options, lr=best), progress, interrupted)
    run.meta["notes"] = [*run.meta["notes"], note]
    run.meta["seconds"] |= {"lr_sweep": took}
    return _with_sweep((run, weights), sweep)


def _with_sweep(trained: tuple, sweep: list[dict] | None) -> tuple:
    trained[0].meta["lr_sweep"] = sweep
    return trained


def best_rate(built, options: Training, train: Callable, interrupted=None) -> tuple[float, list[dict], str]:
    """The rate of least validation loss, [{lr, validation_loss}] of all that were tried (None: no number), and a
    sentence that tells it.
    """
    compiled = built.compiled
    parts = _parts(compiled.model, options)
    a_step = compiled.model.batch * compiled.optimizer.accumulate
    epoch = len(parts.train_x) // a_step
    most = MOST_EMULATED if options.engine == EMULATED else MOST_STEPS
    steps = min(step_count(parts, a_step, options), epoch, most)
    if steps < 1:
        raise DataError(f"--lr auto validates on {len(parts.test_x)} of the training samples: the other "
                        f"{len(parts.train_x)} are too few for a step", "a rate of your own, --lr 0.02")  # fmt: skip
    given = {"data": parts, "steps": steps, "epochs": None, "trace": "off", "evaluate": True, "normalize": None,
             "validation": None, "patience": None, "warmup": min(options.warmup, steps)}  # fmt: skip
    sweep = []
    for lr in grid(compiled):
        run, _ = train(built, replace(options, lr=lr, **given), interrupted=interrupted)
        if run.meta["interrupted"]:
            raise KeyboardInterrupt
        loss = run.meta["held_out_loss"]["after"]
        sweep.append({"lr": lr, "validation_loss": loss if loss is not None and isfinite(loss) else None})
    finite = [tried for tried in sweep if tried["validation_loss"] is not None]
    if not finite:
        raise DataError(f"--lr auto: at no rate from {sweep[0]['lr']:g} to {sweep[-1]['lr']:g} the loss stays a number",
                        "a smaller rate of your own, --lr 1e-5")  # fmt: skip
    best = min(finite, key=lambda tried: tried["validation_loss"])
    of_epoch = "an epoch" if steps == epoch else f"{steps} step{'s' * (steps != 1)}"
    rates = ", ".join(f"{tried['lr']:.3g}" for tried in sweep)
    note = (f"--lr auto: {best['lr']:.3g} of {rates}, by the loss on {len(parts.test_x)} validation samples "
            f"after {of_epoch} of the others")  # fmt: skip
    return best["lr"], sweep, note


def grid(compiled) -> list[float]:
    """The rates that are tried, smallest first."""
    worth = diagnosis.worth(compiled.model.graph, compiled.model.weights, diagnosis.updated(compiled))
    unit = 1.0 if compiled.optimizer.qas else worth.weights or worth.biases or 1.0
    return [float(f"{rate / unit:.3g}") for rate in RATES]


def _parts(model, options: Training) -> Data:
    """The training part in two: to train on, and, where held-out samples stand, to validate with."""
    samples = with_data(model, options)[1].data
    if samples is None:
        raise DataError(f"{model.name} has random samples: no rate is better than another", "--data, or --lr 0.02")
    parts = set_aside(samples, options.set_aside or SHARE)
    return Data(
        parts.name, parts.train_x, parts.train_y, parts.validation_x, parts.validation_y,
        parts.classes, target=parts.target, names=parts.names,
    )  # fmt: skip

"""`lr="auto"`: the learning rate that a short sweep finds best on a validation part, before the training itself.

    the training part ──┬── 80 %  trained on at each rate of the grid, each time from the initial weights
                        └── 20 %  validation: the smallest rate with hardly more than the least loss is taken

Held-out samples are never seen. A sweep is shorter than the training, and after few steps rates are ahead that are too
large for many: of lenet 0.1 by a fifth after an epoch, and 5 points behind 0.03 after three. So what is within ENOUGH
of the least loss is as good. Where a part is validated on anyway (`validation`, `patience`), it is that one.

Grid: RATES. Without quantization-aware scaling an int8 weight moves by lr · dw steps of its integer, with it by
lr · dw / s²: the same move needs the rate divided by s². So the grid is divided by the median of s² over all that is
updated, and each way is tried where it can learn (see ops/qnn_sgd). Where biases alone are, it is by theirs.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from typing import Any

from workbench import diagnosis, native
from workbench.artifacts import Built, Compiled
from workbench.data import Data
from workbench.data.split import set_aside
from workbench.engine import worth_a_twin
from workbench.errors import DataError, ToolchainError
from workbench.feeding import AUTO, EMULATED, NATIVE, Training, step_count, with_data
from workbench.frontends import Model
from workbench.objective import VALUES
from workbench.report.training_notes import advice, targets_note

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
SHARE = 0.2  # of the training part, for validation
ENOUGH = 1.25  # times the least loss
MOST_STEPS, MOST_EMULATED = 1500, 300  # a rate; no more than the training itself has, and an epoch


def at_best_rate(train: Callable, built: Built, options: Training, progress=None, interrupted=None, like=None):
    """Train at the rate that the sweep finds; `lr_sweep` of run.json holds what was tried.

    Raises DataError, and KeyboardInterrupt where `interrupted` ends the sweep: nothing of it is kept.
    """
    if like is not None:
        return _with_sweep(train(built, replace(options, lr=like.meta["lr"]), like=like), like.meta.get("lr_sweep"))
    begin = time.perf_counter()
    best, sweep, note = best_rate(built, options, train, progress, interrupted)
    took = time.perf_counter() - begin
    run, weights = train(built, replace(options, lr=best), progress, interrupted)
    if not advice(run.meta["notes"]):  # which tells where to go from here
        note += _at_an_end(best, [tried["lr"] for tried in sweep])
    run.meta["notes"] = [*run.meta["notes"], note]
    run.meta["seconds"] |= {"lr_sweep": took}
    return _with_sweep((run, weights), sweep)


def _with_sweep(trained: tuple, sweep: list[dict] | None) -> tuple:
    trained[0].meta["lr_sweep"] = sweep
    return trained


def best_rate(
    built: Built, options: Training, train: Callable, progress=None, interrupted=None
) -> tuple[float, list[dict], str]:
    """The best rate, [{lr, validation_loss}] of all that were tried (loss None: no number), and a note.

    `progress` and `interrupted` are those of training.train; the steps of all rates count as those of one training.
    Raises KeyboardInterrupt where `interrupted` ends it.
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
    given: dict[str, Any] = {
        "data": parts, "steps": steps, "epochs": None, "trace": "off", "evaluate": True, "normalize": None,
        "validation": None, "patience": None, "warmup": min(options.warmup, steps),
    }  # fmt: skip
    rates, engine = grid(compiled), options.engine
    sweep: list[dict[str, Any]] = []
    for lr in rates:
        progress_of_all = _of_all(progress, len(sweep) * steps, len(rates) * steps)
        run, _ = train(built, replace(options, lr=lr, engine=engine, **given), progress_of_all, interrupted)
        if run.meta["interrupted"]:
            raise KeyboardInterrupt
        loss = (run.meta["held_out_loss"] or {}).get("after")  # None: neither before nor after is a number
        engine = _engine_of_the_rest(engine, run.meta, len(rates) - len(sweep) - 1, built)
        sweep.append({"lr": lr, "validation_loss": loss if loss is not None and isfinite(loss) else None})
    finite = {tried["lr"]: tried["validation_loss"] for tried in sweep if tried["validation_loss"] is not None}
    if not finite:
        raise DataError(f"--lr auto: at no rate from {sweep[0]['lr']:g} to {sweep[-1]['lr']:g} the loss stays a number",
                        _remedy(parts))  # fmt: skip
    least = min(finite.values())
    best = next(lr for lr, loss in finite.items() if loss <= ENOUGH * least)
    of_epoch = "an epoch" if steps == epoch else f"{steps} step{'s' * (steps != 1)}"
    note = (f"--lr auto: {best:g} of {', '.join(f'{lr:g}' for lr in rates)}, by the loss on {len(parts.test_x)} "
            f"validation samples after {of_epoch} of the others")  # fmt: skip
    return best, sweep, note


def _of_all(progress, done_before: int, all_steps: int):
    return progress and (lambda done, steps, loss: progress(done_before + done, all_steps, loss))


def _engine_of_the_rest(engine: str, tried: dict, rates: int, built: Built) -> str:
    """The engine for the remaining rates: together they may be worth a native twin that one alone is not."""
    left = rates * tried.get("seconds", {}).get("emulate", 0.0)
    if engine != AUTO or not worth_a_twin(left, len(built.project.ops)):
        return engine
    try:
        native.host_compiler()
    except ToolchainError:
        return engine
    return NATIVE


def _at_an_end(best: float, rates: list[float]) -> str:
    """A note where the best rate is the first or last of the grid: beyond it may lie a better one."""
    beyond = {rates[0]: "smaller", rates[-1]: "larger"}.get(best)
    return f"; a {beyond} one may be better still" if beyond else ""


def _remedy(parts: Data) -> str:
    """What to try where no rate of the grid learns."""
    targets = (float(parts.train_y.mean()), float(parts.train_y.std())) if parts.target == VALUES else None
    return targets_note(targets) or "a smaller rate of your own, --lr 1e-5"


def grid(compiled: Compiled) -> list[float]:
    """The rates that are tried, smallest first."""
    worth = diagnosis.worth(compiled.model.graph, compiled.model.weights, diagnosis.updated(compiled))
    unit = 1.0 if compiled.optimizer.qas else worth.weights or worth.biases or 1.0
    return [float(f"{rate / unit:.3g}") for rate in RATES]


def _parts(model: Model, options: Training) -> Data:
    """The training part, divided: samples to train on, and samples to validate on in the place of held-out ones."""
    samples = with_data(model, options)[1].data
    if not isinstance(samples, Data):
        raise DataError(f"{model.name} has random samples: no rate is better than another", "--data, or --lr 0.02")
    parts = set_aside(samples, options.set_aside or SHARE)
    return Data(
        parts.name, parts.train_x, parts.train_y, parts.validation_x, parts.validation_y,
        parts.classes, target=parts.target, names=parts.names,
    )  # fmt: skip

"""Pre-train a network on the host, before it goes to the microcontroller: the same training graph, run in numpy.

    factory   pretrain(model, "digits", adapt_to="digits-rotated")     upright images, batches of 32, SGD with momentum
    field     run(…, data="digits-rotated")                            other images, turned, on the emulated core

Pre-training never sees an image that `adapt_to` trains on or holds out. A network that the workbench quantized is
pre-trained in float32, then quantized again with the ranges of these samples.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from workbench.autodiff import require_trainable, training_step
from workbench.data import READING, Data, Reading, batches, names, resolved
from workbench.errors import DataError, ModelError, there_are
from workbench.evaluation import Figures, figures
from workbench.frontends import Model, in_int8, network
from workbench.ir.interpret import interpret
from workbench.ir.types import quantized
from workbench.objective import Objective, objective
from workbench.policy import Optimizer
from workbench.targets import real, told

BATCH, EPOCHS, RATE, MOMENTUM = 32, 12, 0.05, 0.9
Progress = Callable[[int, int, float], None]  # step done, steps in all, its loss


def pretrain(
    model: str | Path | Model,
    data,
    *,
    adapt_to=None,
    epochs: int = EPOCHS,
    seed: int = 0,
    lr: float = RATE,
    loss: str | None = None,
    progress: Progress | None = None,
    **reading,
) -> Model:
    """The model with every parameter trained on `data`, all weights from those it has.

    `data`, and what is adapted to afterwards, are what data.given takes; further keywords tell how that is read (see
    data.Reading).

    Batches of 32, momentum 0.9, the learning rate falling from `lr` to 0 in a straight line. `loss` as in Training.
    `seed` orders the samples; same arguments, same weights. The model's `pretrained` tells it all, with loss and
    accuracy on the held-out samples of `data`, which are never trained on. Raises DataError, ModelError.
    """
    model = network(model)
    unknown = [name for name in reading if name not in READING]
    if unknown:
        raise DataError(f"there is no option {unknown[0]!r}", there_are(unknown[0], READING))
    samples = pretraining_samples(model, data, adapt_to, Reading(**reading), loss)
    aim = objective(samples.target, loss or samples.usual_loss)
    if epochs < 1:
        raise DataError(f"pre-training takes at least one epoch; got {epochs}")
    trained = _trained(model.unquantized or model, samples, aim, epochs, seed, lr, progress)
    in_floats = held_out(trained.with_batch(BATCH), trained.weights, samples, aim)
    about = {"data": samples.name, "samples": len(samples.train_x), "epochs": int(epochs), "batch": BATCH,
             "lr": float(lr), "momentum": MOMENTUM, "seed": int(seed), "loss_function": aim.loss,
             "held_out_loss": in_floats.loss, "accuracy": in_floats.accuracy}  # fmt: skip
    if not model.unquantized:
        return replace(trained, pretrained=about)
    quantized_model = in_int8(trained, samples.typical)
    in_ints = held_out(quantized_model.with_batch(BATCH), quantized_model.weights, samples, aim)
    about |= {"held_out_loss": in_ints.loss, "accuracy": in_ints.accuracy}
    return replace(quantized_model, pretrained={**about, "accuracy_float": in_floats.accuracy})


def _trained(
    model: Model, samples: Data, aim: Objective, epochs: int, seed: int, lr: float, progress: Progress | None
) -> Model:
    """The float32 network with every parameter trained on these samples."""
    large = model.with_batch(BATCH)
    forward = large.graph
    wanted = forward.with_needs_grad(dict.fromkeys(forward.parameters, True))
    step = training_step(wanted, Optimizer(MOMENTUM), objective=aim)
    (x, *target), (loss,) = (name for name in step.inputs if step.types[name].rank), step.outputs
    kept = {**large.weights} | {name: np.zeros(step.types[name].shape, np.float32) for name in step.state}
    steps = epochs * (len(samples.train_x) // BATCH)
    for number, chosen in zip(range(steps), _order(len(samples.train_x), seed), strict=False):
        rates = dict.fromkeys(step.scalars, lr * (1 - number / steps))
        held_against = dict.fromkeys(target, samples.train_y[chosen])
        got = interpret(step, kept | rates | {x: samples.train_x[chosen]} | held_against)
        kept = {name: got[name] for name in step.persistent}
        if not np.isfinite(got[loss]).all():
            raise ModelError(f"{model.name}: its loss in pre-training on {samples.name} stopped being a number",
                             f"lr is {lr:g}; a smaller one often helps")  # fmt: skip
        if progress:
            progress(number + 1, steps, float(got[loss]))
    weights = {name: kept[name] for name in forward.parameters}
    return replace(model, weights=weights)


def pretraining_samples(
    model: Model, given, adapt_to=None, reading: Reading | None = None, loss: str | None = None
) -> Data:
    """The samples of `given` that pre-training uses. Raises DataError and ModelError for what cannot be trained on."""
    if model.graph.types[model.graph.inputs[0]].dtype != "float32" and not model.unquantized:
        raise ModelError(f"{model.name} has int8 weights: pre-training takes float32 ones",
                         "float32 networks can be, and NAME-int8 with its own weights, quantized behind it; "
                         "others start from a file: --load-weights, or a .json or .tflite network")  # fmt: skip
    wanted, reading = (model.unquantized or model).wanted, reading or Reading()
    samples = resolved(given, wanted, Reading() if adapt_to is not None and _read_already(given) else reading, loss)
    require_trainable(model.graph, objective(samples.target, loss or samples.usual_loss))
    if adapt_to is not None:
        later = resolved(adapt_to, wanted, Reading() if _read_already(adapt_to) else reading, loss)
        samples = samples.apart_from(later)
    if len(samples.train_x) < BATCH:
        count = len(samples.train_x)
        raise DataError(f"pre-training takes batches of {BATCH}; {samples.name} has {count} samples for it")
    return samples


def _read_already(given) -> bool:
    return isinstance(given, Data) or (isinstance(given, str) and given in names())


def held_out(model: Model, weights, samples: Data, aim: Objective) -> Figures:
    """The figures of `model`, with these weights, on the held-out samples; the last batch is padded."""
    graph, outputs = model.graph, []
    (x,), (output,) = graph.inputs, graph.outputs
    inputs = quantized(samples.test_x, graph.types[x])
    for start in range(0, len(inputs), model.batch):
        part = inputs[start : start + model.batch]
        full = np.zeros(graph.types[x].shape, part.dtype)
        full[: len(part)] = part
        outputs.append(real(interpret(graph, {**weights, x: full})[output], graph.types[output])[: len(part)])
    return figures(aim, np.concatenate(outputs), told(aim, inputs, samples.test_y, graph.types[x]))


def _order(count: int, seed: int):
    return (chosen for _, chosen in batches(count, BATCH, seed))

"""What a run or a comparison begins with: the network with its weights, and the training with its data."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench import frontends, pretraining
from workbench.errors import ModelError, shown
from workbench.feeding import Training, require_samples, with_data
from workbench.frontends import Model
from workbench.frontends.model import GIVEN
from workbench.ir import op as ops
from workbench.ir.types import NUMPY
from workbench.policy import Optimizer
from workbench.quantize.safe_channels import SCALES


def prepared(
    model: str | Path | Model,
    training: Training,
    optimizer: Optimizer,
    *,
    batch: int | None = None,
    classes: int | None = None,
    shape: Any = None,
    weights: Mapping[str, np.ndarray] | None = None,
    pretrain: Any = None,
    check: Callable[[Model], object] = lambda network: None,
) -> tuple[Model, Training]:
    """The network, pre-trained where that is asked for, and the training with its data read, checked and split.

    `check` is called with the network before any data is read. Raises what is wrong with any of these.
    """
    named = not isinstance(model, Model)
    network = frontends.network(model, batch, training.seed, classes, shape)
    if weights is not None:
        network = with_weights(network, weights)
    check(network)
    reading = training.reading.asked
    network, training = with_data(network, training, calibrate=named and pretrain is None)
    require_samples(network, optimizer.accumulate, training)
    if pretrain is not None:
        network = pretraining.pretrain(
            network, pretrain, adapt_to=training.data, seed=training.seed, loss=training.loss, **reading
        )
    return network, training


def with_weights(model: Model, weights: Mapping[str, np.ndarray], source: str = GIVEN) -> Model:
    """The model with other values, from `source`. Raises ModelError for a parameter that is missing or does not fit."""
    if not isinstance(weights, Mapping):
        raise ModelError(f"weights for {model.name} are arrays by name; got {shown(weights)}",
                         "such as {name: array, …}, or numpy.load of an .npz")  # fmt: skip
    for name in model.graph.parameters:
        shape = model.graph.types[name].shape
        if name not in weights or np.shape(weights[name]) != shape:
            found = f"has shape {np.shape(weights[name])}" if name in weights else "is missing"
            raise ModelError(f"weights for {model.name}: {name} {found}; it needs {shape}")
    values = {name: _as_stored(name, weights[name], model.graph.types[name].dtype) for name in model.graph.parameters}
    _require_scales(model, values)
    return replace(model, weights=values, weights_from=source, unquantized=None)


def _require_scales(model: Model, values: Mapping[str, np.ndarray]) -> None:
    for node in model.graph.nodes:
        roles = ops.get(node.op).parameters
        for index, name in enumerate(node.operands):
            if roles.get(index) != "scale" or name not in values:
                continue
            if not ((SCALES[0] <= values[name]) & (values[name] <= SCALES[1])).all():
                raise ModelError(f"{name} holds scales that int8 cannot have: they are positive numbers")


def _as_stored(name: str, values, dtype: str) -> np.ndarray:
    values = np.asarray(values)
    if dtype != "float32":
        whole = values.astype(NUMPY[dtype]) if values.dtype.kind in "iu" else None
        if whole is None or not np.array_equal(whole, values):
            raise ModelError(f"{name} holds values that are no {dtype}")
        return whole
    if values.dtype.kind not in "fiub":
        raise ModelError(f"{name} holds {values.dtype.name}, not real numbers")
    with np.errstate(over="ignore"):
        narrowed = values.astype(np.float32)
    if not np.isfinite(narrowed).all():
        raise ModelError(f"{name} holds values that are no finite float32")
    return narrowed

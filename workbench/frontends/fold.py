"""Fold batch normalization into the convolution or dense layer before it, where a network is written in Python.

    gamma · (conv(x, w) + b − mean) / √(var + ε) + beta  =  conv(x, w · s) + (b − mean) · s + beta
    with s = gamma / √(var + ε), one a channel

(Ioffe and Szegedy 2015, with the statistics of inference.)
"""

from numbers import Real

import numpy as np

from workbench.errors import ModelError, shown


def fold_batch_norm(weight, bias, gamma, beta, mean, var, epsilon: float = 1e-5) -> tuple[np.ndarray, np.ndarray]:
    """(weight, bias) of the one layer that does both, float32; computed in float64.

    `weight` has its output channels first, (O, …); the others are (O,), and `bias` or `gamma` and `beta` may be None
    for 0, 1 and 0. Raises ModelError for other shapes and for a variance that leaves nothing to divide by.
    """
    weight = np.asarray(weight, np.float64)
    channels = weight.shape[0]
    parts = {"bias": (bias, 0), "gamma": (gamma, 1), "beta": (beta, 0), "mean": (mean, None), "var": (var, None)}
    given = {}
    for name, (values, default) in parts.items():
        values = np.full(channels, float(default)) if values is None and default is not None else values
        try:
            given[name] = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            raise ModelError(f"batch norm: {name} is numbers, ({channels},); got {shown(values)}") from None
        if given[name].shape != (channels,):
            raise ModelError(
                f"batch norm: {channels} output channels, so {name} is ({channels},); got {np.shape(values)}"
            )
    if not isinstance(epsilon, Real):
        raise ModelError(f"batch norm: epsilon is a number; got {shown(epsilon)}")
    if not (given["var"] + epsilon > 0).all():
        raise ModelError(
            f"batch norm: var + epsilon must be positive; the smallest is {given['var'].min() + epsilon:g}"
        )
    scale = given["gamma"] / np.sqrt(given["var"] + epsilon)
    folded = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return folded.astype(np.float32), ((given["bias"] - given["mean"]) * scale + given["beta"]).astype(np.float32)

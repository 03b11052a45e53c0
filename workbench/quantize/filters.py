"""Weights and biases of float32 layers as integers: one scale a filter, shared by all layers that share a parameter.

A weight is symmetric int8, output channels first, in units of s = max |w| / 127. A bias is int32 in units of
x_scale · s; in coarser ones where that would not fit (see safe_channels).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from workbench.quantize.safe_channels import moved, safe_shifts
from workbench.quantize.ties import Layer

WEIGHT_LIMIT, SMALLEST_SCALE = 127, 1e-8
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Scaled:
    """A layer, the scale of what it reads and that of its result."""

    layer: Layer
    x_scale: float
    y_scale: float


def stored(
    of: Scaled, group: list[Scaled], weights: Mapping[str, np.ndarray], least: Callable[[np.ndarray], float] | None
) -> Arrays:
    """Weight, bias and filters' scales of a layer, safe for every layer of `group`, those it shares parameters with.

    `least(filters)`: the magnitude that the range of each filter holds at least.
    """
    filters = [filters_of(each.layer, weights) for each in group]
    s = np.max([_filter_scales(w, least(w) if least else 0.0) for w in filters], axis=0)
    shifts = safe_shifts([(*_integers(each, weights, s), each.x_scale / each.y_scale) for each in group], s)
    return moved(*_integers(of, weights, s), s, shifts)


def filters_of(layer: Layer, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """As int8 layers have them: OIHW."""
    w, form = weights[layer.weight], layer.form
    if form.transposed:
        return w.transpose(1, 0, 2, 3)
    return w[:, :, None, None] if form.of_pixels else w


def _integers(of: Scaled, weights: Mapping[str, np.ndarray], s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias in these scales, rounded; a bias may be beyond int32 where weights are all but zero."""
    w, name = filters_of(of.layer, weights), of.layer.bias
    bias = weights[name] if name else np.zeros(len(w), np.float32)
    return np.rint(w / s[:, None, None, None]), np.rint(bias / (of.x_scale * s.astype(np.float64)))


def _filter_scales(w: np.ndarray, least: float) -> np.ndarray:
    largest = np.maximum(np.abs(w).max(axis=(1, 2, 3)), np.float32(least))
    largest[largest == 0] = largest.max() or 1.0  # a filter of zeros counts in its neighbours' units, to be trained
    scales: np.ndarray = np.maximum(largest / WEIGHT_LIMIT, SMALLEST_SCALE).astype(np.float32)
    return scales

"""A small network of the kind that mcu_json reads: a stem, two blocks, a residual, a classifier; written to files."""

import json
from pathlib import Path

import numpy as np

SCALE = 0.05


def write(folder: Path, name: str = "small", **changes) -> Path:
    """NAME.json and NAME.npz in `folder`; gives the first. `changes` replace keys of the JSON."""
    rng, arrays, convs = np.random.default_rng(0), {}, []

    def conv(name, inputs, outputs, kernel=1, stride=1, groups=1):
        fan_in = inputs // groups * kernel**2
        arrays[f"{name}.weight"] = rng.integers(-127, 128, (outputs, inputs // groups, kernel, kernel)).astype(np.int8)
        arrays[f"{name}.bias"] = rng.integers(-500, 500, outputs, np.int32)
        arrays[f"{name}.weight_scale"] = np.full(outputs, 50 / (74 * 74 * fan_in**0.5), np.float32)
        convs.append({"name": name, "in_channels": inputs, "out_channels": outputs, "kernel": kernel, "stride": stride,
                      "padding": kernel // 2, "groups": groups, "x_scale": SCALE, "x_zero_point": -3,
                      "y_scale": SCALE, "y_zero_point": -3})  # fmt: skip

    conv("stem", 3, 4, 3, 2)
    conv("b1.expand", 4, 8)
    conv("b1.depthwise", 8, 8, 3, groups=8)
    conv("b1.project", 8, 4)
    conv("b2.depthwise", 4, 4, 3, 2, groups=4)
    conv("head", 4, 6)
    told = {
        "input": {"shape": [1, 3, 8, 8], "scale": SCALE, "zero_point": -3}, "convs": convs,
        "blocks": [{"convs": ["b1.expand", "b1.depthwise", "b1.project"], "residual": "b1.add"},
                   {"convs": ["b2.depthwise"], "residual": None}],
        "residual_adds": [{"name": "b1.add", "params": {"y_scale": SCALE, "y_zero": -3}}],
        "sparse_policies": {"tiny": {"n_bias_update": 2, "weight_update": {"1": 0.5}}},
    }  # fmt: skip
    path = Path(folder) / f"{name}.json"
    path.write_text(json.dumps(told | changes))
    np.savez(path.with_suffix(".npz"), **arrays)
    return path

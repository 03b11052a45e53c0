"""On a core without a floating-point unit, what libgcc computes and what stands for libm has the bits of the
instructions that others have: denormals, infinities and ties too."""

import numpy as np
import pytest
from tiny_firmware import compile_firmware

from workbench import boards
from workbench.emulate.machine import Machine

COUNT = 2000
WHOLE = ("order", "nearest", "truncated")
NAMES = ("sums", "products", "quotients", "converted", "root", "fused", *WHOLE)
SOURCE = f"""
#include "kernels/activation_f32.h"
#include "kernels/square_root_f32.h"
#include "kernels/quantize_s8.h"
#include "kernels/sgd_s8.h"
uint8_t wb_arena[8] ARENA;
float x[{COUNT}], y[{COUNT}], z[{COUNT}], root[{COUNT}], fused[{COUNT}];
float sums[{COUNT}], products[{COUNT}], quotients[{COUNT}], converted[{COUNT}];
int32_t nearest[{COUNT}], truncated[{COUNT}], order[{COUNT}];
void wb_train_step(void)
{{
    for (int i = 0; i < {COUNT}; ++i) {{
        sums[i] = x[i] + z[i];
        products[i] = x[i] * y[i];
        quotients[i] = x[i] / y[i];
        order[i] = (x[i] < y[i]) + 2 * (x[i] <= y[i]) + 4 * (x[i] == y[i]) + 8 * (x[i] != x[i]);
        converted[i] = (float)(int32_t)(2654435761u * i);
        root[i] = wb_square_root(x[i]);
        fused[i] = wb_multiply_add_f32(1, x[i], y[i], z[i]);
        truncated[i] = wb_truncated(x[i]);
        nearest[i] = wb_min(wb_max(wb_nearest(x[i]), -65536), 65536);
    }}
}}
"""


def operands(rng):
    """Any bits; sums that cancel, or are ties but for a rest; denormals, infinities and what is no number."""
    x, y, z = rng.integers(0, 1 << 32, (3, COUNT), dtype=np.uint32).view(np.float32)
    x[::4], y[::4] = rng.normal(size=(2, len(x[::4])))
    with np.errstate(all="ignore"):
        z[::8] = -x[::8] * y[::8]
    x[1::8], y[1::8] = 1 + rng.integers(0, 1 << 12, (2, len(x[1::8]))) * np.float32(2**-12)
    z[1::8] = np.exp2(rng.integers(-60, 60, len(x[1::8]))) * rng.choice([-1, 1], len(x[1::8]))
    x[2::8], y[2::8], z[2::8] = rng.integers(0, 1 << 23, (3, len(x[2::8])), dtype=np.uint32).view(np.float32)
    y[2::8] = rng.normal(size=len(y[2::8]))
    x[3::8] = np.rint(rng.normal(size=len(x[3::8])) * 50) / 2
    edges = np.float32([0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 1e-45, 1.17549435e-38, 3.4028235e38])
    x[:100], y[:100] = np.repeat(edges, 10), np.tile(edges, 10)
    z[:100] = rng.choice(edges, 100)
    return x, y, z


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    x, y, z = operands(np.random.default_rng(3))
    found = {}
    for core in ("cortex-m4", "cortex-m0plus", "cortex-m3"):
        board = boards.TWINS_OF[core]
        machine = Machine(compile_firmware(tmp_path_factory.mktemp(core), SOURCE, board), board)
        machine.start()
        for name, values in {"x": x, "y": y, "z": z}.items():
            machine.write_array(name, values)
        machine.call("wb_train_step")
        found[core] = {name: machine.read_array(name, np.uint32, COUNT) for name in NAMES}
    return x, found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3"])
def test_bits_are_those_of_a_floating_point_unit(results, core, name):
    _, found = results
    want, got = found["cortex-m4"][name], found[core][name]
    nan = np.isnan(want.view(np.float32)) & (name not in WHOLE)
    assert np.array_equal(got[~nan], want[~nan])
    assert np.isnan(got[nan].view(np.float32)).all()
    assert len(np.unique(want)) > (3 if name == "order" else 100)


def test_denormals_are_among_them(results):
    _, found = results
    for name in ("sums", "products", "quotients", "fused"):
        values = np.abs(found["cortex-m4"][name].view(np.float32))
        assert ((values > 0) & (values < np.finfo(np.float32).tiny)).any(), name


def test_roots_are_those_of_numpy(results):
    x, found = results
    with np.errstate(invalid="ignore"):
        assert np.array_equal(found["cortex-m3"]["root"].view(np.float32), np.sqrt(x), equal_nan=True)

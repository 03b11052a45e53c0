"""Whether a quantized step needs more SRAM than the same step in float32, by the plans: arena and static bytes."""

from functools import cache
from pathlib import Path

import pytest
from random_networks import planned

from workbench import frontends, session
from workbench.units import KB

RESNET32 = str(Path(__file__).parent.parent / "networks/resnet32.py:net")
NETWORKS = (RESNET32, "resnet", "mobilenet", "lenet")
POLICIES = ("bias-only", "bias-only+head", "last-4", "full")
MARGIN = 2048  # bytes


@cache
def model(name: str):
    return frontends.load(name)


def sram(name: str, policy: str) -> int:
    return planned(session.compile(model(name), policy))


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        pytest.param(
            name, policy, marks=[] if name == RESNET32 or policy.startswith("bias-only") else pytest.mark.long,
            id=f"{name.rpartition('/')[2]}-{policy}",
        )
        for name in NETWORKS for policy in POLICIES
    ],
)  # fmt: skip
def test_int8_needs_no_more_than_float32(name, policy):
    assert sram(f"{name}-int8", policy) <= sram(name, policy) + MARGIN


def test_biases_of_a_residual_network_are_trained_within_a_part_of_its_first_gradients():
    """Three gradients of 64 KB would be alive at once if no chain of them ran by rows."""
    assert sram(f"{RESNET32}-int8", "bias-only") <= 84 * KB

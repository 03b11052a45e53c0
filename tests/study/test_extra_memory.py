"""The analytic extra memory of the published policies, in KB of 1024 B."""

import pytest

from workbench import frontends
from workbench.study.policies import extra_memory

PUBLISHED = {
    "mcunet-5fps": {"49": 49.8, "74": 74.8, "99": 99.8, "124": 125.0, "148": 148.4},
    "mbv2-w0.35": {"49": 49.8, "73": 73.9, "99": 99.4, "123": 123.6, "138": 138.2},
    "proxyless-w0.3": {"49": 49.7, "74": 74.9, "98": 98.5, "120": 120.2, "148": 148.2},
}
OTHERS = {"mcunet-5fps": (1400, 121), "mbv2-w0.35": (1306, 134), "proxyless-w0.3": (1211, 113)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_formula_gives_the_published_values(name):
    model = frontends.load(name)
    assert set(model.policies) == {f"sparse-{size}kb" for size in PUBLISHED[name]}
    for size, kilobytes in PUBLISHED[name].items():
        assert extra_memory(model, model.policy(f"sparse-{size}kb")) / 1024 == pytest.approx(kilobytes, abs=0.1)
    for policy, kilobytes in zip(("full", "bias-only+head"), OTHERS[name], strict=True):
        assert extra_memory(model, model.policy(policy)) / 1024 == pytest.approx(kilobytes, abs=1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_real_weights_come_with_the_same_policies(name, shared_data):
    real, made = frontends.load(str(shared_data / "tiny-training" / f"{name}.json")), frontends.load(name)
    assert real.policies == made.policies
    policy = made.policy(min(made.policies))
    assert extra_memory(real, policy) == extra_memory(made, policy)


def test_a_float_network_has_no_such_figure():
    model = frontends.load("lenet")
    assert extra_memory(model, model.policy("full")) is None

"""A step has the same bits on every core: float32 in software, without DSP instructions, without unaligned accesses."""

import pytest

from workbench import boards, frontends, session
from workbench.report.text import run_text
from workbench.training import Training


@pytest.mark.parametrize(("name", "least"), [("lenet", 30), ("lenet-int8", 15)])
def test_a_network_trained_without_an_fpu_has_the_weights_of_one_with_it(name, least):
    """A Cortex-M0+ would fault at an unaligned access, so there is none; it takes `least` times the instructions."""
    compiled, runs, weights = session.compile(frontends.load(name)), {}, {}
    for core in ("cortex-m4", "cortex-m0plus", "cortex-m33"):
        built = session.build(compiled, boards.TWINS_OF[core])
        runs[core], weights[core] = session.train(built, Training(steps=3, trace="ops", evaluate=False))
    like = weights["cortex-m4"]
    for core, run in runs.items():
        assert run.meta["loss"] == runs["cortex-m4"].meta["loss"], core
        assert all(weights[core][each].tobytes() == like[each].tobytes() for each in like), core
        assert 0 < run.meta["memory"]["stack_peak"] <= run.meta["memory"]["stack_reserve"], core
    steps = {core: run.meta["instructions_per_step"] for core, run in runs.items()}
    assert least < steps["cortex-m0plus"] / steps["cortex-m4"] < 1.5 * least
    assert 1 <= steps["cortex-m33"] / steps["cortex-m4"] < 1.03
    assert "Cortex-M0+ 64 MHz, soft float" in run_text(runs["cortex-m0plus"])

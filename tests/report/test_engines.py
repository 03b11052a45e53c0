"""What a native twin did, in words: of one run, of several, and of a run.json that somebody edited."""

import pytest

from workbench.report.engines import native_words, trained_seconds

NATIVE = {
    "engine": {"asked": "auto", "used": "native", "compiler": "gcc 12.2.0", "emulated_steps": 20, "native_steps": 4311,
               "verified": {"steps": 14, "batches": 4}},
    "seconds": {"emulate": 0.5, "native_build": 0.4, "native": 0.9},
}  # fmt: skip
EMULATED = {"engine": {"asked": "auto", "used": "emulated"}, "seconds": {"emulate": 2.5}}


def test_of_one_and_of_several():
    assert native_words([NATIVE]) == (
        "4,311 steps and the held-out samples in 0.9 s (gcc 12.2.0); 14 steps and 4 batches also emulated, equal to "
        "the bit"
    )
    assert native_words([NATIVE, EMULATED, NATIVE]).startswith("8,622 steps and the held-out samples in 1.8 s (gcc")
    alone = {**NATIVE, "engine": {**NATIVE["engine"], "native_steps": 1, "verified": {"steps": 1, "batches": 0}}}
    assert native_words([alone]) == "1 step in 0.9 s (gcc 12.2.0); 1 step also emulated, equal to the bit"
    assert native_words([EMULATED]) is native_words([{}]) is native_words([{"engine": None}]) is None


@pytest.mark.parametrize("verified", [None, 3, {"steps": "x"}])
def test_an_edited_run_is_told_all_the_same(verified):
    engine = {"used": "native", "compiler": 3, "native_steps": [1], "verified": verified}
    assert native_words([{"engine": engine, "seconds": None}])


def test_a_training_took_all_its_seconds():
    assert trained_seconds(NATIVE) == pytest.approx(1.8)
    assert trained_seconds(EMULATED) == 2.5
    assert trained_seconds({}) is trained_seconds({"seconds": None}) is None

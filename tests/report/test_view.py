"""Runs of the Python API tell and draw themselves."""

from dataclasses import replace

from pictures import assert_legible
from synthetic_profile import synthetic_profile
from synthetic_run import synthetic_run

import workbench
from workbench.record.profile_tables import STEP
from workbench.report.view import Profile, Run


def test_a_run_draws_itself_alone_and_beside_others(tmp_path):
    run = Run.of(synthetic_run("reordered"))
    assert len(run.plot_lifecycle().axes) == 3
    figure = run.plot_lifecycle(synthetic_run(), path=tmp_path / "both.png")
    assert len(figure.axes) == 6
    assert (tmp_path / "both.png").read_bytes()[:4] == figure._repr_png_()[:4] == b"\x89PNG"


def test_a_run_tells_itself():
    run = Run.of(synthetic_run("reordered"))
    told = run.summary(top=2)
    assert told.startswith("lenet · ") and "2 of 44 operators" in told and "2 of 32 arena buffers" in told
    assert "did not promise" not in told


def test_loaded_runs_are_such_runs(tmp_path):
    synthetic_run().save(tmp_path)
    run = workbench.load_run(tmp_path)
    assert isinstance(run, workbench.Run)
    assert repr(run) == repr(synthetic_run())


def profiled_run():
    """A run whose step went where the profile says."""
    profile = synthetic_profile()
    return replace(synthetic_run(), profiled={name: getattr(profile, name) for name in STEP})


def test_a_run_draws_its_calls(tmp_path):
    figure = Run.of(profiled_run()).plot_calls(tmp_path / "calls.png")
    assert_legible(figure)
    above, below = figure.axes
    assert above.get_title("left").startswith("a step of lenet full vanilla: ") and len(above.patches) == 7
    assert len(below.lines) == 1 and (tmp_path / "calls.png").read_bytes()[:4] == b"\x89PNG"
    assert not Run.of(synthetic_run()).plot_calls().axes[0].patches


def test_a_profile_tells_and_draws_itself(tmp_path):
    synthetic_profile().save(tmp_path / "crc")
    profile = workbench.load_profile(tmp_path / "crc")
    assert isinstance(profile, workbench.Profile) and repr(profile) == repr(Profile.of(synthetic_profile()))
    assert "and 4 more functions" in profile.summary(top=2)
    assert len(profile.plot(tmp_path / "crc.png").axes[0].patches) == 7 and (tmp_path / "crc.png").exists()

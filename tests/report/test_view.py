"""Runs of the Python API tell and draw themselves."""

from synthetic_run import synthetic_run

import workbench
from workbench.report.view import Run


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

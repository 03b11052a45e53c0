"""report on the command line: a saved run told again from its folder alone, and what cannot be read."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from synthetic_profile import synthetic_profile
from synthetic_run import synthetic_run

from workbench.cli import main
from workbench.record.profile_tables import STEP
from workbench.record.run import VIOLATIONS


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(schedule, folder, **options):
    run = synthetic_run(schedule, 3, **options)
    run.save(folder)
    return run


def told(capsys, *arguments, code=0):
    assert main(["report", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_a_run_told_again(capsys, golden):
    save("reordered", "run")
    golden("cli_report.txt", told(capsys, "run", "--top", "3"))


def test_broken_promises_are_listed(capsys, golden):
    run = save("reordered", "run")
    run.violations.loc[0] = ["undeclared-read", 7, "op_007_dense", 3, 0x20000040, 4, 0x4000, "op_007_dense", 12]
    run.violations.loc[1] = ["outside", 2, "op_002_conv2d", None, 0x2003FFFC, 4, 0x4000, "op_002_conv2d", 1]
    assert list(run.violations.columns) == VIOLATIONS
    run.save("run")
    golden("cli_report_violations.txt", told(capsys, "run", "--top", "2"))


def test_where_a_step_goes_is_told(capsys, golden):
    profile = synthetic_profile()
    run = replace(synthetic_run(), profiled={name: getattr(profile, name) for name in STEP})
    run.save("run")
    golden("cli_report_functions.txt", told(capsys, "run", "--functions", "--top", "3"))
    as_json = json.loads(told(capsys, "run", "--functions", "--json"))
    assert [row["name"] for row in as_json["tree"]] == profile.tree.name.tolist()
    assert set(as_json) == {*run.meta, *STEP}


def test_where_no_step_was_counted_that_is_told(capsys):
    save("reordered", "older")
    save("reordered", "untraced", trace="off")
    assert "were not counted (an older workbench wrote this run)" in told(capsys, "older", "--functions")
    assert "were not counted (trace level off)" in told(capsys, "untraced", "--functions")
    assert "--functions tells one run; these are 2" in told(capsys, "older", "untraced", "--functions", code=1)


def test_several_runs_stand_side_by_side(capsys):
    save("vanilla", "b")
    save("reordered", "a")
    table = told(capsys, "b", "a")
    assert re.search(r"^vanilla .*\nreordered .*−", table, re.M)
    assert json.loads(told(capsys, "b", "a", "--json"))[1]["schedule"] == "reordered"


def test_a_folder_of_runs_is_all_of_them_vanilla_first(capsys, tmp_path):
    for schedule in ("vanilla", "reordered"):
        save(schedule, tmp_path / "demo" / schedule)
    assert [meta["schedule"] for meta in json.loads(told(capsys, "demo", "--json"))] == ["vanilla", "reordered"]


def test_a_comparison_is_told_in_its_own_order(capsys, tmp_path):
    for name, policy in (("z", "full"), ("a", "last-1"), ("stale", "last-2")):
        save("vanilla", tmp_path / "many" / name, policy=policy)
    (tmp_path / "many" / "compare.csv").write_text("policy,folder\nfull,z\nlast-1,a\nlast-9,\n")
    assert [meta["policy"] for meta in json.loads(told(capsys, "many", "--json"))] == ["full", "last-1"]


def test_json_is_the_run_s_own(capsys):
    run = save("vanilla", "run")
    assert json.loads(told(capsys, "run", "--json")) == run.meta


def test_the_figure_in_time(capsys, tmp_path):
    save("vanilla", "run")
    for x in ("operators", "cycles"):
        told(capsys, "run", "--lifecycle", f"{x}.svg", "--x", x)
    assert (tmp_path / "operators.svg").read_bytes() != (tmp_path / "cycles.svg").read_bytes()
    save("vanilla", "untraced", trace="off")
    assert "its cycles were not counted" in told(capsys, "untraced", "--lifecycle", "no.svg", "--x", "cycles", code=1)
    assert not (tmp_path / "no.svg").exists()


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_figure_drawn_again(capsys, ending, tmp_path):
    save("vanilla", "run")
    assert f"Wrote again.{ending}" in told(capsys, "run", "--lifecycle", f"again.{ending}")
    assert (tmp_path / f"again.{ending}").stat().st_size > 10_000
    assert "is there already" in told(capsys, "run", "--lifecycle", f"again.{ending}", code=1)
    told(capsys, "run", "--lifecycle", f"again.{ending}", "--force")


def test_the_curve_of_one_run(capsys, tmp_path):
    for schedule in ("vanilla", "reordered"):
        save(schedule, tmp_path / schedule)
    assert "Wrote loss.png" in told(capsys, "vanilla", "--curve", "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 5000
    assert "--curve draws one run; these are 2" in told(capsys, "vanilla", "reordered", "--curve", "two.png", code=1)
    assert not (tmp_path / "two.png").exists()


def test_a_step_for_perfetto(capsys, tmp_path):
    for schedule in ("vanilla", "reordered"):
        save(schedule, tmp_path / schedule)
    assert "Wrote step.json" in told(capsys, "vanilla", "--perfetto", "step.json")
    assert json.loads((tmp_path / "step.json").read_text())["traceEvents"]
    assert "is there already" in told(capsys, "vanilla", "--perfetto", "step.json", code=1)
    assert "--perfetto writes one run; these are 2" in told(capsys, "vanilla", "reordered", "--perfetto", "x", code=1)
    save("vanilla", "untraced", trace="off")
    assert "its cycles were not counted" in told(capsys, "untraced", "--perfetto", "no.json", code=1)
    assert not (tmp_path / "no.json").exists()


def truncate(folder, name):
    path = folder / name
    path.write_text(path.read_text()[:40])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "ops.csv").unlink(), "ops.csv is missing"),
        (lambda folder: (folder / "run.json").unlink(), "run.json is missing"),
        (lambda folder: truncate(folder, "run.json"), "holds no readable run"),
        (lambda folder: truncate(folder, "buffers.csv"), "buffers.csv is not the one this run wrote"),
        (lambda folder: (folder / "run.json").write_text("{}"), "lacks"),
        (lambda folder: (folder / "ops.csv").write_text(""), "ops.csv is not the one this run wrote"),
    ],
)
def test_what_cannot_be_read_is_named(capsys, tmp_path, spoil, words):
    save("vanilla", "run")
    spoil(tmp_path / "run")
    err = told(capsys, "run", code=1)
    assert err.startswith("error: ") and words in err and "Traceback" not in err


def test_other_slips(capsys, tmp_path):
    assert "nowhere holds no complete run" in told(capsys, "nowhere", code=1)
    (tmp_path / "empty").mkdir()
    assert "empty holds no complete run" in told(capsys, "empty", code=1)
    save("vanilla", "run")
    assert "again.gif is no .png, .svg, .pdf" in told(capsys, "run", "--lifecycle", "again.gif", code=1)
    (tmp_path / "README.md").write_text("read me")
    assert "README.md is no run\n  help: name the folder" in told(capsys, "README.md", code=1)
    (tmp_path / "begun" / "full-vanilla" / "firmware").mkdir(parents=True)
    assert "interrupted, or failed\n  help: `workbench compare`" in told(capsys, "begun", code=1)
    (tmp_path / "begun" / "compare.csv").write_text('policy,schedule,error\nfull,vanilla,"does not fit\nat all"\n')
    told_by_csv = told(capsys, "begun", code=1)
    assert "no cell of the comparison in begun left a run:\n  full vanilla: does not fit\n  help:" in told_by_csv
    (tmp_path / "run" / "sub").mkdir()
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "compare.csv").write_text("")
    assert "compare.csv cannot be read" in told(capsys, "many", code=1)


def test_nothing_is_run():
    code = "import sys; from workbench.cli import main; main(['report', 'run']); print('unicorn' in sys.modules)"
    save("vanilla", "run")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"

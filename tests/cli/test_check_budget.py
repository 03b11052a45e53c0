"""check-budget on the command line: it catches a pass left out and an added loop, and refuses what is no run."""

import json
import re
from dataclasses import replace

import pytest
from synthetic_profile import synthetic_profile
from synthetic_run import synthetic_run

import workbench
from workbench import session
from workbench.cli import main

LOOP = '    for (int turn = 0; turn < 2000; turn++)\n        __asm volatile("" ::: "memory");\n'


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The folder of saved runs of a network of two convolutions; `loop` spends time in its first operator."""
    folder, how = tmp_path_factory.mktemp("real"), {"data": None, "steps": 1, "trace": "ops"}
    generate = session.generate

    def with_a_loop(*arguments):
        project = generate(*arguments)
        ops, added = re.subn(r"^(void op_000_\w+\(void\)\n\{\n)", rf"\1{LOOP}", project.files["ops_0.c"], flags=re.M)
        assert added == 1
        return replace(project, files={**project.files, "ops_0.c": ops})

    for name in ("base", "again"):
        workbench.run("lenet", **how).save(folder / name)
    workbench.run("lenet", passes="-in-place", **how).save(folder / "without")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "generate", with_a_loop)
        workbench.run("lenet", **how).save(folder / "loop")
    return folder


def told(capsys, *arguments):
    """(exit code, stdout, stderr)."""
    try:
        code = main(["check-budget", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def failing(capsys, *arguments):
    code, out, err = told(capsys, *arguments, "--json")
    answer = json.loads(out)
    assert (code, err) == (0 if answer["kept"] else 3, "")
    return {row["figure"] for row in answer["rows"] if row["fails"]}


def test_an_equal_run_keeps_to_it(real, capsys):
    assert failing(capsys, real / "again", "--baseline", real / "base") == set()


def test_a_pass_left_out_is_caught(real, capsys):
    assert failing(capsys, real / "without", "--baseline", real / "base") == {"sram", "flash"}
    code, out, _ = told(capsys, real / "without", "--baseline", real / "base")
    assert code == 3 and "- passes: none in the baseline, −in-place now" in out


def test_an_added_loop_is_caught(real, capsys):
    assert failing(capsys, real / "loop", "--baseline", real / "base") == {"flash", "instructions", "cycles"}
    growth = ["--max-instructions", "+1%", "--max-cycles", "+1%"]
    assert failing(capsys, real / "loop", "--baseline", real / "base", *growth) == {"instructions", "cycles"}
    assert failing(capsys, real / "loop", "--baseline", real / "base", "--max-cycles", "+5%") == set()
    assert failing(capsys, real / "loop", "--max-cycles", "1M") == set()


def test_what_is_printed(capsys, golden):
    base, now = synthetic_run("reordered", 3), synthetic_run("vanilla", 3)
    base.save("base")
    now.save("now")
    code, out, err = told(capsys, "now", "--baseline", "base", "--max-sram", "+2%", "--max-flash", "24K")
    assert (code, err) == (3, "")
    golden("cli_check_budget.txt", out)


def test_profiles_and_comparisons(capsys, tmp_path):
    synthetic_profile().save("before")
    synthetic_profile(modelled_cycles=10**6).save("after")
    assert failing(capsys, "after", "--baseline", "before") == {"cycles"}
    for name in ("one", "two"):
        for schedule in ("vanilla", "reordered"):
            synthetic_run(schedule, 3).save(tmp_path / name / schedule)
    assert failing(capsys, "one", "--baseline", "two") == set()
    (tmp_path / "one" / "compare.csv").write_text(
        "policy,schedule,error,folder\nfull,vanilla,,vanilla\nfull,reordered,no room,\n"
    )
    code, _, err = told(capsys, "one", "--baseline", "two")
    assert code == 1 and "one lacks a run: full reordered: no room\n  help: `workbench compare` again" in err


def test_what_is_no_run_is_refused(capsys, tmp_path):
    synthetic_run("vanilla", 3).save("run")
    synthetic_run("vanilla", 3).save("cut")
    synthetic_profile().save("profile")
    (tmp_path / "cut" / "run.json").write_text((tmp_path / "cut" / "run.json").read_text()[:200])
    (tmp_path / "file").write_text("no folder")
    for arguments, words in [
        (
            ("nowhere", "--baseline", "run"),
            "nowhere holds no complete run: run.json is missing\n  help: name the folder",
        ),
        (("run", "--baseline", "file"), "file is no run"),
        (("cut", "--baseline", "run"), "cut holds no readable run: run.json: "),
        (("profile", "--baseline", "run"), "a run is held against a profile\n  help: name two runs, or two profiles"),
        (("run",), "nothing to hold it against\n  help: --baseline"),
        (("run", "--max-sram", "-2%"), "--max-sram: '-2%' is not a limit\n  help: such as"),
        (("run", "--max-sram", "2%"), "percent of what?\n  help: +2% is"),
        (("run", "--max-sram", "+2%"), "there is no baseline"),
    ]:
        code, out, err = told(capsys, *arguments)
        assert (code, out) == (1, "") and words in err, err
    assert told(capsys)[0] == 2 and told(capsys, "run", "--max-heap", "1K")[0] == 2


def test_its_figures_are_those_of_budgets():
    from workbench.cli.check_budget import FIGURES
    from workbench.report import budget

    assert tuple(FIGURES) == budget.FIGURES
    assert all(budget.parse_limit(such, figure) for figure, such in FIGURES.items())

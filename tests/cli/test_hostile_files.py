"""Files made to do harm, or broken by chance, wherever a command takes one: a line, exit 1, soon, in little memory."""

import re
import resource
import signal

import hostile_networks
import hostile_records
import pytest
from hostile import ESCAPE, TURNED
from hostile_records import buffers, saved

from workbench import boards, load_run, session
from workbench.cli import main
from workbench.codegen import generate
from workbench.errors import WorkbenchError
from workbench.frontends.layers import Network

SECONDS, MEMORY = 100, 700 << 10  # of one command, on a busy machine; KB


class TooLongError(BaseException):
    """No command catches it."""


@pytest.fixture
def soon():
    def stop(*_):
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(("make", "words"), [*hostile_networks.CASES, *hostile_records.CASES])
def test_a_hostile_file_is_refused_in_a_line(make, words, tmp_path, monkeypatch, capsys, soon):
    """`harmed` is what a file that got its way would write beside, or in, the folder."""
    here = tmp_path / "here" / "inner"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    command, before = make(here), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    there = set(tmp_path.rglob("*"))
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert words in err and out == ""
    lines = err.rstrip("\n").split("\n")
    assert len(lines) <= 2 + sum(line.startswith("note: ") for line in lines) and max(map(len, lines)) < 1200
    assert lines[0].startswith("error: ") and all(line.isprintable() for line in lines)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert set(tmp_path.rglob("*")) <= there | {here / "out"} and not any(tmp_path.rglob("harmed"))


# what is odd, and yet no reason to refuse


@pytest.mark.parametrize("told", [ESCAPE, TURNED, "two\nlines"], ids=ascii)
def test_names_that_would_move_the_cursor_are_written_out(tmp_path, monkeypatch, capsys, told):
    monkeypatch.chdir(tmp_path)
    command = saved(tmp_path, model=told, weights_from=told, notes=[told])
    assert main(command if told == ESCAPE else command[:2]) == 0
    out, err = capsys.readouterr()
    assert f"{out}{err}".replace("\n", "").isprintable()
    assert told.encode("unicode_escape").decode() in out
    run = load_run(tmp_path / "run")
    assert f"{run!r}{run.summary()}".replace("\n", "").isprintable()


def test_whatever_prints_while_a_command_runs_is_made_safe(monkeypatch, capsys):
    def execute(args):
        import sys

        print(f"out {ESCAPE}\n\ttab {TURNED}")
        print("half \udce4", file=sys.stderr)
        return 0

    monkeypatch.setattr("workbench.cli.boards.execute", execute)
    assert main(["boards"]) == 0
    assert capsys.readouterr() == ("out \\x1b[2J\\x1b]0;red\\x07\n\ttab \\u202egnp.exe\n", "half \\udce4\n")


def test_errors_are_short_and_safe_in_python_too():
    text = str(WorkbenchError(f"{ESCAPE} is {'a' * 10**5}", f"no {TURNED}"))
    assert len(text) < 1100 and text.replace("\n", "").isprintable()
    assert text.startswith("\\x1b[2J\\x1b]0;red\\x07 is aaa") and text.endswith("\n  help: no \\u202egnp.exe")


def test_positions_of_a_buffer_file_may_be_far_apart(tmp_path, capsys):
    text = "id,lower,upper,size\na,0,1000000000,8\nb,999999999,1000000001,8\nc,1000000000,1000000002,8\n"
    assert main(buffers(tmp_path, text)) == 0
    assert "3 buffers in 16 bytes" in capsys.readouterr().out


def test_what_is_left_of_a_writer_moves_nothing_out_of_the_folder(tmp_path, capsys):
    """`.filled` is another process's, killed on its way; here it is made up, and would delete and write elsewhere."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    saved(tmp_path)
    filled = tmp_path / "run" / ".filled"
    (filled / "link").mkdir(parents=True)
    (filled / "link" / "harmed").write_text("x")
    (filled / ".replaced").write_text('["../mine", 3, "graph.txt\\u0000", "link/../../mine"]')
    (tmp_path / "run" / "link").symlink_to(tmp_path / "elsewhere")
    assert main(["report", f"{tmp_path}/run"]) == 0
    assert (tmp_path / "mine").read_text() == "mine" and not any((tmp_path / "elsewhere").iterdir())


def test_no_text_of_a_model_reaches_its_c(tmp_path):
    """Of names only letters, digits and _ do; in comments a label as it is, which cannot end one."""
    net = Network("*/ evil /*", (1, 4))
    compiled = session.compile(net.model(net.dense(net.input, "ünï//code.-x", 3)))
    files = generate(compiled.graph, compiled.memory, compiled.weights, boards.get("nrf52840")).files
    for name, text in files.items():
        if name.endswith((".c", ".h")):
            code = re.sub(r"/\*.*?\*/|^#.*$", "", text, flags=re.DOTALL | re.MULTILINE)
            assert "evil" not in text and "//" not in code and code.isascii(), name

"""What a program may ask of its host: files only where they are allowed, its arguments, input, output."""

import io
import sys

import pytest

from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.profiling import profile

PATHS = """
#include "host.h"
static int length(const char *text) { int n = 0; while (text[n]) ++n; return n; }
static int opened(const char *name, int mode)
{
    const uintptr_t block[3] = { (uintptr_t)name, (uintptr_t)mode, (uintptr_t)length(name) };
    const int handle = host(0x01, block);
    if (handle > 0 && mode >= 4) {
        const uintptr_t text[3] = { (uintptr_t)handle, (uintptr_t)"written", 7 };
        host(0x05, text);
    }
    if (handle > 0) {
        const uintptr_t closed[1] = { (uintptr_t)handle };
        host(0x02, closed);
    }
    return handle;
}
static int removed(const char *name)
{
    const uintptr_t block[2] = { (uintptr_t)name, (uintptr_t)length(name) };
    return host(0x0E, block);
}
static int renamed(const char *old, const char *new)
{
    const uintptr_t block[4] = { (uintptr_t)old, (uintptr_t)length(old), (uintptr_t)new, (uintptr_t)length(new) };
    return host(0x0F, block);
}
"""
REFUSED = (
    PATHS
    + """
int main(void)
{
    static const char *const names[] = { NAMES };
    for (unsigned i = 0; i < sizeof names / sizeof *names; ++i)
        for (int mode = 0; mode < 13; ++mode)
            if (opened(names[i], mode) != -1 || removed(names[i]) == 0 || renamed("inside", names[i]) == 0)
                return 1;
    const uintptr_t command[2] = { (uintptr_t)"touch harmed", 12 };
    return host(0x12, command) == -1 && host(0x0D, command) == -1 ? 0 : 1;
}
"""
)


@pytest.fixture
def places(tmp_path):
    """A folder that may be allowed, with a file inside; one beside it; and a way out by a link."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "inside").write_text("kept")
    (tmp_path / "beside").write_text("kept")
    (allowed / "link").symlink_to(tmp_path / "beside")
    (allowed / "up").symlink_to(tmp_path)
    return allowed


@pytest.mark.parametrize("allow", [False, True])
def test_nothing_outside_the_allowed_folder_is_touched(firmware, tmp_path, places, monkeypatch, allow):
    monkeypatch.chdir(places)
    outside = ["../beside", str(tmp_path / "beside"), "link", "up/beside", "../harmed", "up/harmed", "a/../../harmed",
               "..", "/dev/null", "/", "x" * 300]  # fmt: skip
    names = outside if allow else [*outside, "inside", "new", "", "."]
    elf = firmware(REFUSED.replace("NAMES", ", ".join(f'"{name}"' for name in names)))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = profile(elf, files=places if allow else None)
    assert (found.meta["ended"], found.meta["exit_code"]) == ("exit", 0), found.meta["notes"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    told = "it lies outside the folder that is allowed" if allow else "no folder is allowed (--allow-files DIR)"
    assert f"it may not touch the file '../beside': {told}" in found.meta["notes"]


def test_files_of_the_allowed_folder_are_read_and_written(firmware, places):
    source = (
        PATHS
        + """
    int main(void)
    {
        static char room[8];
        const uintptr_t name[3] = { (uintptr_t)"inside", 0, 6 };
        const uintptr_t handle[1] = { (uintptr_t)host(0x01, name) };
        const uintptr_t read[3] = { handle[0], (uintptr_t)room, 8 };
        const int left = host(0x06, read), size = host(0x0C, handle);
        put(room);
        const uintptr_t zero[3] = { (uintptr_t)"a\\0b", 4, 3 }, letters[3] = { (uintptr_t)"\\xff", 4, 1 };
        const int odd = host(0x01, zero) == -1 && host(0x01, letters) > 0;
        const int fresh = opened("new", 4), appended = opened("new", 8), moved = renamed("new", "newer");
        return odd && left == 4 && size == 4 && fresh > 0 && appended > 0 && moved == 0 && opened("none", 0) == -1
            && opened(".", 0) == -1 && removed("none") != 0 ? 0 : 1;
    }
    """
    )
    printed = []
    found = profile(firmware(source), files=places, output=printed.append)
    assert (found.meta["exit_code"], found.meta["notes"]) == (0, [])
    assert b"".join(printed) == b"kept"
    assert (places / "newer").read_text() == "writtenwritten" and not (places / "new").exists()


def test_pointers_to_nowhere_are_answered(firmware):
    source = """
    #include "host.h"
    int main(void)
    {
        static const uintptr_t far[4] = { 1, 0x90000000, 0x7FFFFFFF, 0x7FFFFFFF };
        for (int operation = 0; operation < 0x40; ++operation)
            if (operation != 0x18 && operation != 0x20) {
                host(operation, (void *)0x90000000);
                host(operation, far);
                host(operation, (void *)0xFFFFFFFF);
            }
        return 9;
    }
    """
    found = profile(firmware(source))
    assert (found.meta["ended"], found.meta["exit_code"]) == ("exit", 9)
    assert len(found.meta["notes"]) == 41


ECHO = """
#include "host.h"
int main(void)
{
    static char line[200];
    uintptr_t block[2] = { (uintptr_t)line, sizeof line };
    if (host(0x15, block) == 0)
        put(line);
    put("|");
    for (int c; (c = host(0x07, 0)) != -1;)
        host(0x03, &c);
    put("\\xff\\n");
    return 0;
}
"""


@pytest.fixture
def command(firmware, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workbench.report.figure.save_figure", lambda figure, path: None)  # not looked at here
    firmware(ECHO)
    return lambda *arguments: main(["profile", "it.elf", "-o", "there", "--force", *arguments])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ('-n 3 "two words"', b"it.elf -n 3 two words"),
        ("'single quoted' a\\ b", b"it.elf single quoted a b"),
        ("", b"it.elf"),
        ("x" * 250, b""),  # more than the program has room for
    ],
)
def test_arguments_come_as_a_shell_would_part_them(command, capfdbinary, monkeypatch, words, line):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert command("--args", words) == 0
    assert capfdbinary.readouterr().out.startswith(line + b"|\xff\n")


def test_arguments_whose_quotes_do_not_close_are_refused(command, capsys):
    assert command("--args", "'open") == 1
    assert "--args" in capsys.readouterr().err


@pytest.mark.parametrize("stdin", [b"through \xfe\n", b"", None])
def test_input_comes_from_a_pipe_or_from_nowhere(command, capfdbinary, monkeypatch, stdin):
    stream = io.TextIOWrapper(io.BytesIO(stdin or b""))
    if stdin is None:
        stream.close()
    monkeypatch.setattr(sys, "stdin", stream)
    assert command() == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"it.elf|" + (stdin or b"") + b"\xff\n") and b"functions" not in err
    assert b"it.elf on cortex-m4" in out


def test_the_terminal_goes_on_where_it_was_when_it_is_opened_again(firmware):
    source = """
    #include "host.h"
    static int opened(void)
    {
        const uintptr_t block[3] = { (uintptr_t)":tt", 0, 3 };
        return host(0x01, block);
    }
    int main(void)
    {
        static char text[3];
        for (int i = 0; i < 3; ++i) {
            const int handle = opened();
            const uintptr_t block[3] = { handle, (uintptr_t)text, 2 }, back[2] = { handle, 0 };
            if (host(0x06, block) != 0 || host(0x0A, back) != -1)
                return 1;
            put(text);
            host(0x02, &handle);
        }
        put((char[]) { (char)host(0x07, 0), 0 });
        return 0;
    }
    """
    printed = []
    found = profile(firmware(source), stdin=b"abcdefgh", output=printed.append)
    assert found.meta["exit_code"] == 0 and b"".join(printed) == b"abcdefg"


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_where_stdout_is_ours_the_programs_goes_to_stderr(command, capfdbinary, monkeypatch, option):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"in")))
    assert command(option) == 0
    out, err = capfdbinary.readouterr()
    assert err.startswith(b"it.elf|in\xff\n") and b"|in" not in out


def test_the_folder_of_files_must_be_one(firmware, tmp_path):
    elf = firmware(ECHO)
    with pytest.raises(WorkbenchError) as error:
        profile(elf, files=tmp_path / "none")
    assert "is no folder" in error.value.message and "--allow-files DIR" in error.value.hint

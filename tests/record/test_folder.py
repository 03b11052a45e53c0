"""A folder of results is the old one or the new one: what is kept, what is replaced, what killed processes leave."""

import json
import os
import shutil
import signal
import stat
from multiprocessing import get_context

import pytest

from workbench.record.folder import checkpoint, filling, free, place_of, replacing, settled, unfinished, write_at_once

FORK = get_context("fork")


def write(place, *names, text="new"):
    with filling(place) as new:
        for name in names:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text)


def files(place):
    """Name -> text of all that is told of a folder, but for the manifest."""
    tops = [path for path in place.iterdir() if not path.name.startswith(".") and path.name != "files.json"]
    found = [path for top in tops for path in (top, *top.rglob("*")) if path.is_file()]
    return {path.relative_to(place).as_posix(): path.read_text() for path in found}


def killed(function, *arguments):
    """Run it in a process that is killed in the end, if it did not do so itself."""

    def body():
        function(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=body)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def filled_half(place, *names, whole=False):
    """A writer that dies while it fills its folder; `whole`: after it said that all it had written counts."""
    with filling(place) as new:
        for name in names:
            (new / name).write_text("half")
        if whole:
            checkpoint(new)
            (new / "more").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_written_before_is_replaced_and_nothing_else(tmp_path):
    write(tmp_path, "a", "sub/b", "sub/old.c", "gone/c", text="old")
    for name in ("mine", "sub/mine", "sub/old.o"):
        (tmp_path / name).write_text("mine")
    write(tmp_path, "a", "sub/d")
    assert files(tmp_path) == {"a": "new", "mine": "mine", "sub/d": "new", "sub/mine": "mine"}
    assert not (tmp_path / "gone").exists()


def test_a_folder_keeps_being_the_same_one(tmp_path, monkeypatch):
    """A shell, or a viewer, that stands in it goes on seeing it."""
    write(tmp_path / "place", "sub/a", text="old")
    monkeypatch.chdir(tmp_path / "place")
    before = os.stat(".").st_ino, os.stat("sub").st_ino
    write(".", "sub/a", "b")
    assert files(tmp_path / "place") == {"b": "new", "sub/a": "new"}
    assert before == (os.stat(".").st_ino, os.stat("sub").st_ino)


def test_an_exception_leaves_what_was_there(tmp_path):
    write(tmp_path / "place", "a", text="old")
    with pytest.raises(ZeroDivisionError), filling(tmp_path / "place") as new:
        (new / "a").write_text("half")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), filling(tmp_path / "new" / "place") as new:
        (new / "a").write_text("half")
        raise ZeroDivisionError
    assert files(tmp_path) == {"place/a": "old"} | {"place/files.json": (tmp_path / "place/files.json").read_text()}
    assert not (tmp_path / "new").exists()


def test_nothing_written_replaces_nothing(tmp_path):
    write(tmp_path, "a", text="old")
    write(tmp_path)
    assert files(tmp_path) == {"a": "old"}


def test_what_stands_in_the_way_is_kept_under_another_name(tmp_path):
    (tmp_path / "sub").write_text("mine")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("mine")
    write(tmp_path, "a", "sub/c")
    assert files(tmp_path) == {"a": "new", "a~/b": "mine", "sub/c": "new", "sub~": "mine"}


def test_nothing_is_written_where_a_link_leads(tmp_path):
    (tmp_path / "else").mkdir()
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "sub").symlink_to(tmp_path / "else")
    write(tmp_path / "place", "sub/a")
    assert files(tmp_path / "else") == {} and (tmp_path / "place" / "sub~").is_symlink()
    assert (tmp_path / "place" / "sub" / "a").read_text() == "new"


def test_a_part_of_a_folder_being_filled_is_written_with_it(tmp_path):
    with filling(tmp_path) as new:
        write(new / "sub", "a")
        assert files(new) == {"sub/a": "new"} and files(tmp_path) == {}
        assert place_of(new / "sub" / "a") == tmp_path / "sub" / "a"
    assert files(tmp_path) == {"sub/a": "new"}
    assert json.loads((tmp_path / "files.json").read_text())["files"].keys() == {"sub/a"}


def test_a_killed_writer_leaves_the_old_results_and_the_next_one_clears_up(tmp_path):
    write(tmp_path, "a", text="old")
    killed(filled_half, tmp_path, "a", "b")
    assert unfinished(tmp_path) == "interrupted"
    with settled(tmp_path):
        assert (tmp_path / "a").read_text() == "old" and not (tmp_path / "b").exists()
    write(tmp_path, "a")
    assert files(tmp_path) == {"a": "new"} and not list(tmp_path.glob(".*"))


def test_what_a_killed_writer_said_counts_is_put_in_place(tmp_path):
    write(tmp_path, "a", "c", text="old")
    killed(filled_half, tmp_path, "a", "b")
    killed(lambda: filled_half(tmp_path, "a", "b", whole=True))
    with settled(tmp_path):
        assert files(tmp_path) == {"a": "half", "b": "half"}
    write(tmp_path, "a")
    assert files(tmp_path) == {"a": "new"}


@pytest.mark.parametrize("at", range(12))
def test_a_kill_while_files_move_into_place_is_made_good(tmp_path, at):
    write(tmp_path, "a", "b/c", "compare.csv", text="old")
    (tmp_path / "mine").write_text("mine")

    def moving_until_the_end():
        left = iter(range(at))

        def until(function):
            def wrapped(*arguments, **options):
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return wrapped

        for owner, name in ((shutil, "move"), (os, "unlink"), (os, "rename"), (os, "rmdir"), (os, "mkdir")):
            setattr(owner, name, until(getattr(owner, name)))
        write(tmp_path, "b/d", "compare.csv", "e")

    killed(moving_until_the_end)
    old = {"a": "old", "b/c": "old", "compare.csv": "old"}
    new = {"b/d": "new", "compare.csv": "new", "e": "new"}
    if "compare.csv" in files(tmp_path):  # to whoever looks without making it good
        assert files(tmp_path) in (old | {"mine": "mine"}, new | {"mine": "mine"})
    else:
        assert unfinished(tmp_path) == "interrupted"
    with settled(tmp_path):
        assert files(tmp_path) in (old | {"mine": "mine"}, new | {"mine": "mine"})
    write(tmp_path, "b/d", "compare.csv", "e")
    assert files(tmp_path) == new | {"mine": "mine"} and not list(tmp_path.glob(".*"))


def test_two_writers_leave_one_of_the_two(tmp_path):
    def writer(text):
        for _ in range(40):
            write(tmp_path / "place", *(f"{text}-{number}" for number in range(5)), "sub/both", text=text)

    (tmp_path / "place").mkdir()  # it is looked at before a writer has come to make it
    writers = [FORK.Process(target=writer, args=(text,)) for text in ("one", "two")]
    for process in writers:
        process.start()
    while any(process.is_alive() for process in writers):
        with settled(tmp_path / "place"):
            found = files(tmp_path / "place")
        assert len(set(found.values())) <= 1 and len(found) in (0, 6)
    assert [process.exitcode for process in writers] == [0, 0]
    assert len(set(files(tmp_path / "place").values())) == 1 and len(files(tmp_path / "place")) == 6


def test_a_writer_at_work_is_left_alone(tmp_path):
    with filling(tmp_path) as new:
        (new / "a").write_text("first")
        assert unfinished(tmp_path) == "under way" and not free(tmp_path)
        write(tmp_path, "a", "b", text="second")
    assert files(tmp_path) == {"a": "first"}


def test_what_a_killed_writer_left_occupies_no_folder(tmp_path):
    killed(filled_half, tmp_path, "a")
    assert free(tmp_path)
    (tmp_path / "mine").touch()
    assert not free(tmp_path)


def test_a_manifest_that_names_files_elsewhere_removes_none_of_them(tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "link").mkdir()
    (tmp_path / "place" / "link").symlink_to(tmp_path / "link")
    mine = [tmp_path / "mine", tmp_path / "link" / "mine"]
    for path in mine:
        path.write_text("mine")
    names = ["../mine", str(tmp_path / "mine"), "sub/../../mine", "link/mine", "", ".", ".."]
    (tmp_path / "place" / "files.json").write_text(json.dumps({"files": dict.fromkeys(names)}))
    write(tmp_path / "place", "a")
    assert [path.read_text() for path in mine] == ["mine", "mine"]


def test_a_file_is_written_at_once(tmp_path):
    path = tmp_path / "it's mine.txt"
    write_at_once(path, "old")
    path.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(ZeroDivisionError), replacing(link) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    write_at_once(link, "new")
    assert link.is_symlink() and path.read_text() == "new" and len(list(tmp_path.iterdir())) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_at_once("/dev/null", "away")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)

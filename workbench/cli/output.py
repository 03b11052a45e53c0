"""How commands speak: results on stdout, warnings on stderr (progress too), files where they were asked for."""

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.plain import parted, printable_lines

OUT = Path("out")


def say(text: str = "") -> None:
    print(text, flush=True)  # a pipe's reader sees it now, and before what goes to stderr next


def say_more(args, text: str = "") -> None:
    """Say what --quiet leaves out: notes, files written, the next command."""
    if not args.quiet:
        say(text)


def say_error(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)


def say_note(text: str | None, args=None) -> None:
    """A note on stderr; nothing for an empty text, or under --quiet."""
    if text and not (args and args.quiet):
        print(f"note: {text}", file=sys.stderr)


def say_json(value) -> None:
    print(json.dumps(value, indent=1))


class SafeStream:
    """A stream that spells out control characters: no name moves the cursor (see plain). `raw`: the stream itself."""

    def __init__(self, raw):
        self.raw = raw

    def write(self, text: str) -> int:
        return self.raw.write(printable_lines(text))

    def __getattr__(self, name):
        return getattr(self.raw, name)


@contextmanager
def safe_streams():
    """While the block runs, all text on stdout and stderr passes through a SafeStream."""
    with redirect_stdout(SafeStream(sys.stdout)), redirect_stderr(SafeStream(sys.stderr)):
        yield


def names(text: str, option: str) -> list[str]:
    """The names in `a,b`, each once. Raises WorkbenchError for an empty name."""
    found = [name.strip() for name in parted(text, ",")]
    if not all(found):
        what = "nothing" if not any(found) else f"nothing beside a comma: {text}"
        raise WorkbenchError(f"{option} names {what}", f"such as {option} {','.join(filter(None, found)) or 'A,B'}")
    return list(dict.fromkeys(found))


def table(heads: list[str], rows: list[list], left: int = 1) -> str:
    """Aligned columns: the first `left` and the last to the left if it is text, numbers to the right."""
    cells = [heads, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(heads))]

    def line(row):
        parts = [
            c.ljust(w) if at < left else c.rjust(w) for at, (c, w) in enumerate(zip(row[:-1], widths, strict=False))
        ]
        return "  ".join([*parts, row[-1]]).rstrip()

    return "\n".join(map(line, cells))


def output_folder(chosen: str | None, default: str, force: bool) -> Path:
    """The folder to write into: the chosen one if it is free (or `force`), else out/`default`, the tool's own."""
    if chosen is None:
        _require_writable(OUT / default)
        return OUT / default
    folder = Path(chosen)
    if folder.exists() and not folder.is_dir():
        raise WorkbenchError(f"{folder} is a file", "-o names a folder")
    if folder.is_dir() and not force and not _is_free(folder):
        raise WorkbenchError(f"{folder} is not empty", "--force writes into it all the same, or name another folder")
    _make(folder)
    _require_writable(folder)
    return folder


def _is_free(folder: Path) -> bool:
    if not any(folder.iterdir()):
        return True
    from workbench.record.folder import free  # loads pandas

    return free(folder)


def output_file(chosen: str, force: bool) -> Path:
    """A file to write; one that is there already is kept unless `force`."""
    path = Path(chosen)
    if path.is_dir():
        raise WorkbenchError(f"{path} is a folder", "name a file")
    if path.exists() and not force:
        raise WorkbenchError(f"{path} is there already", "--force replaces it, or name another file")
    _make(path.parent)
    new = not path.exists()
    try:
        path.open("ab").close()  # now, not after an hour of training, is the time to hear that it cannot be written
    except OSError as error:
        raise WorkbenchError(f"{path} cannot be written: {error.strerror}", "name another file") from None
    if new:
        path.unlink()  # nothing is left of a run that fails
    return path


def picture_file(option: str, chosen: str | None, force: bool) -> Path | None:
    """The file of a picture that an option names (None: it was not given)."""
    if not chosen:
        return None
    from workbench.report.figure import ENDINGS

    if Path(chosen).suffix.lower() not in ENDINGS:
        raise WorkbenchError(f"{chosen} is no {', '.join(ENDINGS)}", f"such as {option} {option.strip('-')}.png")
    return output_file(chosen, force)


def _make(folder: Path) -> None:
    """Make the folder before the training, so that an error comes now, not after an hour."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkbenchError(f"{folder} cannot be made: {error.strerror}", "name another folder") from None


def _require_writable(folder: Path) -> None:
    """Raise WorkbenchError for a folder that cannot be written, or could not be made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        reason = f"{there.absolute()} is no folder that can be written"
        raise WorkbenchError(f"{folder} cannot be made: {reason}", "-o DIR names another folder")


@contextmanager
def stopping_after_a_step():
    """Gives what training asks after each step: whether Ctrl-C has been pressed. Before it has asked, and the second
    time, Ctrl-C ends everything at once."""
    asked: list[bool] = []
    pressed: list[bool] = []

    def interrupted() -> bool:
        asked.append(True)
        return bool(pressed)

    def stop(*_):
        if pressed or not asked:
            raise KeyboardInterrupt
        pressed.append(True)
        os.write(2, b"stopping; Ctrl-C again ends at once\n")  # print could be what was interrupted

    with _on_ctrl_c(stop):
        yield interrupted


@contextmanager
def stopping():
    """The first Ctrl-C interrupts the block; further ones are ignored while its processes end."""

    def stop(*_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("stopping", file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    with _on_ctrl_c(stop):
        yield


@contextmanager
def _on_ctrl_c(stop):
    """`stop` handles Ctrl-C, unless the caller has a handler of its own."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

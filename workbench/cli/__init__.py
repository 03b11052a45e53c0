"""The command line, one file a verb: the only part that prints or exits."""

import errno
import os
import sys
import traceback

from workbench.cli.grammar import parse
from workbench.cli.output import safe_streams, say_error
from workbench.errors import WorkbenchError

OUR_BUG = 70
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code: 0 ok, 1 user's error, 2 usage, 3 check or budget failed, 70 our bug."""
    with safe_streams():
        return _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):  # a stream of a notebook has none
            reconfigure(errors="replace")  # a terminal that knows no '→', a file's name that is no text
    try:
        args = parse(arguments)
    except ImportError as error:
        say_error(_not_loaded(error))
        return 1
    try:
        code = args.execute(args)
        sys.stdout.flush()
        return code or 0
    except WorkbenchError as error:
        return _failed(args, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _failed(args, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing more to say
        return 0
    except OSError as error:
        _forget_unwritten()
        return _failed(args, _told(error), 1)
    except MemoryError:
        return _failed(
            args, "this machine's memory is used up\n  help: close what needs much of it, or ask for less", 1
        )
    except ImportError as error:
        if (error.name or "workbench").startswith("workbench"):
            return _our_bug(args, error)
        return _failed(args, _not_loaded(error), 1)
    except Exception as error:
        return _our_bug(args, error)


def _told(error: OSError) -> str:
    """What the system refused and where; for a disk that is full or read-only, what else to write to."""
    place = f"{error.filename}: " if error.filename else ""
    words = f"{place}{error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{words}\n  help: free some space there, or write elsewhere: -o DIR; TMPDIR=DIR for temporary files"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{words}\n  help: write elsewhere: -o DIR; TMPDIR=DIR for temporary files"
    return words


def _not_loaded(error: ImportError) -> str:
    where = f"install it into {sys.prefix}; in a checkout, `rm -r .venv`, then `./workbench.sh setup`, installs all"
    return f"a Python package cannot be loaded: {error}\n  help: {where}"


def _forget_unwritten() -> None:
    """Where the output itself cannot be written, Python would try again at its end, and tell of it in its own words."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _our_bug(args, error: Exception) -> int:
    text = f"{type(error).__name__}: {error}\n  help: this is a bug of the workbench; -vv shows where"
    return _failed(args, text, OUR_BUG)


def _failed(args, text: str, code: int) -> int:
    if args.verbose > 1:
        traceback.print_exc()
    say_error(text)
    return code

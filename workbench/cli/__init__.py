"""The command line, one file a verb: the only part that prints or exits."""

import os
import sys
import traceback

from workbench.cli.grammar import parse
from workbench.cli.output import say_error
from workbench.errors import WorkbenchError

OUR_BUG = 70
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code: 0 ok, 1 user's error, 2 usage, 3 check or budget failed, 70 our bug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args = parse(arguments)
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
        return _failed(args, f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    except Exception as error:
        text = f"{type(error).__name__}: {error}\n  help: this is a bug of the workbench; -vv shows where"
        return _failed(args, text, OUR_BUG)


def _failed(args, text: str, code: int) -> int:
    if args.verbose > 1:
        traceback.print_exc()
    say_error(text)
    return code

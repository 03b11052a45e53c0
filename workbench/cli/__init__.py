"""The command line, one file a verb: the only part that prints or exits."""

import argparse
import difflib
import os
import sys
import traceback
from importlib import import_module

from workbench.cli.output import say_error
from workbench.errors import WorkbenchError

VERBS = (
    *("demo", "run", "lifecycle", "compare", "report", "check", "show", "plan", "build"),
    *("models", "boards", "ops", "passes", "policies"),
)
MAY_BEGIN_WITH_MINUS = ("--passes", "--policy", "--policies")  # their values: -in-place, or -1, the last layer
OUR_BUG = 70
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code: 0 ok, 1 user's error, 2 usage, 3 check or budget failed, 70 our bug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    grammar = parser()
    _require_verb(grammar, arguments)
    args = grammar.parse_args(_joined(arguments))
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


def parser() -> argparse.ArgumentParser:
    """The whole grammar; each verb's module adds its own part."""
    top = argparse.ArgumentParser(
        prog="workbench", description="Train neural networks on an emulated microcontroller, and measure every byte."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
        module = import_module(f"workbench.cli.{name}")
        sub = verbs.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(sub)
        sub.add_argument("-v", "--verbose", action="count", default=0, help="-vv shows tracebacks")
        sub.add_argument("-q", "--quiet", action="store_true", help="the result alone: no progress, no notes")
        sub.set_defaults(execute=module.execute)
    return top


def _require_verb(grammar: argparse.ArgumentParser, arguments: list[str]) -> None:
    """A slip in the verb ends here (exit 2), with what may have been meant."""
    if not arguments or arguments[0].startswith("-") or arguments[0] in VERBS:
        return
    close = difflib.get_close_matches(arguments[0], VERBS, 1)
    meant = f"did you mean {close[0]}? " if close else ""
    grammar.error(f"no verb is called {arguments[0]!r}; {meant}there are {', '.join(VERBS)}")


def _joined(arguments: list[str]) -> list[str]:
    """`--passes -in-place` as `--passes=-in-place`: argparse alone would take the value for an option."""
    words: list[str] = []
    for word in arguments:
        if words and words[-1] in MAY_BEGIN_WITH_MINUS and word.startswith("-") and not word.startswith("--"):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def _failed(args, text: str, code: int) -> int:
    if args.verbose > 1:
        traceback.print_exc()
    say_error(text)
    return code

"""What can be typed: the verbs and their options; one line for one slip, with what may have been meant."""

import argparse
import time
from abc import abstractmethod
from importlib import import_module
from importlib.metadata import version

from workbench.cli.epilogs import EPILOGS
from workbench.errors import meant

GROUPS = {
    "train and measure": ("demo", "run", "predict", "lifecycle", "compare", "report"),
    "look inside": ("inspect", "show", "plan", "passes", "policies", "check", "check-budget"),
    "make it quicker": ("tune",),
    "any firmware": ("profile",),
    "take along": ("build",),
    "what there is": ("models", "boards", "ops"),
}
VERBS = tuple(verb for verbs in GROUPS.values() for verb in verbs)
MAY_BEGIN_WITH_MINUS = (  # their values: -in-place, or -1, the last layer; a limit's own error says more than argparse
    "--passes", "--policy", "--policies", "--max-sram", "--max-flash", "--max-stack", "--max-instructions",
    "--max-cycles",
)  # fmt: skip


def parse(arguments: list[str]) -> argparse.Namespace:
    """The arguments of one command. A slip, or a question for help, ends here by SystemExit: code 2, or 0."""
    words = _joined(_question(arguments))
    grammar = parser()
    first = words[0]
    if first.startswith("-") and first not in grammar._option_string_actions:
        grammar.error(f"{first} stands before the verb, which comes first")
    if first not in VERBS and not first.startswith("-"):
        grammar.error(f"no verb is called {first!r}; {meant(first, VERBS)}there are {', '.join(VERBS)}")
    args, unknown = grammar.parse_known_args(words)
    if unknown:
        _refuse(verb_parser(args.verb), unknown)
    args.started = time.monotonic()
    return args


def parser() -> "Grammar":
    """The parser of all verbs; each verb's module adds its own arguments."""
    top = Grammar(prog="workbench", add_help=False)
    top.add_argument("-h", "--help", action=_Overview)
    top.add_argument("-V", "--version", action=_Version)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
        verb_parser(name, verbs.add_parser)
    return top


def verb_parser(name: str, make=None) -> "Grammar":
    """The parser of one verb."""
    module = module_of(name)
    made = (make or Grammar)(name, description=module.__doc__, epilog=EPILOGS.get(name), formatter_class=_Formatter)
    made.prog = f"workbench {name}"
    module.add_arguments(made)
    made.add_argument("-v", "--verbose", action="count", default=0, help="-vv shows tracebacks")
    made.add_argument("-q", "--quiet", action="store_true", help="the result alone: no progress, no notes")
    made.set_defaults(execute=module.execute)
    return made


def module_of(verb: str):
    """The module of a verb, its file in this package: check-budget is in check_budget.py."""
    return import_module(f"workbench.cli.{verb.replace('-', '_')}")


class _Formatter(argparse.HelpFormatter):
    """argparse's, which leaves epilogs as they are."""

    def _fill_text(self, text, width, indent):
        return text if text in EPILOGS.values() else super()._fill_text(text, width, indent)


class Grammar(argparse.ArgumentParser):
    """argparse that tells one slip in two lines, instead of all that could be typed."""

    def error(self, message: str):
        words = message.removeprefix("argument ").replace("the following arguments are required:", "missing:")
        self.exit(2, f"error: {words}\n  help: {self._short_usage()}\n")

    def _short_usage(self) -> str:
        if self.prog == "workbench":
            return "workbench VERB …; `workbench help` lists the verbs"
        takes = " ".join(_positional(action) for action in self._actions if not action.option_strings)
        verb = self.prog.split()[-1]
        return f"{' '.join(filter(None, (self.prog, takes)))} [OPTION …]; `workbench help {verb}` lists the options"

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            known = ", ".join(map(str, action.choices))
            text = f"{value!r} is not a choice; {meant(value, action.choices)}there are {known}"
            raise argparse.ArgumentError(action, text)


class _Question(argparse.Action):
    """An option that is answered at once, and ends the command."""

    def __init__(self, **how):
        super().__init__(nargs=0, **how)

    @abstractmethod
    def answer(self) -> None:
        """Print it."""

    def __call__(self, *_):
        self.answer()
        raise SystemExit(0)


class _Version(_Question):
    def answer(self) -> None:
        print(f"workbench {version('workbench')}")


class _Overview(_Question):
    """The verbs in their groups, and the first commands to type."""

    def answer(self) -> None:
        print("Train neural networks on an emulated microcontroller, and measure every byte.\n")
        print("usage: workbench VERB [MODEL] [OPTION …]")
        for title, verbs in GROUPS.items():
            print(f"\n{title}")
            for verb in verbs:
                print(f"  {verb:<14}{module_of(verb).HELP}")
        print("\nfor a start")
        print("  workbench demo                        learn real digits, then see where the memory went")
        print("  workbench run lenet --epochs 5        train, with accuracy before and after")
        print("  workbench help run                    the options of a verb; also: workbench run --help")


def _question(arguments: list[str]) -> list[str]:
    """`help run` becomes `run --help`; no words at all become `--help`."""
    if not arguments or arguments == ["help"]:
        return ["--help"]
    return [*arguments[1:2], "--help"] if arguments[0] == "help" else arguments


def _joined(arguments: list[str]) -> list[str]:
    """`--passes -in-place` becomes `--passes=-in-place`: argparse would take the value for an option."""
    words: list[str] = []
    for word in arguments:
        if words and words[-1] in MAY_BEGIN_WITH_MINUS and word.startswith("-") and not word.startswith("--"):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def _refuse(verb: Grammar, unknown: list[str]) -> None:
    """End with an error about the first word that the verb does not take."""
    word = next((word for word in unknown if word.startswith("-")), unknown[0]).split("=")[0]
    if not word.startswith("-"):
        verb.error(f"{word!r} is one argument too many")
    options = [option for action in verb._actions for option in action.option_strings]
    verb.error(f"there is no option {word}; {meant(word, options)}".rstrip("; "))


def _positional(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return {"?": f"[{name}]", "+": f"{name} …"}.get(str(action.nargs), name)

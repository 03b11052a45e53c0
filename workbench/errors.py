"""What goes wrong, told to a person: one class a stage, each with a message, a hint and an exit code."""

import difflib
import reprlib
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

from workbench.plain import printable_lines, shortened

SHORTEST = 3  # letters of a beginning that says which name was meant


def shown(value) -> str:
    """What was given instead, in a few letters: its repr cut short, or what kind of thing it is."""
    plain = value is None or isinstance(value, str | bytes | bool | int | float | complex | list | tuple | dict)
    try:
        return reprlib.repr(value) if plain or hasattr(value, "__array__") else f"a {type(value).__name__}"
    except ValueError:  # Python writes out no whole number of thousands of digits
        return "a number of thousands of digits"


class WorkbenchError(Exception):
    """A user can act on it. `message` says what and where, `hint` what to do; exit code 1."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        text = self.message if self.hint is None else f"{self.message}\n  help: {self.hint}"
        return shortened(printable_lines(text))


class ShapeError(WorkbenchError):
    """An operator's operands do not fit each other."""


class GraphError(WorkbenchError):
    """A graph breaks a rule of the IR (the verifier's verdict)."""


class ParseError(WorkbenchError):
    """IR text that cannot be read."""


class ModelError(WorkbenchError):
    """A network that is unknown, missing or cannot be imported."""


class PolicyError(WorkbenchError):
    """An update policy that is unknown or does not apply to the network."""


class DataError(WorkbenchError):
    """A data set that is unknown or does not fit the network."""


class BoardError(WorkbenchError):
    """A board that is unknown, or an SRAM limit it cannot have."""


class PlanError(WorkbenchError):
    """A buffer file that cannot be read, or a plan that is not valid."""


class ToolchainError(WorkbenchError):
    """A tool (compiler, make, emulator) that is missing, of the wrong version or killed, or a file that is no ELF."""


class ScheduleError(WorkbenchError):
    """A schedule that a kernel cannot have; a file of tuned kernels that is missing, damaged, or for another core."""


class RecordError(WorkbenchError):
    """A saved run that is missing or incomplete."""


class InternalError(WorkbenchError):
    """A bug of the workbench, not the user's doing; tells what is known of it."""

    exit_code = 70

    def __init__(self, message: str, hint: str = "this is a bug of the workbench; -vv shows where"):
        super().__init__(message, hint)


class BudgetError(WorkbenchError):
    """Something does not fit the memory it was given."""

    exit_code = 3


class FirmwareFault(WorkbenchError):  # noqa: N818  what embedded engineers call it
    """The emulated core stopped where it must not. Carries pc, address and symbol for whoever can say more."""

    exit_code = 3

    def __init__(self, message, hint=None, *, kind="fault", pc=None, address=None, symbol=None):
        super().__init__(message, hint)
        self.kind, self.pc, self.address, self.symbol = kind, pc, address, symbol


def meant(name: object, known: Iterable[str]) -> str:
    """'did you mean mlp? ' for a hint's beginning; nothing where no known name is close to, or begins with, `name`."""
    typed, lower = str(name).lower(), {str(each).lower(): each for each in known}
    begun = [each for each in lower if len(typed) >= SHORTEST and each.startswith(typed)]
    found = [*begun, *difflib.get_close_matches(typed, lower, 1)]
    return f"did you mean {lower[found[0]]}? " if found else ""


def there_are(name: object, known: Iterable[str]) -> str:
    """A hint for a name that is unknown: what may have been meant, and all that there is."""
    known = list(known)
    return f"{meant(name, known)}there are {', '.join(known)}"


@contextmanager
def readable(path: str | Path, hint: str | None = None):
    """Have a file that is missing, then with the hint, or cannot be read told as a ModelError."""
    try:
        yield
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", hint) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def naming(place: Path):
    """Have an OSError from inside name `place` if it names no file itself, as after a write to a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(place)
        raise

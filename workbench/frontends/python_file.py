"""Networks in Python files, `mynet.py:net`: a Model there or a PyTorch module, or a function or class that makes one.

A module needs an example of its input to be exported: `example_input` of the module, or of the file.

The file is run as `python mynet.py` would run it, but for its `if __name__ == "__main__":`. What lies beside it can be
imported, by this file alone: another one's `blocks.py` is not this one's. What it prints goes to stderr, so that
results on stdout stay results.
"""

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench import files
from workbench.errors import ModelError, WorkbenchError, meant, readable, shown
from workbench.frontends.model import Model
from workbench.frontends.obstacles import Unsupported

SUFFIX = ".py"
LARGEST_FILE = 4 * files.MB
NAME = "_workbench_network_file"  # of the module, while the file runs: it hides nobody else's
GIVEN = ("batch", "seed", "classes")  # parameters that a function can have
EXAMPLE = "example_input"  # of a PyTorch module's input, (batch, …): its attribute, or the file's
MODULE = "of a layers.Network, net.model(output) makes a Model; a torch.nn.Module is taken as it is"


def split(reference: str | Path) -> tuple[Path, str] | None:
    """'nets/mynet.py:net' -> (nets/mynet.py, 'net'), 'mynet.py' -> (mynet.py, ''); None for what is no Python file."""
    text = str(reference)
    if text.endswith(SUFFIX):
        return Path(text), ""
    path, _, name = text.rpartition(":")
    return (Path(path), name) if path.endswith(SUFFIX) else None


def called(path: Path, name: str) -> str:
    """'mynet.net', the folder's name under out/ among others."""
    return f"{path.stem}.{name}" if name else path.stem


def maker(path: Path, name: str) -> Callable[..., Model]:
    """A function with some of the parameters GIVEN that gives the network. Raises ModelError for a file without it."""
    members = _members(path)
    name = name or _only(path, members)
    if name not in members:
        raise ModelError(
            f"{path} has nothing called {shown(name)}", f"{meant(name, members)}{_there_are(path, members)}"
        )
    value, where = members[name], f"{path}:{name}"
    if isinstance(value, Model):
        return lambda: value
    if _is_module(value):
        return lambda *, batch=1: _of_module(value, members, path, name, batch)
    if not callable(value):
        raise ModelError(f"{where} is {shown(value)}, neither a Model nor a function that returns one", _hint(value))
    takes = _parameters(value)
    if missing := [each for each in takes if takes[each].default is takes[each].empty and each not in GIVEN]:
        hint = f"a function can have the parameters {', '.join(GIVEN)}, and others with defaults"
        raise ModelError(f"{where} takes {', '.join(missing)}, which nobody gives it", hint)

    def make(**how) -> Model:
        batch, seed = how.get("batch", 1), how.get("seed", 0)
        if torch := sys.modules.get("torch"):
            torch.manual_seed(seed)
        with _in_file(path):
            model = value(**{each: how[each] for each in how if each in takes})
        if _is_module(model):
            return _of_module(model, members, path, name, batch)
        if not isinstance(model, Model):
            raise ModelError(f"{where} returns {shown(model)}, no Model", _hint(model))
        return model

    own = {"batch", "seed"} if "torch" in sys.modules else set[str]()
    parameters = [
        inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=takes[each].default if each in takes else None)
        for each in GIVEN
        if each in takes or each in own
    ]
    vars(make)["__signature__"] = inspect.Signature(parameters)
    return make


def _is_module(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _of_module(module: Any, members: dict[str, object], path: Path, name: str, batch: int) -> Model:
    from workbench.frontends.torch import from_torch  # loads PyTorch

    example = getattr(module, EXAMPLE, None)
    example = members.get(EXAMPLE) if example is None else example
    if example is None:
        raise ModelError(f"{path}:{name} is a PyTorch module; what its input looks like is not told",
                         f"a line in {path.name} tells: {EXAMPLE} = torch.zeros(1, 3, 32, 32)")  # fmt: skip
    with _in_file(path):
        try:
            return from_torch(module, example, name=called(path, name), batch=batch)
        except Unsupported as error:
            raise Unsupported(Path(f"{path}:{name}"), f"{path}:{name}", error.obstacles) from error


def _members(path: Path) -> dict[str, object]:
    """What the file defines by name, in its order."""
    with readable(path, "name a file and what it calls the network: mynet.py:net"):
        source = files.read(path, LARGEST_FILE)
    module = ModuleType(NAME)
    module.__file__ = str(path)
    with _in_file(path, module):
        exec(compile(source, str(path), "exec"), vars(module))
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


def _only(path: Path, members: dict[str, object]) -> str:
    """The name of the one Model there, or of the one function of this file that can be called with nothing else."""
    models = {id(value): name for name, value in members.items() if isinstance(value, Model) or _is_module(value)}
    names = list(models.values()) or _makers(members)
    if len(names) == 1:
        return names[0]
    problem = f"holds {len(names)} networks" if names else "holds no Model, and no function that could return one"
    raise ModelError(f"{path} {problem}", f"name one: {', '.join(f'{path}:{name}' for name in names[:9])}" if names else
                     MODULE)  # fmt: skip


def _makers(members: dict[str, object]) -> list[str]:
    """Names of the functions of this file that could return a Model."""

    def could(value) -> bool:
        needs = (each for each, taken in _parameters(value).items() if taken.default is taken.empty)
        return value.__module__ == NAME and set(needs) <= set(GIVEN)

    return [
        name for name, value in members.items() if (inspect.isfunction(value) or _makes_module(value)) and could(value)
    ]


def _makes_module(value: object) -> bool:
    """Whether it is a class of PyTorch modules."""
    torch = sys.modules.get("torch")
    return torch is not None and inspect.isclass(value) and issubclass(value, torch.nn.Module)


def _there_are(path: Path, members: dict[str, object]) -> str:
    names = [name for name, value in members.items() if isinstance(value, Model) or _is_module(value)]
    names += _makers(members)
    return f"there are {', '.join(names[:20])}" if names else f"{path.name} holds no Model, and no function for one"


def _parameters(function: Callable) -> dict[str, inspect.Parameter]:
    """Those that can be given by name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some of what C code makes has none
        return {}
    return {each.name: each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}


def _hint(value: object) -> str | None:
    return "of a layers.Network, net.model(output) makes a Model" if type(value).__name__ == "Network" else None


@contextmanager
def _in_file(path: Path, module: ModuleType | None = None) -> Iterator[None]:
    """What runs inside is the user's: it imports from its folder, and its errors are told with its own line."""
    folder = path.absolute().parent
    before, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(folder))
    if module:
        sys.modules[NAME] = module  # dataclasses look themselves up
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit:
        raise ModelError(f"{_place(path)}: the file ends the program", "guard what only a script does with "
                         '`if __name__ == "__main__":`') from None  # fmt: skip
    except Unsupported:
        raise  # its obstacles tell their own lines
    except WorkbenchError as error:
        raise ModelError(f"{_place(path)}: {error.message}", error.hint) from error
    except ImportError as error:
        raise ModelError(f"{_place(path)}: {_line(error)}", f"what it imports is looked for beside {path.name}, and in "
                         f"{sys.prefix}, where pip can install it") from error  # fmt: skip
    except Exception as error:  # whatever the user's own code raises
        raise ModelError(f"{_place(path)}: {_line(error)}", "-vv shows the traceback") from error
    finally:
        sys.path[:] = before
        sys.modules.pop(NAME, None)
        for name in set(sys.modules) - modules:
            if _beside(folder, name.partition(".")[0]):
                del sys.modules[name]


def _beside(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").exists() or (folder / name).is_dir()


def _place(path: Path) -> str:
    """mynet.py, line 12: the last line of the file that was under way."""
    error = sys.exception()
    frames = traceback.extract_tb(error.__traceback__) if error else ()
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
    return f"{path}, line {lines[-1]}" if lines and lines[-1] else str(path)


def _line(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first = (text.strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__

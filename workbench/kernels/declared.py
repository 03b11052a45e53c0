"""What the C headers declare, held against the records of the operators: both agree by name, or nothing loads."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_origin

from workbench.errors import InternalError
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_MACRO = re.compile(r"\\\n|##|\bWB_NAMED(?=\()")  # makes a function in a macro look unlike others
_STRUCT = re.compile(r"\btypedef\s+struct\b\s*\w*\s*\{([^{}]*)\}\s*(\w+)\s*;")
_FUNCTION = re.compile(r"\bWB_KERNEL\s+[\w ]+?[\s*]+\(?(\w+)\)?\(([^{}()]*)\)\s*\{")
_SYMBOL = re.compile(r"\bwb_\w+")
_INCLUDE = re.compile(r'#include "(.+?)"')


@dataclass(frozen=True)
class Header:
    """`structs`: name -> field -> its type. `functions`: name -> the types of its parameters; `declarations`:
    these parameters as they are written."""

    structs: Mapping[str, Mapping[str, str]]
    functions: Mapping[str, tuple[str, ...]]
    declarations: Mapping[str, tuple[str, ...]]


def templates() -> Path:
    """The folder of the firmware's C: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "firmware_templates"
    return inside if inside.is_dir() else package.parent / "firmware_templates"


def sources(names: Iterable[str]) -> dict[str, str]:
    """The kernel headers called `names` and those they include: name -> text, sorted."""
    texts: dict[str, str] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name not in texts:
            texts[name] = _source(name)
            left += _INCLUDE.findall(texts[name])
    return dict(sorted(texts.items()))


@cache
def _source(name: str) -> str:
    path = templates() / "kernels" / name
    if not path.is_file():
        raise _apart(f"there is no kernel header {name} in {path.parent}")
    return path.read_text(encoding="utf-8")


@cache
def reserved() -> frozenset[str]:
    """The names in the firmware's own C, and in any kernel's: a network's symbols are called otherwise. But for
    wb_step, which the conventional runtime counts up: a network that reads it makes it its own."""
    texts = (path.read_text(encoding="utf-8") for path in templates().rglob("*.[ch]"))
    return frozenset(word for text in texts for word in _SYMBOL.findall(_COMMENT.sub("", text))) - {"wb_step"}


@cache
def header(name: str) -> Header:
    """What a kernel header declares, with all that it includes."""
    structs: dict[str, Mapping[str, str]] = {}
    functions: dict[str, tuple[str, ...]] = {}
    declarations: dict[str, tuple[str, ...]] = {}
    for included in sources([name]):
        own = _declared(_source(included))
        structs |= own.structs
        functions |= own.functions
        declarations |= own.declarations
    return Header(structs, functions, declarations)


@cache
def _declared(text: str) -> Header:
    structs = {name: dict(_declarations(body)) for body, name in _STRUCT.findall(_COMMENT.sub("", text))}
    declarations = dict(functions_in(text))
    return Header(structs, {name: tuple(map(_type_of, given)) for name, given in declarations.items()}, declarations)


def functions_in(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Name and parameters, as they are written, of each kernel in a header; what a macro makes is called as it says."""
    found = _FUNCTION.findall(_MACRO.sub("", _COMMENT.sub("", text)))
    return [(name, tuple(_split(given))) for name, given in found]


def _declarations(body: str) -> Iterable[tuple[str, str]]:
    """(field, type) of `int kh, n[3]; const float *w;`: int, int[], float*."""
    for line in filter(None, map(str.strip, body.split(";"))):
        kind = _type_of(line.partition(",")[0]).rstrip("*[]")
        for each in line.split(","):
            yield _words(each)[-1], kind + "*" * each.count("*") + "[]" * each.count("[")


def _split(parameters: str) -> list[str]:
    return [] if parameters.strip() in ("", "void") else [each.strip() for each in parameters.split(",")]


def _type_of(declaration: str) -> str:
    """'wb_conv2d' of `wb_conv2d p`, 'float*' of `const float *restrict x`."""
    words = [word for word in _words(declaration) if word not in ("const", "restrict")]
    return " ".join(words[:-1]) + "*" * declaration.count("*")


def _words(declaration: str) -> list[str]:
    """Its type and name: what stands before the number of an array's elements."""
    return re.findall(r"\w+", declaration.partition("[")[0])


def named(declaration: str) -> str:
    """'x' of `const float *restrict x`."""
    return _words(declaration)[-1]


def _apart(what: str) -> InternalError:
    return InternalError(what, "the workbench's C and its Python are not of one version: install it anew")


def forget() -> None:
    """Read all headers again."""
    _source.cache_clear()
    reserved.cache_clear()
    header.cache_clear()


def struct_of(kernel: Kernel, function: str) -> str:
    """The name of the struct that a kernel's function takes first; "" for none."""
    return next(iter(header(kernel.header).functions[function]), "")


def agree(op: Op) -> None:
    """Raises InternalError, naming it, for a parameter of a kernel that only one side has, C or Python."""
    kernel = op.kernel
    if kernel is None:
        return
    declared = header(kernel.header)
    for function in kernel.functions:
        if function not in declared.functions:
            raise _apart(f"{op.name}: {kernel.header} defines no kernel {function}")
        struct = struct_of(kernel, function)
        if struct not in declared.structs:
            raise _apart(f"{op.name}: {function} of {kernel.header} takes {struct or 'nothing'}, no struct")
        if kernel.record is None:
            raise _apart(f"{op.name}: has no record for the parameters of {function} of {kernel.header}")
        _fields_agree(f"{op.name}: {function} of {kernel.header}", kernel.record, struct, declared.structs)


def _fields_agree(what: str, record: type, struct: str, structs: Mapping[str, Mapping[str, str]]) -> None:
    kinds: dict[str, Any] = {each.name: each.type for each in fields(record)}
    names, there = list(kinds), structs[struct]
    for name in names:
        if name not in there:
            raise _apart(f"{what}: {record.__name__} has a parameter {name!r}, {struct} has none of this name")
    for name in there:
        if name not in names:
            raise _apart(f"{what}: {struct} has a parameter {name!r}, {record.__name__} has none of this name")
    if names != list(there):  # C would not mind, C++ does, and so does who reads a call beside its header
        raise _apart(f"{what}: not in one order: {record.__name__} has {', '.join(names)}, "
                         f"{struct} has {', '.join(there)}")  # fmt: skip
    for name in names:
        inner = is_dataclass(kinds[name])
        if inner != (there[name] in structs):
            raise _apart(f"{what}: {name!r} is a record on one side only")
        if (get_origin(kinds[name]) is tuple) != there[name].endswith("[]"):
            raise _apart(f"{what}: {name!r} is several numbers on one side only")
        if kinds[name] is float and there[name] not in ("float", "double"):
            raise _apart(f"{what}: {name!r} is float in {record.__name__}, {there[name]} in {struct}")
        if inner:
            _fields_agree(f"{what}, {name}", kinds[name], there[name], structs)

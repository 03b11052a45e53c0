"""A .pt2 file as PyTorch's reader gets it: checked first, and written anew from what was checked.

torch.export.load unpickles what a file stores so, evaluates its symbolic sizes as Python, looks up operators as
attributes of `torch`, and loads the libraries of a compiled model. What may reach any of it is refused:

    member of the archive             what is taken
    models/model.json                 operators of ATen, arithmetic of sizes, tuples, lists and dicts of tensors
    weights and constants             bytes of tensors; pickled ones and objects are refused
    sample inputs                     replaced by none
    everything else                   left out; compiled code is refused
"""

import ast
import io
import json
import keyword
import re
import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import PurePosixPath
from typing import Any

import torch

from workbench.errors import shown
from workbench.frontends.model import LARGEST_TENSOR

MODEL = "models/model.json"
WEIGHTS, CONSTANTS = "data/weights/", "data/constants/"
CONFIGS = {WEIGHTS: f"{WEIGHTS}model_weights_config.json", CONSTANTS: f"{CONSTANTS}model_constants_config.json"}
SAMPLES = "data/sample_inputs/model.pt"
NEEDED = ("archive_format", "archive_version", MODEL, *CONFIGS.values())
TAKEN = (*NEEDED, "byteorder", "version", ".data/version")
REFUSED = {
    "data/aotinductor/": "holds compiled code",
    "executorch/": "holds compiled code",
    f"{WEIGHTS}model.pt": "keeps its weights pickled",
    f"{CONSTANTS}model.pt": "keeps constants pickled",
}
MEMBERS = 100_000
OPERATOR = re.compile(r"torch\.ops\.\w+\.(?!_)\w+\.\w+|torch\.ops\.aten\.\w+\.\w+|torch\.(sym_\w+|_sym_sqrt)|"
                      r"_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|eq|ne|lt|le|gt|ge|and_|or_|not_)|"
                      r"math\.(ceil|floor|trunc)")  # fmt: skip
NAMESPACES = ("aten", "prims", "quantized_decomposed")
FORBIDDEN = ("torch.ops.aten.from_file.", "torch.ops.aten._print.", "torch.ops.aten._linalg_check")
FUNCTIONS = {"FloorDiv", "ModularIndexing", "Where", "PythonMod", "Mod", "CleanDiv", "CeilToInt", "FloorToInt",
             "CeilDiv", "IntTrueDiv", "FloatTrueDiv", "TruncToInt", "TruncToFloat", "RoundToInt", "ToFloat", "Identity",
             "Max", "Min", "Symbol", "Integer", "Float", "Add", "Mul", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or",
             "Not"}  # fmt: skip
PARTS = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Constant, ast.keyword, ast.Load,
         ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub, ast.UAdd, ast.cmpop, ast.BitAnd,
         ast.BitOr, ast.Invert)  # fmt: skip
SYMBOL, LONGEST = re.compile(r"[suz]f?\d+|zuf?\d+|(int_)?oo"), 2000
NUMBER = re.compile(r"-?[\d.]+(e[+-]?\d+)?")
CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")


def program(content: bytes) -> torch.export.ExportedProgram:
    """The program in a .pt2 file. Raises ValueError, in words, for what is none or could do harm."""
    return torch.export.load(io.BytesIO(checked(content)))


def checked(content: bytes) -> bytes:
    """The archive with those members alone that are needed, and that are harmless."""
    members = _members(content)
    for start, why in REFUSED.items():
        if any(name.startswith(start) for name in members):
            raise ValueError(f"it {why}, which may run code")
    if missing := [name for name in NEEDED if name not in members]:
        raise ValueError(f"{missing[0]} is missing in it")
    model = _json(members, MODEL)
    _check_model(model)
    model["guards_code"] = []
    own = dict.fromkeys(TAKEN)
    for folder, config in CONFIGS.items():
        own |= dict.fromkeys(_check_tensors(_json(members, config), folder, members))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in own:
            if name in members:
                archive.writestr(f"net/{name}", json.dumps(model) if name == MODEL else members[name])
        archive.writestr(f"net/{SAMPLES}", b"")
    return written.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
    """What an archive holds, by name without the folder of all; nothing is unpacked that is longer than the file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > MEMBERS:
                raise ValueError(f"it has {len(entries)} members")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("it is compressed; torch.export.save does not compress")
            if sum(entry.file_size for entry in entries) > len(content):
                raise ValueError("its members overlap")
            members: dict[str, bytes] = {}
            for entry in entries:
                name = "/".join(PurePosixPath(entry.filename).parts[1:])
                if name in members:
                    raise ValueError(f"it has two members {shown(name)}")
                members[name] = archive.read(entry)
    except zipfile.BadZipFile as error:
        raise ValueError(f"it is no archive: {error}") from None
    except (OSError, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise ValueError(f"its archive is damaged: {error}") from None
    return members


def _json(members: dict[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(members[name])
    except (ValueError, RecursionError):
        raise ValueError(f"{name} in it is no JSON") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name} in it is no JSON object")
    return value


def _check_model(model: dict[str, Any]) -> None:
    for key, value in list(_pairs(model)):
        if key == "expr_str":
            _check_size(value)
        elif key in ("in_spec", "out_spec"):
            _check_containers(value)
        elif key == "metadata" and isinstance(value, dict):
            for each in set(value) - {"stack_trace", "nn_module_stack"}:
                del value[each]
        elif isinstance(value, str) and (key == "name" or key.endswith("_name")):  # they become names in Python code
            if not re.fullmatch(r"[\w./-]*", value) or (key in ("name", "as_name") and not _is_identifier(value)):
                raise ValueError(f"it has the name {shown(value)}")
        elif key == "target" and isinstance(value, str):
            _check_operator(value)


def _is_identifier(name: str) -> bool:
    return not name or (name.isidentifier() and not keyword.iskeyword(name))


def _check_operator(name: str) -> None:
    namespace = name.split(".")[2] if name.startswith("torch.ops.") and name.count(".") > 2 else "aten"
    if not OPERATOR.fullmatch(name) or name.startswith(FORBIDDEN) or namespace not in NAMESPACES:
        raise ValueError(f"{shown(name)} is no operator of ATen, and no network for a microcontroller has it")


def _check_size(text: Any) -> None:
    """Sizes are arithmetic: names of symbols, numbers, and functions of PyTorch's sizes."""
    try:
        parts = list(ast.walk(ast.parse(text, mode="eval"))) if len(text) <= LONGEST else []
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        parts = []
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    functions = {part.func.id for part in parts if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)}
    simple = all(isinstance(part, PARTS) for part in parts)
    calls = sum(isinstance(part, ast.Call) for part in parts)
    numbers = all(_is_number(part.value) for part in parts if isinstance(part, ast.Constant))
    if (
        not parts or not simple or not numbers or not functions <= FUNCTIONS
        or calls != sum(isinstance(part, ast.Call) and isinstance(part.func, ast.Name) for part in parts)
        or not all(SYMBOL.fullmatch(each) for each in names - functions)
    ):  # fmt: skip
        raise ValueError(f"{shown(text)} is no size")


def _is_number(value: object) -> bool:
    """Whether a literal is one, or what a symbol is called."""
    if isinstance(value, str):
        return bool(SYMBOL.fullmatch(value) or NUMBER.fullmatch(value))
    return isinstance(value, int | float)


def _check_containers(text: Any) -> None:
    try:
        kinds = [value for key, value in _pairs(json.loads(text)) if key == "type"] if text else []
    except (TypeError, ValueError, RecursionError):
        raise ValueError("it does not tell how its inputs and outputs are nested") from None
    for kind in kinds:
        if kind not in CONTAINERS:
            raise ValueError(f"its inputs or outputs are in {shown(kind)}; tuples, lists and dicts are read")


def _check_tensors(config: dict[str, Any], folder: str, members: dict[str, bytes]) -> Iterator[str]:
    """The names of the members that hold them."""
    for name, told in _entries(config):
        path = told.get("path_name")
        if told.get("use_pickle") or not isinstance(path, str) or not re.fullmatch(r"(weight|tensor)_\d+", path):
            raise ValueError(f"it keeps {shown(name)} pickled or as an object, which may run code")
        if f"{folder}{path}" not in members:
            raise ValueError(f"{folder}{path} is missing in it")
        meta = told.get("tensor_meta")
        sizes: list[Any] = [each.get("as_int") for each in meta.get("sizes", [])] if isinstance(meta, dict) else [None]
        if any(type(size) is not int or size < 0 for size in sizes):
            raise ValueError(f"{shown(name)} has no shape of whole numbers")
        if prod(sizes) > LARGEST_TENSOR:
            raise ValueError(f"{shown(name)} of {tuple(sizes)} would be more than a network for a microcontroller has")
        yield f"{folder}{path}"


def _entries(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    entries = config.get("config")
    if not isinstance(entries, dict) or not all(isinstance(each, dict) for each in entries.values()):
        raise ValueError("it does not tell its tensors")
    yield from entries.items()


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at whatever depth."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield from each.items()
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each

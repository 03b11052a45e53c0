"""Compiled steps that were made before, on disk: found by all that they depend on, and given back as they were.

    <key>.step      sha256 of the key and of all that follows (cache.py)
                    one line of JSON: the memory plan, what each pass did, the order of values and parameters
                    the scheduled graph as IR text, of so many bytes
                    an .npz: channel orders, and the parameters that passes computed; the others are the model's

The key is a digest of the network with its weights, the policy, the optimizer, the objective, the schedule and its
passes, and of every source file of this package: where any of these changed, there is no such entry. Operators that are
registered by files outside the package are in no key, so beside them nothing is kept; nor is it by a process whose
sources were edited since it began, for it may have loaded some of them anew.
"""

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass, replace
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from workbench import cache
from workbench.artifacts import Compiled
from workbench.files import packed, unpacked
from workbench.frontends import Model
from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.liveness import Liveness
from workbench.ir.storage import Storage
from workbench.ir.text import parse_graph, print_graph
from workbench.kernels.declared import templates
from workbench.objective import Objective
from workbench.passes.permute_channels import permuted
from workbench.passes.pipeline import Applied
from workbench.plan.memory import MemoryPlan
from workbench.plan.problem import Placed, Plan
from workbench.policy import Optimizer, UpdatePolicy

KIND, MOST = "step", 500  # entries, of some 100 KB each
ORDER, VALUE = "order", "value"  # of the arrays' names
OWN = {"workbench", "numpy"}  # operators made of the functions of others change without a trace in the key


def key_of(
    model: Model,
    policy: UpdatePolicy,
    optimizer: Optimizer,
    schedule: str,
    passes: tuple[str, ...],
    objective: Objective,
) -> str | None:
    """The name of the entry; None where nothing can be kept."""
    operators = _digest_of(tuple(ops.registered().values()))
    if cache.folder() is None or operators is None or stamps(*FOLDERS) != STAMPS:
        return None
    digest = sha256(SOURCES.encode())
    versions = sys.version, np.__version__, platform.machine()
    asked = repr((policy, optimizer, schedule, passes, objective, versions))
    for part in (operators, asked, print_graph(model.graph)):
        digest.update(f"{len(part)}\0{part}".encode())
    for name, values in sorted(model.weights.items()):
        digest.update(f"{name}\0{values.dtype.str}\0{values.shape}\0".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:32]


@lru_cache(maxsize=1)
def _digest_of(records: tuple[ops.Op, ...]) -> str | None:
    """A digest of all that operators are; None where functions of others are among it. A record is never changed, so
    it is the same as long as it is this one: a tenth of a second's work."""
    parts = [part for op in records for part in _parts(op)]
    if any(callable(part) and _module(part).partition(".")[0] not in OWN for part in parts):
        return None
    digest = sha256()
    for part in map(_told, parts):
        digest.update(f"{len(part)}\0{part}".encode())
    return digest.hexdigest()


def kept(
    key: str | None, model: Model, policy: UpdatePolicy, optimizer: Optimizer, schedule: str, objective: Objective
) -> Compiled | None:  # fmt: skip
    """The step kept under `key`, but for its seconds; None where there is no such entry."""
    content = cache.content_of(key, KIND) if key else None
    if key is None or content is None:
        return None
    cache.used(key, KIND)
    line, _, rest = content.partition(b"\n")
    told = json.loads(line)
    graph = parse_graph(rest[: told["text"]].decode())
    graph = _in_order(graph, told["types"], told["bodies"])
    arrays = unpacked(rest[told["text"] :])
    orders = {
        name: {axis: arrays[f"{ORDER}.{axis}.{name}"] for axis in axes} for name, axes in told["orders"]
    }  # fmt: skip
    own = permuted(model.weights, orders)
    computed = {name: arrays[f"{VALUE}.{name}"] for name in told["weights"] if f"{VALUE}.{name}" in arrays}
    weights = {name: computed[name] if name in computed else own[name] for name in told["weights"]}
    applied = tuple(
        Applied(name, tuple(nodes), tuple(peaks), seconds, declined)
        for name, nodes, peaks, seconds, declined in told["passes"]
    )
    memory = _memory(told["memory"])
    return Compiled(model, policy, optimizer, schedule, graph, memory, applied, weights, orders, 0.0, objective)


def keep(key: str | None, compiled: Compiled) -> None:
    """Keep a step under `key`; where that cannot be, nothing happens."""
    if key is None:
        return
    own = permuted(compiled.model.weights, compiled.orders)
    arrays = {
        f"{VALUE}.{name}": values for name, values in compiled.weights.items() if not _same(values, own.get(name))
    }
    arrays |= {
        f"{ORDER}.{axis}.{name}": order for name, axes in compiled.orders.items() for axis, order in axes.items()
    }
    text = print_graph(compiled.graph).encode()
    told = {
        "text": len(text),
        "types": list(compiled.graph.types),
        "bodies": {node.results[0]: list(node.body.types) for node in compiled.graph.nodes if node.body},
        "weights": list(compiled.weights),
        "orders": [[name, list(axes)] for name, axes in compiled.orders.items()],
        "passes": [[each.name, each.nodes, each.peak_bytes, each.seconds, each.declined] for each in compiled.passes],
        "memory": asdict(compiled.memory),
    }
    cache.keep_content(key, KIND, json.dumps(told).encode() + b"\n" + text + packed(arrays))
    cache.drop_oldest(KIND, MOST)


def _in_order(graph: Graph, types: Sequence[str], bodies: Mapping[str, Sequence[str]]) -> Graph:
    """The graph with its types, and those of each region's body, in the order in which they were made."""
    nodes = list(graph.nodes)
    for index, node in enumerate(nodes):
        if node.body:
            body = replace(node.body, types={name: node.body.types[name] for name in bodies[node.results[0]]})
            nodes[index] = replace(node, attrs={**node.attrs, "body": body})
    return replace(graph, nodes=tuple(nodes), types={name: graph.types[name] for name in types})


def _memory(told: Mapping) -> MemoryPlan:
    living, plan = told["liveness"], told["plan"]
    arena, static = (
        tuple(
            Storage(tuple(s["values"]), s["bytes"], s["lower"], s["upper"], tuple(map(tuple, s["ends"])))
            for s in living[where]
        )
        for where in ("arena", "static")
    )
    buffers = tuple(Placed(**placed) for placed in plan["buffers"])
    return MemoryPlan(
        Liveness(arena, static, tuple(living["live"])), Plan(**{**plan, "buffers": buffers}), told["scratch"]
    )


def _same(values: np.ndarray, other: np.ndarray | None) -> bool:
    return other is not None and values.dtype == other.dtype and np.array_equal(_bits(values), _bits(other))


def _bits(values: np.ndarray) -> np.ndarray:
    """The values as bytes, so that NaN is itself and -0 is not 0; the shape still tells."""
    return np.ascontiguousarray(values).reshape(*values.shape, 1).view(np.uint8)


def _parts(value: Any) -> Iterator[Any]:
    """The functions and the data in a record such as an operator's, its kernel's included; of a class of records their
    fields."""
    if is_dataclass(value):
        value = tuple(each.name for each in fields(value)) if isinstance(value, type) else vars(value)
    if isinstance(value, Mapping):
        value = tuple(chain(*value.items()))
    if isinstance(value, tuple):
        yield len(value)
        for part in value:
            yield from _parts(part)
    else:
        yield value


def _module(function: Callable) -> str:
    """Where it was defined; "" for an object that can be called but tells no name: what is in it cannot be seen."""
    return getattr(function, "__module__", None) or "" if hasattr(function, "__qualname__") else ""


def _told(part: Any) -> str:
    if callable(part):
        return f"{part.__module__}.{part.__qualname__}"
    return "required" if part is ops.REQUIRED else repr(part)


def sources_digest(*folders: Path) -> str:
    """A digest of every file in these folders: its name and its bytes."""
    digest = sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if "__pycache__" not in path.parts and path.is_file():
                content = path.read_bytes()
                digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def stamps(*folders: Path) -> frozenset[tuple[str, int, int]]:
    """Of every file in these folders its path, when it was written, and its size: a millisecond's work."""
    found = set()
    for folder in folders:
        for where, _, names in os.walk(folder):
            for name in names if not where.endswith("__pycache__") else ():
                with suppress(OSError):  # gone since
                    told = os.stat(path := os.path.join(where, name))
                    found.add((path, told.st_mtime_ns, told.st_size))
    return frozenset(found)


FOLDERS = Path(__file__).resolve().parent, templates()
STAMPS, SOURCES = stamps(*FOLDERS), sources_digest(*FOLDERS)  # as they are loaded, before anyone edits them

"""The native callbacks, ready to call. Their machine code is kept, so that a later process need not load numba.

    hooks.py, flow.py --numba--> LLVM's code of each --one module, optimized--> an object file --kept--> addresses

The object file needs nothing of Python or numba: LLVM, which sees all functions together, finds that none raises, and
drops what would tell of an error. It is kept under a digest of the sources, the compilers' versions and the processor.
Where it cannot be made so, or be loaded, numba makes and keeps the callbacks in its own way.
"""

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from workbench import cache as kept
from workbench.emulate import core, symbols

KIND, MOST = "callbacks", 16  # entries, of 10 KB each
LIBC = ("memset", "memcpy", "memmove")  # what LLVM may call for a loop


@dataclass(frozen=True)
class Family:
    """Callbacks that are made together: those of a module, and the sources that they are made of."""

    module: str
    names: tuple[str, ...]
    sources: tuple[str, ...]


TRACER = Family("hooks", ("on_block", "on_access", "begin_call", "host_wrote"), ("pointers", "state"))
FLOW = Family("flow", ("on_flow", "on_flow_access"), ("pointers", "flow_state"))


@dataclass(frozen=True)
class Callbacks:
    """See hooks.py: the addresses of two that the emulator calls, and two functions that the host calls."""

    on_block: int
    on_access: int
    begin_call: Callable[[int], None]
    host_wrote: Callable[[int, int, int], None]


@cache
def callbacks() -> Callbacks:
    """The tracer's, loaded or made when first asked for."""
    on_block, on_access, begin_call, host_wrote = addresses_of(TRACER)
    one, three = [ctypes.c_int64], [ctypes.c_int64] * 3
    return Callbacks(
        on_block, on_access, ctypes.CFUNCTYPE(None, *one)(begin_call), ctypes.CFUNCTYPE(None, *three)(host_wrote)
    )


@cache
def addresses_of(family: Family) -> tuple[int, ...]:
    """Where the callbacks of a family lie, in the order of its names."""
    try:
        return tuple(_addresses(family))
    except Exception:  # another LLVM, another platform: whatever it is, numba can do without
        return tuple(_by_numba(family, name, True).address for name in family.names)


def _addresses(family: Family) -> list[int]:
    key = _key(family)
    content = kept.content_of(key, KIND)
    if content is not None:
        return _loaded(family, content)
    if kept.folder() is None or sys.platform != "linux":
        raise OSError("nothing can be kept, or not as an ELF: numba's own are there sooner")
    content = _made(family)
    addresses = _loaded(family, content)
    kept.keep_content(key, KIND, content)
    kept.drop_oldest(KIND, MOST)
    return addresses


def _key(family: Family) -> str:
    from llvmlite import binding as llvm

    told = version("numba"), version("llvmlite"), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    digest = sha256(repr(told).encode())
    sources = ("callbacks", family.module, *family.sources)
    for path in (*(Path(__file__).with_name(f"{name}.py") for name in sources), Path(core.__file__)):
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _made(family: Family) -> bytes:
    """One object file of all callbacks of a family."""
    from llvmlite import binding as llvm
    from numba.core.registry import cpu_target

    module, bodies = llvm.parse_assembly(""), set(family.names)
    for name in family.names:
        made = _by_numba(family, name, False)  # numba's own cache does not see that another source has changed
        part = llvm.parse_assembly(str(made._library._get_module_for_linking()))
        callback = part.get_function(made.native_name)
        callback.name, callback.linkage = name, llvm.Linkage.external  # or it would not be linked in: nothing calls it
        bodies.add(made.native_name.removeprefix("cfunc."))  # what the callback alone calls becomes a part of it
        module.link_in(part)
    for each in module.functions:
        if not each.is_declaration and each.name not in family.names:
            each.linkage = llvm.Linkage.internal
        if not each.is_declaration and each.name not in bodies:
            each.add_function_attribute("noinline")  # numba's LLVM has inlined what is worth it
    for each in module.global_variables:
        if not each.is_declaration:
            each.linkage = llvm.Linkage.internal
    target = cpu_target.target_context.codegen()._tm
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    return target.emit_object(module)


_alive: list[object] = []  # what the addresses point into


def _loaded(family: Family, content: bytes) -> list[int]:
    """The addresses of a family's callbacks. Raises an Exception where there is another file, or one that needs more
    than libc has: both would end LLVM, and with it the process."""
    from llvmlite import binding as llvm

    if foreign := symbols.undefined(content) - set(LIBC):
        raise ValueError(f"the callbacks would need {foreign}")
    libc = ctypes.CDLL(None)
    for name in LIBC:
        llvm.add_symbol(name, ctypes.cast(getattr(libc, name), ctypes.c_void_p).value)
    llvm.check_jit_execution()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(content))
    engine.finalize_object()
    addresses = [engine.get_function_address(name) for name in family.names]
    if not all(addresses):
        raise ValueError("not all callbacks are there")
    _alive.append(engine)
    return addresses


def _by_numba(family: Family, name: str, cached: bool):
    from numba import cfunc

    from workbench.jit import CACHED

    signature, function = import_module(f"workbench.trace.{family.module}").CALLBACKS[name]
    made = cfunc(signature, cache=CACHED and cached)(function)
    _alive.append(made)
    return made

"""A Cortex-M with one ELF inside exactly the memory its board has. The only importer of unicorn.

Memory map (an access to any other address is a fault; in nothing else is the core stricter than silicon):

    board.code  | flash: read and execute            |   writing is a fault
    board.data  | SRAM, exactly its size             |   one byte past it is a fault
    others      | the board's further regions        |   read and write; for our own firmware not there: it has no use
                |                                    |   for them, and at 0 a null pointer would find one
    0xE000E000  | System Control Space, plain memory |   only so that start-up can set CPACR

What a program may do besides is its machine's: our own firmware's (machine.py), or any other's (program.py).

The core is Unicorn's model of it. With UC_MODE_MCLASS that would be a Cortex-M33 whatever is asked for; without it, the
model alone decides, and a Cortex-M0+ faults at unaligned accesses and at instructions that it does not have. It runs on
the model of a Cortex-M0, which has the same instructions (Armv6-M).

Unicorn is more permissive than silicon: the floating-point unit works without CPACR, unaligned LDM/LDRD/VLDR do not
fault, IT works on a Cortex-M0+, SMLAD on a Cortex-M3, and there are no NVIC, SysTick or DWT.
"""

import ctypes
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from workbench.boards import Board, Region
from workbench.emulate.faults import Stop
from workbench.emulate.memory import Memory
from workbench.emulate.symbols import Elf, load_elf
from workbench.emulate.watchdog import Watchdog
from workbench.errors import BoardError, ToolchainError, WorkbenchError
from workbench.units import kilobytes

UNICORN = "2.1.3"  # 2.1.4 gives wrong results under memory hooks: tests/emulate/test_it_block.py
try:
    import unicorn
    from unicorn import arm_const as arm
    from unicorn.unicorn_py3.unicorn import uclib

    _problem = (
        "" if unicorn.__version__ == UNICORN else f"Unicorn {unicorn.__version__} is installed, and cannot be used"
    )
except ImportError as error:
    _problem = f"Unicorn cannot be loaded ({error})"
if _problem:
    raise ToolchainError(
        f"{_problem}: the workbench emulates with Unicorn {UNICORN} alone",
        f"{shlex.quote(sys.executable)} -m pip install unicorn=={UNICORN}",
    )

SYSTEM_CONTROL_SPACE = (0xE000E000, 0x1000)
CORES = {
    "cortex-m0plus": arm.UC_CPU_ARM_CORTEX_M0,
    "cortex-m3": arm.UC_CPU_ARM_CORTEX_M3,
    "cortex-m4": arm.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": arm.UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": arm.UC_CPU_ARM_CORTEX_M33,
}
HOOKS = {
    "block": unicorn.UC_HOOK_BLOCK,
    "code": unicorn.UC_HOOK_CODE,
    "memory": unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE,
}
ACCESSES = {
    unicorn.UC_MEM_READ_UNMAPPED: "read", unicorn.UC_MEM_READ_PROT: "read",
    unicorn.UC_MEM_WRITE_UNMAPPED: "write", unicorn.UC_MEM_WRITE_PROT: "write-protected",
    unicorn.UC_MEM_FETCH_UNMAPPED: "fetch", unicorn.UC_MEM_FETCH_PROT: "fetch",
}  # fmt: skip
REGISTERS = [*range(arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R12 + 1), arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR,
             arm.UC_ARM_REG_FPSCR, *range(arm.UC_ARM_REG_D0, arm.UC_ARM_REG_D15 + 1)]  # fmt: skip
STACK_POINTER = arm.UC_ARM_REG_SP
THUMB = 1 << 24  # in XPSR
EVERY_INSTRUCTION = 1 << 62
NOWHERE = 0xFFFFFFFE  # an address that no program reaches


def _address(function: Any) -> int:
    """Where a function of the emulator's library lies."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class Core(Memory):
    """An emulated board with an ELF in its memory; nothing runs yet.

    `seconds_limit` is how long (host time) one run may take before it counts as a runaway; it costs nothing, since a
    sleeping thread looks at the clock. A tracer, which counts anyway, holds the run to a budget of instructions.

    counter    the tracer that watches: `halted` says why it stopped the run, if it did
    flow       the flow that counts: it is told of calls, and may stop the run for a moment to make room
    entry      what the run is called in a fault
    home       where a run may come back to, where there is such a place
    """

    data_rights = unicorn.UC_PROT_WRITE  # of regions that hold no code of ours, besides reading

    def __init__(self, elf_path: Path | Elf, board: Board, *, seconds_limit: float = 600.0):
        self.elf: Elf = elf_path if isinstance(elf_path, Elf) else load_elf(elf_path)
        self.board = board
        self.seconds_limit = seconds_limit
        self._uc: Any = self._emulator()  # the binding makes some of its methods on import
        self.stopped: Stop | None = None
        self.counter: Any = None  # a Tracer: its package imports this one
        self.flow: Any = None  # a Flow
        self._hooks = [self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid_access),
                       self._uc.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)]  # fmt: skip
        self._watchdog = Watchdog(self._uc.emu_stop)
        self.entry = "reset"
        self.home = self._last_until = NOWHERE

    def close(self) -> None:
        """Free its memory, some MB and 1 GB of addresses, which the hooks and the watchdog would keep for long."""
        for handle in self._hooks:
            self._uc.hook_del(handle)
        self._watchdog.release()
        del self._uc

    # ------------------------------------------------------------------ running

    def _emulate(self, pc: int, until: int, count: int = 0) -> Stop | None:
        """Run from pc; gives why it ended, None where it reached `until`."""
        self.stopped = None
        for stop in {until, self._last_until} - {self.home}:
            self._uc.ctl_remove_cache(stop, stop + 2)  # Unicorn translates a run's end into the block that holds it
        self._last_until = until
        try:
            with self._watchdog.limit(self.seconds_limit):
                self._uc.emu_start(pc | 1, until, count=count)
                while self._pauses(until):
                    self._uc.emu_start(self.pc | 1, until)
        except unicorn.UcError as error:
            self.stopped = self.stopped or Stop.of_error(error.errno)
        if self._watchdog.expired:
            self.stopped = Stop("runaway", detail=f"{self.seconds_limit:g} s")
        if self.stopped and self.stopped.kind == "undefined" and not self._uc.reg_read(arm.UC_ARM_REG_XPSR) & THUMB:
            self.stopped = Stop("invalid-state", self.pc)
        if self.stopped and self.stopped.kind == "breakpoint" and until != self.home and self.pc - self.home in (0, 2):
            self.stopped = Stop("missing", detail=self.elf.describe(until))
        if self.stopped is None and self.pc != until:
            halted = self.counter and self.counter.halted
            self.stopped = Stop("runaway", detail=halted) if halted else Stop("lost")
        return self.stopped

    def _pauses(self, until: int) -> bool:
        """Whether the run stopped only for the flow to make room, and goes on."""
        ended = self.stopped or self._watchdog.expired or self.pc == until or (self.counter and self.counter.halted)
        return not ended and self.flow is not None and self.flow.makes_room()

    @property
    def pc(self) -> int:
        """The program counter, Thumb bit cleared."""
        return self._uc.reg_read(arm.UC_ARM_REG_PC) & ~1

    @property
    def lr(self) -> int:
        """The link register, Thumb bit cleared."""
        return self._uc.reg_read(arm.UC_ARM_REG_LR) & ~1

    def set_frame(self, sp: int, lr: int) -> None:
        """The stack pointer and the link register with which a function is entered."""
        self._uc.reg_write(arm.UC_ARM_REG_SP, sp)
        self._uc.reg_write(arm.UC_ARM_REG_LR, lr)

    @property
    def sp(self) -> int:
        """The stack pointer that is used."""
        return self._uc.reg_read(arm.UC_ARM_REG_SP)

    # ------------------------------------------------------------------ memory

    def read(self, where: int | str, size: int) -> bytes:
        """`size` bytes at an address or a symbol. Raises WorkbenchError outside the board's memory."""
        try:
            return bytes(self._uc.mem_read(self._address(where), size))
        except unicorn.UcError:
            raise self._outside("read", where, size) from None

    def read_into(self, address: int, array: np.ndarray) -> None:
        """Fill an array with what lies at an address: `read` without its three copies, for what is read often."""
        target = ctypes.cast(array.ctypes.data, ctypes.POINTER(ctypes.c_char))
        if uclib.uc_mem_read(self._uc._uch, address, target, array.nbytes) != unicorn.UC_ERR_OK:
            raise self._outside("read", address, array.nbytes)

    def write(self, where: int | str, data: bytes) -> None:
        """Write bytes at an address or a symbol. Raises WorkbenchError outside the board's memory."""
        address = self._address(where)
        try:
            self._uc.mem_write(address, bytes(data))
        except unicorn.UcError:
            raise self._outside("write", where, len(data)) from None
        if any(begin < address + len(data) and address < end for begin, end in self.elf.code_ranges):
            self._uc.ctl_flush_tb()

    def _address(self, where: int | str) -> int:
        return self.elf.address(where) if isinstance(where, str) else int(where)

    def _outside(self, verb: str, where: int | str, size: int) -> WorkbenchError:
        return WorkbenchError(
            f"cannot {verb} {size} bytes at {where if isinstance(where, str) else hex(where)}: not mapped"
        )

    # ------------------------------------------------------------------ hooks

    def add_native_hook(self, kind: str, callback_address: int, user_address: int) -> int:
        """Have Unicorn call machine code (a numba.cfunc's address) on every block, code or memory event.

        Signatures: block and code `void(uc*, u64 address, u32 size, void* user)`; memory `bool(uc*, i32 type,
        u64 address, i32 size, i64 value, void* user)`. The caller keeps the callback and `user` alive.
        Returns a handle.
        """
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            self._uc._uch, ctypes.byref(handle), HOOKS[kind], ctypes.c_void_p(callback_address),
            ctypes.c_void_p(user_address), ctypes.c_uint64(1), ctypes.c_uint64(0),
        )  # fmt: skip
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)
        self._uc.ctl_flush_tb()  # code that is translated already would not call it
        return handle.value

    @property
    def stop_function(self) -> tuple[int, int]:
        """The addresses of `void uc_emu_stop(uc*)`, with which a native callback ends the run, and of its argument."""
        return _address(uclib.uc_emu_stop), self._uc._uch.value

    @property
    def read_function(self) -> int:
        """The address of `int uc_reg_read(uc*, int register, void* where to)`; SP is STACK_POINTER."""
        return _address(uclib.uc_reg_read)

    def remove_hook(self, handle: int) -> None:
        """Undo add_native_hook."""
        uclib.uc_hook_del(self._uc._uch, ctypes.c_size_t(handle))
        self._uc.ctl_flush_tb()

    def _on_invalid_access(self, uc, access, address, size, value, user) -> bool:
        self.stopped = Stop(ACCESSES.get(access, "read"), address, size)
        return False

    def _on_interrupt(self, uc, number, user) -> None:
        self.stopped = Stop.of_interrupt(number)
        uc.emu_stop()

    # ------------------------------------------------------------------ set-up

    def _regions(self) -> Iterable[Region]:
        """Those of the board that are mapped."""
        return self.board.regions

    def _map_system(self, uc) -> None:
        uc.mem_map(*SYSTEM_CONTROL_SPACE, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)

    def _emulator(self) -> unicorn.Uc:
        board = self.board
        if board.core not in CORES:
            raise BoardError(f"{board.name}: no emulator for the core {board.core}", f"there are {', '.join(CORES)}")
        uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        uc.ctl_set_cpu_model(CORES[board.core])
        try:
            for region in self._regions():
                change = unicorn.UC_PROT_EXEC if region.name == board.code else self.data_rights
                uc.mem_map(region.base, region.size, unicorn.UC_PROT_READ | change)
            self._map_system(uc)
        except unicorn.UcError:
            raise BoardError(f"{board.name}: its memory cannot be mapped",
                             "regions lie apart, each of whole KB") from None  # fmt: skip
        for segment in self.elf.segments:
            try:
                uc.mem_write(segment.address, segment.data)
            except unicorn.UcError:
                raise BoardError(
                    f"{self.elf.path.name} loads {kilobytes(len(segment.data))} at 0x{segment.address:08x}, "
                    f"outside the memory of {board.name}",
                    "it was linked for another board",
                ) from None
        return uc

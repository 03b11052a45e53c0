"""The callbacks' machine code is kept: later processes load no numba, and whatever cannot be loaded numba makes."""

import subprocess
import sys

import numpy as np
import pytest
from tiny_firmware import BOARD, compile_firmware

from workbench.emulate.machine import Machine
from workbench.tables import BufferRow, OpRow
from workbench.trace import callbacks as module
from workbench.trace.tracer import Tracer

SOURCE = """
uint8_t wb_arena[64] ARENA;
#define F ((float *)wb_arena)
void __attribute__((noinline)) op_000_a(void) { for (int i = 0; i < 9; ++i) F[4 + i] = F[i]; }
void wb_train_step(void) { op_000_a(); }
"""  # of which two accesses are undeclared
BUFFERS = [
    BufferRow(0, "x", "input", "arena", "wb_arena", 0, 16, 0, 0),
    BufferRow(1, "y", "activation", "arena", "wb_arena", 16, 32, 0, 0),
]
OPS = [OpRow(0, "op_000_a", "a", "forward", (0, 1), (1,))]


def traced(elf):
    machine = Machine(elf, BOARD)
    machine.start()
    tracer = Tracer(machine, BUFFERS, OPS, "memory")
    tracer.attach()
    tracer.begin_call()
    tracer.host_wrote("wb_arena", 16)
    machine.call("wb_train_step")
    return machine, tracer


@pytest.mark.parametrize("family", ["TRACER", "FLOW"])
def test_a_later_process_loads_no_numba(family):
    module.addresses_of(getattr(module, family))
    load = f"from workbench.trace import callbacks; callbacks.addresses_of(callbacks.{family})"
    code = f"import sys; {load}; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("cache.content_of", lambda *_: b"no object file"),
        ("cache.content_of", lambda *_: b""),
        ("cache.folder", lambda: None),
        ("emulate.symbols.undefined", lambda _: {"memset", "numba_do_raise"}),
        ("trace.callbacks.version", lambda _: 1 / 0),
    ],
)
def test_where_no_code_can_be_kept_or_loaded_numba_s_own_does_the_same(name, other, tmp_path, monkeypatch):
    elf = compile_firmware(tmp_path, SOURCE)
    machine, tracer = traced(elf)
    assert tracer.found
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(f"workbench.{name}", other)
    module.addresses_of.cache_clear()
    own = module.callbacks.__wrapped__()
    module.addresses_of.cache_clear()
    assert {own.on_block, own.on_access} <= {getattr(each, "address", None) for each in module._alive}
    monkeypatch.setattr("workbench.trace.tracer.callbacks", lambda: own)
    other_machine, other_tracer = traced(elf)
    assert other_machine.snapshot_sram() == machine.snapshot_sram()
    assert other_tracer.totals() == tracer.totals()
    assert np.array_equal(other_tracer._accesses(), tracer._accesses())
    assert other_tracer.violations().equals(tracer.violations())
    assert not (tmp_path / "cache").exists()

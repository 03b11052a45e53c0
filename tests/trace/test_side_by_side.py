"""Machines do not disturb each other: several in one process, in threads and in processes, all count the same."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from tiny_firmware import BOARD, compile_firmware

from workbench.emulate.machine import Machine
from workbench.tables import BufferRow, OpRow
from workbench.trace.tracer import Tracer

SOURCE = """
float wb_arena[256] ARENA;
int32_t wb_step;
void __attribute__((noinline)) op_000_fill(void) { for (int i = 0; i < 128; ++i) wb_arena[i] = (float)(i * wb_step); }
void __attribute__((noinline)) op_001_sum(void)
{
    for (int i = 0; i < 4000; ++i) wb_arena[128 + i % 128] = wb_arena[i % 128] / 3 + i;
}
void wb_train_step(void) { ++wb_step; op_000_fill(); op_001_sum(); }
"""
BUFFERS = [
    BufferRow(0, "a", "activation", "arena", "wb_arena", 0, 512, 0, 2),
    BufferRow(1, "b", "activation", "arena", "wb_arena", 512, 256, 1, 2),  # too short: violations are counted too
]
OPS = [OpRow(0, "op_000_fill", "fill", "forward", (), (0,)), OpRow(1, "op_001_sum", "sum", "forward", (0,), (1,))]


@pytest.fixture(scope="module")
def elf(tmp_path_factory):
    return compile_firmware(tmp_path_factory.mktemp("side_by_side"), SOURCE)


@pytest.fixture
def measure(elf, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import counting_worker

    return partial(counting_worker.measure, elf, BOARD, BUFFERS, OPS)


def results(pool, measure, count=6):
    with pool:
        return [job.result(timeout=120) for job in [pool.submit(measure) for _ in range(count)]]


def test_threads_and_processes_count_the_same(measure):
    alone = measure()
    assert alone[3].violations > 0
    pools = [ThreadPoolExecutor(3)]
    pools += [ProcessPoolExecutor(2, multiprocessing.get_context(how)) for how in ("fork", "spawn")]
    for pool in pools:
        assert set(results(pool, measure)) == {alone}


def test_machines_taking_turns_in_one_process_count_the_same(elf):
    def pair(level):
        machine = Machine(elf, BOARD)
        machine.start()
        tracer = Tracer(machine, BUFFERS, OPS, level)
        tracer.attach()
        return machine, tracer

    pairs = [pair(level) for level in ("ops", "memory", "off", "memory", "ops")]
    for _ in range(3):
        for machine, tracer in pairs:
            tracer.begin_call()
            machine.call("wb_train_step")
    assert len({machine.snapshot_sram() for machine, _ in pairs}) == 1
    assert len({tracer.totals().instructions for _, tracer in pairs if tracer.level != "off"}) == 1
    assert len({tracer.totals() for _, tracer in pairs if tracer.level == "memory"}) == 1

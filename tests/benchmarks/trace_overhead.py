"""How much slower a traced run is than an untraced one: seconds off / ops / memory and the ratios, all from one run.

    python tests/benchmarks/trace_overhead.py                   lenet's and mlp's training steps, then the extremes:
                                                                a naive int8 and a float matrix product
    python tests/benchmarks/trace_overhead.py FOLDER [BOARD]    an ELF with its buffers.csv and ops.csv

Targets: ops at most 1.3 times, memory at most 5 times. Not a test: a shared machine's clock is no judge.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tiny_firmware import compile_firmware

from workbench import boards, frontends, session, tables
from workbench.emulate.machine import Machine
from workbench.trace.tracer import LEVELS, Tracer

REPEATS = 5
N = 96
SOURCE = """
#define N 96
TYPE wb_arena[3 * N * N] ARENA;
void __attribute__((noinline)) op_000_gemm(void)
{
    for (int repeat = 0; repeat < 8; ++repeat)
        for (int i = 0; i < N; ++i)
            for (int j = 0; j < N; ++j) {
                SUM sum = 0;
                for (int k = 0; k < N; ++k)
                    sum += wb_arena[i * N + k] * wb_arena[N * N + j * N + k];
                wb_arena[2 * N * N + i * N + j] = sum;
            }
}
void wb_train_step(void) { op_000_gemm(); }
"""


def matrix_product(folder: Path, element: str, total: str, size: int):
    """ELF, buffers and operators of C = A · Bᵀ."""
    board = boards.get("nrf52840")
    elf = compile_firmware(folder, SOURCE, board, flags=[f"-DTYPE={element}", f"-DSUM={total}"])
    block = N * N * size
    buffers = [
        tables.BufferRow(i, "abc"[i], "activation", "arena", "wb_arena", i * block, block, 0, 1) for i in range(3)
    ]
    return elf, board, buffers, [tables.OpRow(0, "op_000_gemm", "gemm", "forward", (0, 1), (2,))]


def folder_of(argument: str, board: str):
    """ELF, board and tables that `workbench build` left in a folder."""
    folder = Path(argument)
    buffers = tables.read_csv(folder / "buffers.csv", tables.BufferRow)
    return next(folder.rglob("*.elf")), boards.get(board), buffers, tables.read_csv(folder / "ops.csv", tables.OpRow)


def seconds(elf, board, buffers, ops, level: str) -> tuple[float, int | None]:
    """The fastest of several training steps, and the instructions of one."""
    machine = Machine(elf, board)
    machine.start()
    tracer = Tracer(machine, buffers, ops, level)
    tracer.attach()
    best = float("inf")
    for step in range(REPEATS + 1):  # the first one translates
        tracer.begin_call()
        for buffer in tracer.placed:
            if buffer.row.lower == 0:
                tracer.host_wrote(buffer.begin, buffer.row.size)
        began = time.perf_counter()
        machine.call("wb_train_step")
        best = min(best, time.perf_counter() - began) if step else best
    instructions = tracer.totals().instructions
    return best, instructions and instructions // (REPEATS + 1)


def report(title: str, *firmware) -> None:
    """Print one line for a firmware."""
    measured = {level: seconds(*firmware, level) for level in LEVELS}
    off = measured["off"][0]
    speed = measured["ops"][1] / off / 1e6
    ratios = "  ".join(f"{level} {value:.4f} s ({value / off:.2f}x)" for level, (value, _) in measured.items())
    print(f"{title:20s} {ratios}  {measured['ops'][1]:,} instructions, {speed:.0f} M/s untraced")


def main() -> None:
    """Measure a folder, or the two built-in products."""
    if len(sys.argv) > 1:
        report(sys.argv[1], *folder_of(sys.argv[1], (sys.argv + ["nrf52840"])[2]))
        return
    for name in ("lenet", "mlp"):
        with tempfile.TemporaryDirectory() as folder:
            built = session.build(session.compile(frontends.load(name)), boards.get("nrf52840"), folder)
            report(f"{name} step", built.image.elf, built.board, list(built.project.buffers), list(built.project.ops))
    for title, element, total, size in (
        ("int8 matrix", "int8_t", "int32_t", 1),
        ("float32 matrix", "float", "float", 4),
    ):
        with tempfile.TemporaryDirectory() as folder:
            report(title, *matrix_product(Path(folder), element, total, size))


if __name__ == "__main__":
    main()

"""How much slower a traced run is than an untraced one: seconds off / ops / memory and the ratios, all from one run.

    python tests/benchmarks/trace_overhead.py                   lenet's and mlp's training steps, then the extremes:
                                                                a naive int8 and a float matrix product
    python tests/benchmarks/trace_overhead.py FOLDER [BOARD]    an ELF with its buffers.csv and ops.csv

Targets: ops at most 1.3 times, memory at most 5 times. Not a test: a shared machine's clock is no judge.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from timed_steps import best_of, timed_step
from tiny_firmware import compile_firmware

from workbench import boards, frontends, session, tables
from workbench.emulate.machine import Machine
from workbench.trace.tracer import LEVELS

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


def report(title: str, elf, board, buffers, ops) -> None:
    """Print one line for a firmware."""
    steps, tracers = {}, {}
    for level in LEVELS:
        machine = Machine(elf, board)
        machine.start()
        steps[level], tracers[level] = timed_step(machine, buffers, ops, level)
    best = best_of(REPEATS, steps)
    instructions = tracers["ops"].totals().instructions // (REPEATS + 1)
    ratios = "  ".join(f"{level} {value:.4f} s ({value / best['off']:.2f}x)" for level, value in best.items())
    print(f"{title:20s} {ratios}  {instructions:,} instructions, {instructions / best['off'] / 1e6:.0f} M/s untraced")


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

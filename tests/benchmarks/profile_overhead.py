"""How much slower a profiled step is than an untraced one: a second step on a warm machine, the best of ten by turns.

    python tests/benchmarks/profile_overhead.py               lenet, mobilenet, mcunet-5fps, and a program that calls a
                                                              function every 60 instructions
    python tests/benchmarks/profile_overhead.py lenet calls   some of them

flow     functions, lines and cycles of a profile                 at most 1.5 times; where calls are dense, 2
+bytes   and the bytes of accesses, by region                     at most 4 times
ops      what a run does at trace level ops: a tracer, and a flow
memory   the same at level memory

Each has a machine of its own, which stays slower once it was hooked. Not a test: a shared machine's clock is no judge.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from timed_steps import best_of, timed_step
from tiny_firmware import compile_firmware

from workbench import boards, frontends, session
from workbench.emulate.machine import Machine
from workbench.tables import OpRow
from workbench.training import device_of

REPEATS = 10
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "tiny-training"
STEPS = {
    "lenet": ("lenet", "full", "nrf52840"),
    "mobilenet": ("mobilenet", "full", "nrf52840"),
    "mcunet-5fps": (SHARED / "mcunet-5fps.json", "sparse-49kb", "stm32f746"),
}
CALLS = """
char wb_arena[8] ARENA;
int __attribute__((noinline)) leaf(int x)
{
#pragma GCC unroll 28
    for (int i = 0; i < 28; ++i)
        x = (x ^ i) * 3;
    return x;
}
void __attribute__((noinline)) op_000_calls(void)
{
    int x = 0;
    for (int i = 0; i < 100000; ++i)
        x = leaf(x);
    wb_arena[0] = x;
}
void wb_train_step(void) { op_000_calls(); }
"""
Firmware = Callable[[], tuple[Machine, list, list]]  # a started machine, its buffers and operators


def step_of(name: str) -> Firmware:
    """A network's training step."""
    path, policy, board = STEPS[name]
    built = session.build(session.compile(frontends.load(path), policy), boards.get(board))

    def fresh():
        device = device_of(built)
        return device.machine, device.buffers, device.ops

    return fresh


def dense_calls() -> Firmware:
    """A function that is called every 60 instructions."""
    with tempfile.TemporaryDirectory() as folder:
        content = Path(compile_firmware(Path(folder), CALLS)).read_bytes()

    def fresh():
        with tempfile.TemporaryDirectory() as folder:
            elf = Path(folder) / "calls.elf"
            elf.write_bytes(content)
            machine = Machine(elf, boards.get("nrf52840"))
        machine.start()
        return machine, [], [OpRow(0, "op_000_calls", "calls", "forward", (), ())]

    return fresh


def report(name: str, fresh: Firmware) -> None:
    """Print one line."""
    ways = {
        "off": {},
        "flow": {"flow": True},
        "+bytes": {"flow": True, "memory": True},
        "ops": {"flow": True, "level": "ops"},
        "memory": {"flow": True, "level": "memory"},
    }
    best = best_of(REPEATS, {how: timed_step(*fresh(), **kinds)[0] for how, kinds in ways.items()})
    ratios = "  ".join(f"{how} {best[how] / best['off']:.2f}x" for how in ways if how != "off")
    print(f"{name:12s} untraced {best['off']:.4f} s  {ratios}", flush=True)


def main() -> None:
    """Measure those that are named, else all."""
    for name in sys.argv[1:] or [*STEPS, "calls"]:
        report(name, dense_calls() if name == "calls" else step_of(name))


if __name__ == "__main__":
    main()

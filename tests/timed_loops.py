"""Loops in assembly, run on the emulated core and traced: the cycles that a timing model gives an iteration."""

from pathlib import Path

from tiny_firmware import BOARD, compile_firmware

from workbench.emulate.machine import Machine
from workbench.emulate.timing import TimingModel
from workbench.trace.tracer import Tracer

SOURCE = "uint8_t wb_arena[256] ARENA; uint32_t rounds; void wb_train_step(void) {}"
FUNCTION = """
.global loop_{number}
.type loop_{number}, %function
loop_{number}:
    push {{r4-r8, lr}}
    ldr r4, =wb_arena
    str r4, [r4]
    add r5, r4, #64
    movs r6, #0
    ldr r7, =rounds
    ldr r7, [r7]
    {before}
    .balign 8
    {body}
    subs r7, #1
    bne 1b
    pop {{r4-r8, pc}}
    {behind}
    .ltorg
"""


class TimedLoops:
    """Loops by their text: 'set-up | body | behind the function', or the body alone; `;` ends a line.

    A body begins an iteration at its label 1, else at its start, at an address that 8 divides; behind it come
    `subs r7, #1` and `bne 1b`. r4: a word that holds its own address; r5: 64 bytes on; r6: 0; all else is free.
    """

    def __init__(self, folder: Path, loops: list[str], board=BOARD):
        self.loops = list(dict.fromkeys(loops))
        assembly = "".join(_function(number, *_parts(text)) for number, text in enumerate(self.loops))
        self.machine = Machine(compile_firmware(folder, SOURCE, board, assembly=assembly), board)
        self.machine.start()

    def cycles(self, loop: str, model: TimingModel) -> int:
        """Cycles of an iteration: what five more of them take."""
        tracer, sums = Tracer(self.machine, [], [], timing=model), [0]
        tracer.attach()
        for rounds in (4, 9):
            tracer.begin_call()
            self.machine.write("rounds", rounds.to_bytes(4, "little"))
            self.machine.call(f"loop_{self.loops.index(loop)}")
            sums.append(tracer.totals().cycles)
        tracer.detach()
        cycles, rest = divmod(sums[2] - 2 * sums[1], 5)
        assert rest == 0
        return cycles


def _parts(text: str) -> list[str]:
    before, body, behind = text.split("|") if "|" in text else ("", text, "")
    return ["\n    ".join(part.split(";")) for part in (before, body if "1:" in body else f"1: {body}", behind)]


def _function(number: int, before: str, body: str, behind: str) -> str:
    return FUNCTION.format(number=number, before=before, body=body, behind=behind)

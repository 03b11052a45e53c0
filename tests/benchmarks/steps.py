"""Whole training steps: instructions and modelled cycles, by kernel and by MAC; naive, by rule, and as shipped.

    .venv/bin/python tests/benchmarks/steps.py [--board stm32f746] [--schedule vanilla] [--by-kernel] [NETWORK:POLICY …]

MACs are those of the forward pass and, behind the +, of all gradients. Naive takes all that has a choice as it lies.
Code is what flash holds besides constants: parameters, and the first values of trained ones.
"""

import argparse
import re
from collections import Counter

from workbench import boards, session
from workbench.boards import virtual_twin
from workbench.emulate.symbols import parse_elf
from workbench.ir import op as ops
from workbench.kernels.call import kernel_of
from workbench.measure import sram_planned
from workbench.on_board import with_plain_weights
from workbench.schedule.places import places
from workbench.schedule.tuned import Tuned
from workbench.tables import OpRow
from workbench.trace.tracer import Tracer
from workbench.training import device_of

STEPS = (
    "lenet:full", "mobilenet:full", "resnet:full", "lenet-int8:full", "mobilenet-int8:full", "resnet-int8:full",
    "mcunet-5fps:sparse-49kb", "mbv2-w0.35:sparse-49kb", "proxyless-w0.3:sparse-49kb",
)  # fmt: skip


def naive(graph, core: str) -> Tuned:
    zeros = {
        place.literals: tuple(f"{name}=0" for name, of in place.choices.items() if 0 in of) for place in places(graph)
    }
    return Tuned("naive", core, schedules={literals: (" ".join(words),) for literals, words in zeros.items() if words})


def macs_by_kernel(graph) -> Counter:
    """Of all nodes, those inside regions too, by the kernel's function."""
    macs: Counter = Counter()
    for node in graph.nodes:
        if node.body:
            macs.update(macs_by_kernel(node.body))
            continue
        op, kinds = ops.get(node.op), [graph.types[name] for name in node.operands]
        if op.kernel and op.macs:
            macs[kernel_of(node, inside=True).named(*kinds)] += op.macs(*kinds, **node.attrs)
    return macs


def counted(built):
    """Instructions and cycles of one step: in all, and by the function that an instance is of."""
    device = device_of(built)
    names = sorted(symbol.name for symbol in parse_elf(built.image.content, built.image.elf).symbols
                   if re.fullmatch(r"k_\w+_\d+", symbol.name))  # fmt: skip
    tracer = Tracer(device.machine, [], [OpRow(at, name, name, "forward") for at, name in enumerate(names)])
    tracer.attach()
    tracer.begin_call()
    if device.machine.takes_rows:
        device.machine.feed_image(bytes(1 << 20))
    device.machine.call("wb_train_step")
    tracer.detach()
    found = tracer.op_profile()
    found["kernel"] = ["others" if at < 0 else names[at][2:].rpartition("_")[0] for at in found.position]
    return found.groupby("kernel")[["instructions", "cycles"]].sum()


def told(label: str, way: str, instructions: float, cycles: float, macs: str, per: int, rest: str = "") -> None:
    of_mac = f"{instructions / per:9.2f} {cycles / per:10.2f}" if per else ""
    print(f"{label:34s} {way:8s} {instructions / 1e6:9.3f} {cycles / 1e6:9.3f} {macs:>13s} {of_mac} {rest}".rstrip(),
          flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", default=STEPS)
    parser.add_argument("--board", default="stm32f746")
    parser.add_argument("--schedule", default="optimized")
    parser.add_argument("--by-kernel", action="store_true")
    options = parser.parse_args()
    board = boards.get(options.board)
    print(f"{f'{board.core}, {options.schedule}':43s}  M instr.  M cycles        M MACs instr/MAC cycles/MAC"
          "      ms    SRAM    code constants")  # fmt: skip
    for step in options.steps:
        network, _, policy = step.partition(":")
        compiled = session.compile(network, policy, options.schedule)
        macs, forward = macs_by_kernel(compiled.graph), compiled.model.macs
        every = max(sum(macs.values()), forward)
        plain = with_plain_weights(compiled)
        for way, kernels in (("naive", naive(plain.graph, board.core)), ("rule", "rule"), ("shipped", None)):
            built = session.build(plain if way == "naive" else compiled, virtual_twin(board), kernels=kernels)
            table, constants = counted(built), built.project.constant
            sums, sram = table.sum(), sram_planned(built)
            code, milliseconds = built.image.flash - constants, 1000 * sums.cycles / board.clock_hz
            rest = f"{milliseconds:7.1f} {sram:7d} {code:7d} {constants:9d}"
            of_both = f"{forward / 1e6:.2f} + {(every - forward) / 1e6:.2f}"
            told(step if way == "naive" else "", way, sums.instructions, sums.cycles, of_both, every, rest)
            rows = table.sort_values("instructions", ascending=False) if options.by_kernel else table[:0]
            for kernel, row in rows.iterrows():
                own = macs[kernel]
                told(f"    {kernel}", "", row.instructions, row.cycles, f"{own / 1e6:.2f}" if own else "", own)


if __name__ == "__main__":
    main()

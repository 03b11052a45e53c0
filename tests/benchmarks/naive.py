"""A step with naive loops beside the library's kernels, as a whole and by layer: instructions and modelled cycles.

    .venv/bin/python tests/benchmarks/naive.py [--top 5] [NETWORK:POLICY:BOARD[:CLASSES] …]

Four ways: naive loops with shapes at run time and with sizes as literals, kernels by rule, and as they ship. The layers
are those that take most cycles as shipped; a chain that runs by tiles is one row.
"""

import argparse

import pandas as pd

from workbench import boards, session
from workbench.artifacts import Built
from workbench.frontends.loading import load
from workbench.schedule.tuned import RULE, SHIPPED
from workbench.study.tuning import counted_step
from workbench.units import quantity

STEPS = ("lenet:full:nrf52840", "mobilenet:full:nrf52840", "resnet-int8:full:nrf52840",
         "mcunet-5fps:sparse-49kb:stm32f746:10")  # fmt: skip
WAYS = {"naive-shapes": "naive-shapes", "naive": "naive", RULE: RULE, SHIPPED: None}


def counted(built: Built) -> pd.DataFrame:
    """Instructions and cycles of one step on zeros, by layer; what belongs to none is called by its operator."""
    ops = list(built.project.ops)
    counts = counted_step(built, ops).op_profile().query("position >= 0")
    names = {row.position: row.layer or row.node for row in ops}
    return counts.groupby(counts.position.map(names))[["instructions", "cycles"]].sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", default=STEPS)
    parser.add_argument("--top", type=int, default=5)
    options = parser.parse_args()
    for step in options.steps:
        name, policy, board, *classes = step.split(":")
        model = load(name, **({"classes": int(classes[0])} if classes else {}))
        compiled = session.compile(model, policy)
        found = {
            way: counted(session.build(compiled, boards.get(board), kernels=kernels)) for way, kernels in WAYS.items()
        }
        heaviest = found[SHIPPED].sort_values("cycles", ascending=False).index[: options.top]
        print(f"\n{name} · {policy} · {board}")
        print(f"{'':44s}" + "".join(f"{way:>24s}" for way in WAYS) + f"{'naive-shapes : shipped':>26s}")
        print(f"{'':44s}" + f"{'instructions':>13s}{'cycles':>11s}" * len(WAYS))
        for layer in ("a step", *heaviest):
            rows = [each.sum() if layer == "a step" else each.loc[layer] for each in found.values()]
            cells = "".join(f"{quantity(int(row.instructions)):>13s}{quantity(int(row.cycles)):>11s}" for row in rows)
            print(f"{layer[:43]:44s}{cells}{rows[0].cycles / rows[-1].cycles:26.1f}", flush=True)


if __name__ == "__main__":
    main()

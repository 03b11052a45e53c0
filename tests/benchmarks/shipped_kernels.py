"""Measure the kernels of the built-in networks and of the paper's, and write what ships: workbench/schedule/shipped/.

    .venv/bin/python tests/benchmarks/shipped_kernels.py [--board nrf52840] [--folder out/shipping] [NETWORK:POLICY …]

Of each kernel the schedules that are quicker than the rule's, the quickest first, each with less scratch than the one
before: a build takes the first that has room. It goes on where it was cut off; an hour for both cores.
"""

import argparse
from pathlib import Path

from workbench import boards, session
from workbench.boards import virtual_twin
from workbench.schedule.tuned import FOLDER, file_of, load
from workbench.study.tuning import built_with, measured, search, spaces
from workbench.study.tuning_choice import front
from workbench.study.tuning_store import Store

STEPS = (
    "lenet-int8:full", "resnet-int8:full", "mobilenet-int8:full",
    "mcunet-5fps:sparse-49kb", "mbv2-w0.35:sparse-49kb", "proxyless-w0.3:sparse-49kb",
)  # fmt: skip
LEAST = 0.995  # of the next one's cycles: less is not worth its scratch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", default=STEPS)
    parser.add_argument("--board", action="append")
    parser.add_argument("--folder", type=Path, default=Path("out/shipping"))
    options = parser.parse_args()
    for name in options.board or ("nrf52840", "stm32f746"):
        board, told = boards.get(name), {}
        for step in options.steps:
            network, _, policy = step.partition(":")
            for schedule in ("optimized", "vanilla"):
                compiled = session.compile(network, policy, schedule)
                wanted = [space for space in spaces(compiled.graph) if space.literals not in told]
                store = Store(options.folder, compiled, board, "cycles", 24, 0)
                search(compiled, board, store, wanted)
                rule = {trial.literals: trial for trial in measured(built_with(compiled, virtual_twin(board), {}))[0]}
                for space in wanted:
                    others = [trial for trial in store.told(space) if trial.schedule]
                    told[space.literals] = [rule[space.literals], *others]
                print(f"{name} {network} {policy} {schedule}: {len(wanted)} kernels", flush=True)
        kernels = [kernel for literals, trials in sorted(told.items()) if (kernel := _kernel(literals, trials))]
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{board.core}.toml"
        path.write_text(file_of(board.core, f"tuned on {name}: tests/benchmarks/shipped_kernels.py", kernels))
        print(f"{path}: {len(load(path).schedules)} of {len(told)} kernels")


def _kernel(literals: str, trials: list) -> dict:
    """An entry of the file; nothing where the rule is as good as any."""
    rule, kept = trials[0], []
    for trial in reversed(front(trials, "cycles")):
        if trial.cycles <= LEAST * (kept[-1] if kept else rule).cycles:
            kept.append(trial)
    if not kept:
        return {}
    kept = kept[::-1]
    return {"literals": literals, "schedule": [trial.schedule for trial in kept],
            "cycles": [trial.cycles for trial in kept], "scratch": [trial.scratch for trial in kept],
            "rule": {"cycles": rule.cycles, "scratch": rule.scratch}}  # fmt: skip


if __name__ == "__main__":
    main()

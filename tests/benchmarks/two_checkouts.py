"""Whether two checkouts compute the same: arenas, addresses, C, ELFs, losses and weights, all to the bit.

    python tests/benchmarks/two_checkouts.py BEFORE AFTER [--quick | --costs]     folders of two checkouts with a .venv

A row for each network, policy and schedule that differs, and in what; exit code 1 if there is one. Texts for people
(comments in the C, the IR text, new columns of the tables) are not compared: the ELF tells what the C means.
`--quick` leaves out what takes minutes: the networks of the paper, and running the firmware. `--costs` is for kernels
that were written anew: their ELFs differ, so instructions and stack are compared in a table.
"""

import json
import subprocess
import sys
from hashlib import sha256
from itertools import product
from pathlib import Path

SCHEDULES = ("vanilla", "reordered", "optimized")
POLICIES = ("full", "bias-only", "last-2")
OF_THE_PAPER = ("mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3")
COLUMNS = ("id", "name", "role", "storage", "symbol", "offset", "size", "lower", "upper", "parameter", "axis", "begin",
           "end", "values")  # fmt: skip


def digest(*parts) -> str:
    found = sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else repr(part).encode())
    return found.hexdigest()[:12]


def of_arrays(arrays) -> str:
    return digest(*(part for name in sorted(arrays) for part in (name, arrays[name].tobytes())))


def fingerprint(name: str, policy: str, schedule: str, run: bool) -> dict[str, str]:
    """Digest by what it is of. Imports the workbench of the checkout that this process stands in."""
    from workbench import boards, frontends, session
    from workbench.feeding import Training
    from workbench.training import train

    compiled = session.compile(frontends.load(name), policy, schedule)
    built = session.build(compiled, boards.get("virtual-m4"))
    rows = [[getattr(row, column) for column in COLUMNS] for row in built.project.buffers]
    told = {
        "nodes": digest([(node.op, node.results, node.over, node.label) for node in compiled.graph.nodes]),
        "arena": str(compiled.memory.plan.bytes),
        "addresses": digest(sorted(compiled.memory.plan.offsets().items())),
        "buffers.csv": digest(rows),
        "constants": of_arrays(compiled.weights),
        "declined": digest([(applied.name, applied.declined) for applied in compiled.passes]),
        "ELF": digest(built.image.content),
        "stack": str(built.image.stack_reserve),
        "static": str(built.project.static),
    }  # fmt: skip
    if run:
        record, weights = train(built, Training(steps=2, trace="ops"))
        told["losses"] = digest(record.meta["loss"])
        told["instructions"] = str(record.meta["instructions_per_step"])
        told["weights"] = of_arrays(weights)
    return told


def combinations(quick: bool):
    from workbench import frontends

    own = [name for name in frontends.names() if name not in OF_THE_PAPER]
    names = [name for name in own if frontends.load(name).macs < 3e7]
    for name, policy, schedule in product((*names, *(f"{name}-int8" for name in names)), POLICIES, SCHEDULES):
        yield name, policy, schedule, not quick
    for name in () if quick else OF_THE_PAPER:
        for policy in ("sparse-49kb", "bias-only"):
            yield name, policy, "optimized", name == OF_THE_PAPER[0]


def told_by(quick: bool) -> None:
    """All fingerprints of this checkout, a JSON object a line."""
    from workbench.errors import WorkbenchError

    for name, policy, schedule, run in combinations(quick):
        try:
            told = fingerprint(name, policy, schedule, run)
        except WorkbenchError as error:
            told = {"error": error.message}
        print(json.dumps([f"{name} {policy} {schedule}", told]), flush=True)


def compared(before: Path, after: Path, quick: bool, costs: bool) -> int:
    script = Path(__file__).resolve()
    words = [str(script), "--tell", *(["--quick"] if quick else [])]
    runs = [
        subprocess.Popen([folder.resolve() / ".venv/bin/python", *words], cwd=folder, stdout=subprocess.PIPE, text=True)
        for folder in (before, after)
    ]
    told = [dict(json.loads(line) for line in run.stdout) for run in runs]
    if any(run.wait() for run in runs):
        return 2
    if costs:
        return _costs(*told)
    different = 0
    for name in dict.fromkeys((*told[0], *told[1])):
        one, other = (found.get(name, {"missing": "here"}) for found in told)
        keys = [key for key in dict.fromkeys((*one, *other)) if one.get(key) != other.get(key)]
        different += bool(keys)
        if keys:
            print(f"{name}: {', '.join(f'{key} {one.get(key)} -> {other.get(key)}' for key in keys)}")
    print(f"{len(told[0])} combinations, {different} differ")
    return int(different > 0)


MEASURES = ("ELF", "instructions", "stack")  # what `--costs` allows to differ


def _costs(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> int:
    """A line for each combination: instructions and stack, and what else differs. 1: one is beyond the bounds below."""
    total, worse = [0, 0], 0
    print(
        f"{'network, policy, schedule':44} {'instructions':>12} {'after':>12} {'%':>7} {'stack':>6} {'by':>5}  differs"
    )
    for name, one in before.items():
        other = after.get(name, {})
        keys = [key for key in dict.fromkeys((*one, *other)) if one.get(key) != other.get(key) and key not in MEASURES]
        counts = [int(told.get("instructions", 0)) for told in (one, other)]
        share = 100 * (counts[1] / counts[0] - 1) if all(counts) else 0.0
        stack = int(other.get("stack", 0)) - int(one.get("stack", 0))
        total = [sum(pair) for pair in zip(total, counts, strict=True)]
        worse += bool(keys) or share > 3 or stack > 32
        print(
            f"{name:44} {counts[0]:12,} {counts[1]:12,} {share:+7.2f} {one.get('stack', '-'):>6} {stack:+5}  "
            + ", ".join(keys)
        )
    share = 100 * (total[1] / max(total[0], 1) - 1)
    print(f"{'all':44} {total[0]:12,} {total[1]:12,} {share:+7.2f}; {worse} beyond +3 %, +32 B of stack, or different")
    return int(worse > 0 or share > 0.5)


if __name__ == "__main__":
    arguments = [word for word in sys.argv[1:] if word not in ("--quick", "--costs")]
    if arguments == ["--tell"]:
        told_by("--quick" in sys.argv)
    elif len(arguments) == 2:
        sys.exit(compared(Path(arguments[0]), Path(arguments[1]), "--quick" in sys.argv, "--costs" in sys.argv))
    else:
        sys.exit(__doc__)

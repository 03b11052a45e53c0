"""Seconds from the start of `./workbench.sh run` to the first emulated instruction: of a first run, and of later ones.

    .venv/bin/python tests/benchmarks/second_run.py [MODEL] [--policy P] [--board B] [--runs N]

The first run finds an empty cache; those behind it find what it left there. Each ends at its first instruction. The
seconds of the processor tell more than the clock where the machine has other work to do.
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import os, time
import unicorn

def first_instruction(*_, **__):
    with open(os.environ["FIRST_INSTRUCTION"], "w") as file:
        file.write(repr(time.time()))
    os._exit(0)

unicorn.Uc.emu_start = first_instruction
"""


def seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """By the clock and of the processor, from the start to the first instruction."""
    told = folder / "told"
    told.unlink(missing_ok=True)
    around = {**os.environ, "WORKBENCH_CACHE": str(folder / "cache"), "FIRST_INSTRUCTION": str(told),
              "PYTHONPATH": str(folder / "probe")}  # fmt: skip
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    done = subprocess.run(command, check=False, cwd=folder, env=around, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not told.exists():
        raise SystemExit(f"no instruction was emulated\n{done.stderr}{done.stdout}")
    return float(told.read_text()) - start, sum(after[:2]) - sum(before[:2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="mcunet-5fps")
    parser.add_argument("--policy", default="full")
    parser.add_argument("--board", default="virtual-m4", help="one on which it fits")
    parser.add_argument("--runs", type=int, default=5, help="second runs: the quickest counts")
    args = parser.parse_args()
    command = [str(ROOT / "workbench.sh"), "run", args.model, "--policy", args.policy, "--board", args.board, "--force"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "probe").mkdir()
        (folder / "probe" / "sitecustomize.py").write_text(PROBE)
        runs = [seconds(command, folder) for _ in range(args.runs + 1)]
    print(" ".join(command[1:-1]))
    print(f"first run   {runs[0][0]:6.2f} s   {runs[0][1]:6.2f} s of the processor")
    clock, processor = (min(run[which] for run in runs[1:]) for which in (0, 1))
    print(f"second run  {clock:6.2f} s   {processor:6.2f} s of the processor   (the quickest of {args.runs})")


if __name__ == "__main__":
    main()

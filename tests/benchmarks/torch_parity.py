"""Random PyTorch networks, trained for some steps emulated and by PyTorch: the change of every tensor held against
float64, beside PyTorch's own float32.

    python tests/benchmarks/torch_parity.py [N [FIRST [ENGINE]]]        200 networks unless told, on the emulated core

Exit code 1: a tensor's change is off by more than 1e-5 of its norm and more than twice PyTorch's own error in float32.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the tests' own modules

from random_torch import drawn, drawn_policy, trained_alike

from workbench.errors import WorkbenchError

MOST_DRAWN, APART = 10, 1_000_000  # networks drawn for one number, and how far apart their seeds are


def main(count: int = 200, first: int = 0, engine: str = "emulated") -> int:
    wrong = again = 0
    for seed in range(first, first + count):
        begun, module, policy, trained = time.monotonic(), None, drawn_policy(seed), None
        try:
            for attempt in range(seed, seed + MOST_DRAWN * APART, APART):
                module, shape = drawn(attempt)
                trained = trained_alike(module, shape, attempt, engine, policy)
                if not trained.unfit:
                    break
                again += 1
                print(f"{seed:5}  {trained.unfit}, drawn again: {_told(module)}", flush=True)
        except WorkbenchError as error:
            wrong += 1
            print(f"{seed:5}  refused: {error}", flush=True)
            continue
        error, allowed = trained.worst()
        off = abs(trained.losses[0] - trained.losses[1])
        bad = error > allowed or not off <= 1e-5 * max(1, abs(trained.losses[1]))
        wrong += bad
        print(f"{seed:5}  {'WRONG' if bad else 'alike'}  change {error:.1e} of {allowed:.1e}  loss {off:.1e}  "
              f"{time.monotonic() - begun:4.1f} s  {policy:10} {_told(module)}", flush=True)  # fmt: skip
    print(f"{count} networks, {wrong} wrong, {again} drawn again")
    return int(wrong > 0)


def _told(module) -> str:
    return " ".join(type(part).__name__ for part in module)


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(*map(int, words[:2]), *words[2:]))

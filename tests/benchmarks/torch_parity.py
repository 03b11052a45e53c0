"""Random PyTorch networks, trained for some steps emulated and by PyTorch: the change of every tensor held against
float64, beside PyTorch's own float32.

    python tests/benchmarks/torch_parity.py [N [FIRST [ENGINE]]]        200 networks unless told, on the emulated core

Exit code 1: a tensor's change is off by more than 1e-5 of its norm and more than twice PyTorch's own error in float32.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the tests' own modules

from random_torch import drawn, trained_alike

from workbench.errors import WorkbenchError


def main(count: int = 200, first: int = 0, engine: str = "emulated") -> int:
    wrong = 0
    for seed in range(first, first + count):
        begun = time.monotonic()
        module, shape = drawn(seed)
        try:
            trained = trained_alike(module, shape, seed, engine)
        except WorkbenchError as error:
            wrong += 1
            print(f"{seed:5}  refused: {error}", flush=True)
            continue
        error, allowed = trained.worst()
        off = abs(trained.losses[0] - trained.losses[1])
        bad = error > allowed or off > 1e-5 * max(1, abs(trained.losses[1]))
        wrong += bad
        print(f"{seed:5}  {'WRONG' if bad else 'alike'}  change {error:.1e} of {allowed:.1e}  loss {off:.1e}  "
              f"{time.monotonic() - begun:4.1f} s  {_told(module)}", flush=True)  # fmt: skip
    print(f"{count} networks, {wrong} wrong")
    return int(wrong > 0)


def _told(module) -> str:
    return " ".join(type(part).__name__ for part in module)


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(*map(int, words[:2]), *words[2:]))

"""Draw notebooks/pictures anew, each from runs measured for it; run it where kernels, passes or figures have changed.

    .venv/bin/python notebooks/draw_pictures.py                  all of them (minutes)
    .venv/bin/python notebooks/draw_pictures.py lenet_lifecycle  one; what each says in numbers is printed

lenet_lifecycle    README: the schedules side by side        lenet_adaptation    03_policies: policies on turned digits
mcunet_lifecycle   README: the same of MCUNet, in time
"""

import sys
from pathlib import Path

import workbench
from workbench.report import comparison_figure, comparison_text, lifecycle_figure, save_figure

SCHEDULES = ("vanilla", "reordered", "optimized")
POLICIES = ("full", "bias-only", "bias-only+head", "last-2", "conv1+conv2+head", "conv1+conv2+fc1:0.125+head")


def measured(model: str, policy: str):
    """A step of each schedule."""
    return workbench.compare(model, [policy], SCHEDULES, steps=1, evaluate=False).runs


def lenet_lifecycle():
    runs = measured("lenet", "full")
    return runs, lifecycle_figure(runs)


def mcunet_lifecycle():
    runs = measured("mcunet-5fps", "sparse-49kb")
    return runs, lifecycle_figure(runs, "cycles")


def lenet_adaptation():
    """What 03_policies runs."""
    runs = workbench.compare("lenet", POLICIES, ["optimized"], pretrain="digits", data="digits-rotated", epochs=1).runs
    return runs, comparison_figure(runs)


PICTURES = {made.__name__: made for made in (lenet_lifecycle, mcunet_lifecycle, lenet_adaptation)}


def main(names: list[str]) -> None:
    for name in names or PICTURES:
        runs, figure = PICTURES[name]()
        path = Path(__file__).parent / "pictures" / f"{name}.png"
        save_figure(figure, path)
        print(f"{comparison_text(runs)}\nWrote {path}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

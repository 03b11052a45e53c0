"""One-line notes: what it was trained on, training that went nowhere, accuracies that say little, passes nobody has."""

from collections.abc import Sequence

from workbench import frontends, units
from workbench.frontends.model import GIVEN
from workbench.report import tables

FEWEST = 20  # steps before a loss that did not fall means something
DIVERGED = 100  # times the first loss, or that of a guess: no sample is as hard


def origins(meta: dict) -> dict[str, str]:
    """What the samples and the weights were, where that is not the network's data set and weights to begin with."""
    told, source = {}, meta.get("weights_from")
    made_up = "data" in meta and meta["data"] is None
    if made_up:
        told["data"] = "random samples: the loss tells nothing about learning"
    if source:
        told["weights"] = source if source == GIVEN else f"from {source}"
    elif made_up and meta["model"] in frontends.names():
        told["weights"] = f"synthetic, of seed {meta.get('seed')}"
    return told


def origins_text(meta: dict) -> str:
    """`origins` as lines of a run's summary, each with its end."""
    return "".join(f"{what:<10}{told}\n" for what, told in origins(meta).items())


def origins_notes(metas: Sequence[dict]) -> list[str]:
    """`origins` of several runs, each once: 'data: random samples: …'."""
    return list(dict.fromkeys(f"{what}: {told}" for meta in metas for what, told in origins(meta).items()))


def training_note(meta: dict, lr: float) -> str | None:
    """A note where the loss rose, or stopped being a number: how large the steps were."""
    losses, ends = meta["loss"], tables.loss_ends(meta)
    broken = None in losses
    diverged = broken or ends.last > DIVERGED * max(1, ends.first)
    if not diverged and (len(losses) < FEWEST or ends.last < ends.first):
        return None
    what = "the loss stopped being a number" if broken else "training diverged"
    words = what if diverged else "the loss did not fall"
    if ends.first is not None and ends.last is not None:
        words += f": {units.loss(ends.first)} → {units.loss(ends.last)}"
    momentum = meta.get("momentum") or 0
    rate = f"lr {lr:g}"
    if 0 < momentum < 1:
        rate += f", momentum {momentum:g} steps like lr {lr / (1 - momentum):.3g}"
    return f"{words}; a smaller --lr often helps ({rate})"


def epoch_note(meta: dict) -> str | None:
    """A note where an accuracy was measured before the network saw every sample once."""
    if not meta.get("accuracy"):
        return None
    from workbench import data

    samples = len(data.load(meta["data"]).train_x)
    epoch = samples // (meta["batch"] * meta["accumulate"])  # in steps; a last partial batch is dropped
    if meta["steps"] >= epoch:
        return None
    steps = f"{meta['steps']} step{'s are' if meta['steps'] != 1 else ' is'}"
    return f"{steps} {100 * meta['steps'] / epoch:.2g} % of an epoch: accuracies say little yet; --epochs 1 or more"


def passes_note(schedules: list[str], changes: str) -> str | None:
    """A note where `changes` leaves out a pass that none of the schedules has."""
    from workbench.passes.pipeline import SCHEDULES

    left_out = [word.strip()[1:] for word in changes.split(",") if word.strip().startswith("-")]
    idle = [name for name in left_out if not any(name in SCHEDULES[schedule] for schedule in schedules)]
    if not idle:
        return None
    having = [schedule for schedule in SCHEDULES if all(name in SCHEDULES[schedule] for name in idle)]
    where = f"; {' and '.join(having)} {'have' if len(having) > 1 else 'has'} it" if len(idle) == 1 else ""
    return f"no {' or '.join(idle)} to leave out of {', '.join(schedules)}{where}"

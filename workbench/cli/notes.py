"""One-line notes: what a run was trained on, what went wrong in which of several runs, passes that nobody has."""

from collections.abc import Sequence

from workbench import data, frontends
from workbench.frontends.model import GIVEN
from workbench.record import Run
from workbench.report import tables
from workbench.report.engines import native_words


def origins(meta: dict) -> dict[str, str]:
    """The origin of samples and weights that are not the network's own."""
    texts, source = {}, meta.get("weights_from")
    made_up = "data" in meta and meta["data"] is None
    if isinstance(meta.get("data"), dict) and meta["data"].get("source") not in data.names():
        texts["data"] = data_words(meta["data"])
    if made_up:
        texts["data"] = "random samples: the loss tells nothing about learning"
    if source:
        texts["weights"] = source if source == GIVEN else f"from {source}"
    elif made_up and meta["model"] in frontends.names():
        texts["weights"] = f"synthetic, of seed {meta.get('seed')}"
    return texts


def data_words(told: dict) -> str:
    """'mine.npz: 70 to train on, 10 to validate on, 20 held out (0.8, by class, seed 0) · NCHW · normalize none'."""
    aside = f", {told['validation']} to validate on" if told.get("validation") else ""
    split, parts = told.get("split"), f"{told.get('train')} to train on{aside}, {told.get('test')} held out"
    if split:
        by = "".join(f", by {word}" for word in split.get("by", ()))
        parts += f" ({split.get('share')}{by}, seed {split.get('seed')})"
    normalize = told.get("normalize") or {}
    scale = normalize.get("scale") or []
    how = f"{normalize.get('kind')}" + (f": over {scale[0]:.6g}" if normalize.get("kind") == "unit" and scale else "")
    layout = [told["layout"]] if told.get("layout") else []
    return " · ".join([f"{told.get('source')}: {parts}", *layout, f"normalize {how}"])


def origins_text(meta: dict) -> str:
    """`origins` as lines of a run's summary, each with its end."""
    texts = origins(meta)
    if (of := meta.get("trained_by")) and meta["steps"] > 1:
        ran = f"the first of {meta['steps']} steps ran here, with the same loss and weights to the bit"
        texts["training"] = f"by {of['schedule']}; {ran}"
    return "".join(f"{what:<10}{text}\n" for what, text in texts.items())


def trained_once(runs: Sequence[Run]) -> list[str]:
    """A note where some runs took over losses and accuracy of another run's training."""
    having = [run.meta for run in runs if run.meta.get("trained_by") and run.meta["steps"] > 1]
    if not having:
        return []
    by = " or ".join(dict.fromkeys(meta["trained_by"]["schedule"] for meta in having))
    return [f"{by} trained for all schedules: the first step of each gave the same loss and weights, to the bit"]


def notes_of(runs: Sequence[Run], native: bool = True) -> list[str]:
    """Origins and notes of several runs, each once, led by the names of the runs it is about unless it is about all.
    `native`: include a note on what ran natively; a summary has a line of its own for that.

    'data: random samples: …', 'full: loss rose to 650 at step 2; …': runs of one policy end alike, however scheduled.
    """
    about: dict[str, list[Run]] = {}
    for run in runs:
        from_origins = [f"{what}: {text}" for what, text in origins(run.meta).items()]
        for note in dict.fromkeys([*from_origins, *(run.meta.get("notes") or [])]):
            about.setdefault(note, []).append(run)
    twin = native_words([run.meta for run in runs]) if native else None
    return [
        *(f"{_names(having, runs)}{note}" for note, having in about.items()),
        *trained_once(runs),
        *([f"native: {twin}"] if twin else []),
    ]


def _names(having: Sequence[Run], runs: Sequence[Run]) -> str:
    """'full: ', 'last-2 vanilla, last-2 reordered: '; '1 of 2 runs: ' of runs with one name; '' where all have it."""
    others = [run for run in runs if all(run is not one for one in having)]
    if not others:
        return ""
    apart = tables.apart(runs)
    trained = [key for key in apart if key != "schedule"]
    for keys in (trained, apart, [*trained, "seed"], [*apart, "seed"]):
        named, other = (list(dict.fromkeys(tables.words(run, keys) for run in part)) for part in (having, others))
        if not set(named) & set(other):
            return f"{', '.join(named)}: "
    return f"{len(having)} of {len(runs)} runs: "


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

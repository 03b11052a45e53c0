"""What a network makes of samples: scores and classes by its firmware's wb_forward, and how good they are."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.cli import options
from workbench.cli.output import output_folder, say, say_json, say_more, say_note
from workbench.cli.progress import stage
from workbench.errors import DataError, RecordError, WorkbenchError, meant
from workbench.objective import INPUT, MSE, VALUES
from workbench.options import OPTIONS

HELP = "scores of a trained run, or of a network, for samples: accuracy, loss, confusion matrix"
RUN = "run.json"  # what a run's folder is known by; record.folder, which says so, loads pandas
SHOWN = 10  # samples that are listed one by one
NETWORKS = (".py", ".tflite", ".onnx", ".pt2", ".json")  # endings of files that hold a network, not a run
MOST_RUNS = 20  # runs that are listed
FORWARD = "last-1"  # the policy whose firmware predicts for a network as it is: the smallest step


def add_arguments(parser) -> None:
    options.add_model(parser, metavar="RUN|MODEL", or_else="the folder of a run, or ")
    options.add_board(parser)
    options.add_data(parser, split=False)
    options.add(parser, "engine")
    parser.add_argument("--load-weights", metavar="FILE", help="of a network: with the weights in an .npz")
    options.add_row(parser, replace(OPTIONS["seed"], help="of a network's weights (default {default})"))
    options.add_output(parser)
    parser.set_defaults(batch=1)


def execute(args) -> int:
    of_run = _is_run(args.model)
    network = Path(args.model).suffix.partition(":")[0] in NETWORKS
    if not of_run and not network and (os.sep in args.model or os.path.isdir(args.model)):
        raise _no_run(Path(args.model))
    name = Path(args.model).resolve().name if of_run else options.called(args)
    folder = output_folder(args.output, f"{name}-predictions", args.force)
    run, made = _by_run(args) if of_run else (None, _by_model(args))
    from workbench.record.folder import filling

    with filling(folder) as new:
        files = _write(new, name, run, made)
    if args.json:
        say_json({"model": name, "samples": len(made.scores), **as_object(made)})
        return 0
    say(_text(name, made).rstrip())
    for note in made.data.notes:
        say_more(args, f"note: {note}")
    say_more(args, f"Wrote {', '.join(str(folder / file) for file in files)}")
    return 0


def _is_run(name: str) -> bool:
    return os.path.isfile(os.path.join(name, RUN))


def _no_run(place: Path) -> RecordError:
    """The error for a folder that holds no run, or does not exist."""
    beside = place if place.is_dir() else place.parent
    files = (each for depth in ("*", "*/*") for each in beside.glob(f"{depth}/{RUN}"))  # seeds of cells lie deeper
    runs = sorted(str(each.parent) for each in files)[:MOST_RUNS]
    hint = f"there are {', '.join(runs)}" if runs else "name the folder that `workbench run` wrote"
    return RecordError(f"{place} holds no run", f"{meant(str(place), runs)}{hint}")


def _reading(args):
    from workbench.data import Reading

    return Reading(**options.reading(args))


def _by_run(args):
    from workbench import prediction, session

    for name in ("load_weights", "classes", "shape", "sram"):
        if getattr(args, name):
            raise WorkbenchError(f"--{name.replace('_', '-')} is for a network; a run has its own", "leave it out")
    run = session.load_run(args.model)
    with stage(args, f"{args.model}: predicting"):
        return run, prediction.predict_run(run, run.elf, args.data, _reading(args), run.files, args.engine)


def _by_model(args):
    from workbench import prediction, session

    model, board = options.model(args), options.board(args)
    given = args.data or model.data
    if given is None:
        raise DataError(f"{options.called(args)} has no data set of its own", "--data names samples to predict")
    if model.weights_from is None and model.pretrained is None:
        say_note(
            f"{options.called(args)} is not trained: its weights are those it begins with, of seed {args.seed}", args
        )
    with stage(args, f"{options.called(args)}: building"):
        built = session.build(session.compile(model, FORWARD), board, kernels=args.kernels)
    with stage(args, f"{options.called(args)}: predicting"):
        return prediction.predict_built(built, given, _reading(args), args.engine)


def as_object(made) -> dict:
    """Predictions as --json prints them. `outputs`: of a network that ends in a softmax or sigmoid, what is behind."""
    ended = {} if made.ending is None else {"outputs": _numbers(made.outputs)}
    predicted = None if made.predicted is None else [_class(made, index) for index in made.predicted]
    matrix = None if made.confusion is None else made.confusion.tolist()
    return {
        "source": made.data.name, "scores": _numbers(made.scores), **ended, "predicted": predicted,
        "classes": list(made.data.names) or len(made.classes) or None, "accuracy": made.figures.accuracy,
        "loss_function": made.objective.loss, "held_out_loss": made.figures.loss, "confusion": matrix,
        "engine": dict(made.engine),
    }  # fmt: skip


def _numbers(values) -> list:
    """Nested lists; what is no number is null."""
    import numpy as np

    given = values.astype(object)
    given[~np.isfinite(values)] = None
    return given.tolist()


def _class(made, index) -> str | int:
    return made.classes[index] if made.data.names else int(index)


def _text(name: str, made) -> str:
    from workbench import units
    from workbench.report.confusion import confusion_text

    figures, count = made.figures, len(made.scores)
    lines = [f"{name} · {count:,} sample{'s' * (count > 1)} of {made.data.name} · wb_forward, {_by(made.engine)}"]
    if figures.accuracy is not None:
        lines.append(f"accuracy  {units.percent(figures.accuracy)}")
    if made.has_targets:
        lines.append(f"loss      {units.loss(figures.loss)} ({made.objective.loss})")
    if made.confusion is not None:
        return "\n".join([*lines, "", confusion_text(*_present(made))])
    if made.has_targets and made.objective.target == VALUES and made.objective.loss == MSE:
        lines.append(f"error     {made.errors.mean():.4g} on average, {made.errors.max():.4g} at most")
    return "\n".join([*lines, *_some_samples(made)])


def _by(engine) -> str:
    """'emulated', or 'native (gcc 12.2.0), the first and the last batch emulated too, equal to the bit'."""
    if engine["used"] == "emulated":
        return "emulated"
    which = "the first and the last batch" if engine["verified"]["batches"] > 1 else "the one batch"
    return f"native ({engine['compiler']}), {which} emulated too, equal to the bit"


def _present(made) -> tuple[Any, list[str]]:
    """The confusion matrix and the names of its classes, without classes that no sample has and no score predicts."""
    matrix, known = made.confusion, len(made.data.names) or made.data.classes or 0
    kept = [at for at in range(len(matrix)) if at < known or matrix[at].any() or matrix[:, at].any()]
    return matrix[kept][:, kept], [made.classes[at] for at in kept]


def _some_samples(made) -> list[str]:
    """A line a sample: its class and score, or its loss and outputs; the first ones, of an autoencoder the most
    unusual."""
    import numpy as np

    from workbench import units

    unusual = made.has_targets and made.objective.target == INPUT
    order = np.argsort(-np.array(made.losses, float), kind="stable") if unusual else range(len(made.scores))
    head = "the largest losses, of the most unusual samples" if unusual else "the first samples"
    said = "score (logit)" if made.ending is None else "output"
    outputs = f"class, {said}" if made.predicted is not None else "outputs"
    lines = ["", f"{head}: sample, {'loss, ' * (made.predicted is None and made.has_targets)}{outputs}"]
    shown = {index: made.data.origins[index] if made.data.origins else str(index) for index in order[:SHOWN]}
    width = max(map(len, shown.values()))
    for index, origin in shown.items():
        flat = made.outputs[index].reshape(-1)
        if made.predicted is not None:
            best = made.predicted[index]
            score = flat[best] if len(flat) > 1 else flat[0]
            lines.append(f"  {origin:>{width}}  {made.classes[best]}  {score:.3g}")
        else:
            loss = f"  loss {units.loss(made.losses[index])}" if made.has_targets else ""
            more = ", …" if len(flat) > 4 else ""
            lines.append(f"  {origin:>{width}}{loss}  {', '.join(f'{value:.4g}' for value in flat[:4])}{more}")
    return [*lines, *([f"  and {len(made.scores) - SHOWN:,} more"] if len(made.scores) > SHOWN else [])]


def _write(folder: Path, name: str, run, made) -> list[str]:
    """predictions.csv; where there are labels the confusion matrix, of a run the loss curve, as pictures."""
    from workbench.report.confusion import confusion_figure
    from workbench.report.figure import save_figure
    from workbench.report.loss_curve import loss_figure
    from workbench.units import percent

    _table(made).to_csv(folder / "predictions.csv", index=False)
    files = ["predictions.csv"]
    if made.confusion is not None:
        title = (
            f"{name} on {Path(made.data.name).name}: {percent(made.figures.accuracy)} of {len(made.scores):,} samples"
        )
        save_figure(confusion_figure(*_present(made), title), folder / "confusion.png")
        files.append("confusion.png")
    if run is not None:
        save_figure(loss_figure(run), folder / "loss.png")
        files.append("loss.png")
    return files


def _table(made):
    """A row a sample: its class, the predicted one, its loss, and what the network gives."""
    import pandas as pd

    columns = {"sample": made.data.origins or range(len(made.scores))}
    if made.confusion is not None:
        columns["actual"] = [_class(made, index) for index in made.actual]
    if made.predicted is not None:
        columns["predicted"] = [_class(made, index) for index in made.predicted]
    if made.has_targets:
        columns["loss"] = made.losses
    flat = made.outputs.reshape(len(made.outputs), -1)
    numbers = made.has_targets and made.objective.target == VALUES and not made.classes
    heads = made.classes if len(made.classes) == flat.shape[1] else [str(index) for index in range(flat.shape[1])]
    parts = {"predicted" if numbers else "score" if made.ending is None else "output": flat}
    parts = {"actual": made.data.test_y.reshape(flat.shape)} | parts if numbers else parts
    tables = [pd.DataFrame(part, columns=[f"{what}_{head}" for head in heads]) for what, part in parts.items()]
    return pd.concat([pd.DataFrame(columns), *tables], axis=1)

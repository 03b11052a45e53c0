"""Several seeds of one training: joined into a row with mean and spread, told honestly, legible in both figures."""

import re
import statistics

import numpy as np
import pytest
from pictures import assert_legible, boxes
from synthetic_run import synthetic_run

from workbench.report import comparison_csv, comparison_figure, seeds, text
from workbench.report import comparison_words as words
from workbench.report.seeds_figure import seeds_figure

ACCURACIES = {"full": (0.814, 0.749, 0.66), "bias-only": (0.50, 0.55, 0.58)}


def of_seeds(policy="full", schedule="reordered", layers=5, *, of=None, losses=False, numbers=(0, 1, 2)):
    """A run a seed; `of`: what each came to, an accuracy or, of a network without classes, 1 − its loss."""
    runs = []
    for seed, value in zip(numbers, of or ACCURACIES[policy], strict=False):
        run = synthetic_run(schedule, layers, policy=policy)
        loss = None if value is None else 1 - value
        run.meta.update(seed=seed, loss=[2.0, 1.0 + seed], held_out_loss={"before": 1.0 + seed, "after": loss})
        run.meta["accuracy"] = None if losses else {"before": 0.1, "after": value}
        run.meta["loss_function"] = "mse" if losses else "cross-entropy"
        runs.append(run)
    return runs


def compared(**options):
    """Two policies: every seed reordered, the first one under vanilla too."""
    runs = []
    for at, policy in enumerate(ACCURACIES):
        runs += [*of_seeds(policy, "vanilla", 5 - at, **options)[:1], *of_seeds(policy, "reordered", 5 - at, **options)]
    return runs


def test_mean_and_spread_are_those_of_the_sample():
    told = seeds.over([run.meta for run in of_seeds()])
    values = ACCURACIES["full"]
    assert told["count"] == 3
    assert told["mean"]["accuracy"] == pytest.approx({"before": 0.1, "after": np.mean(values)})
    assert told["spread"]["accuracy"] == pytest.approx({"before": 0, "after": np.std(values, ddof=1)})
    assert told["spread"]["held_out_loss"]["before"] == pytest.approx(statistics.stdev([1, 2, 3]))


def test_one_seed_has_no_spread():
    told = seeds.over([of_seeds()[0].meta])
    assert told["count"] == 1 and told["mean"]["accuracy"]["after"] == 0.814
    assert told["spread"]["accuracy"] == {"before": None, "after": None}
    assert seeds.over([])["mean"] == {"accuracy": None, "held_out_loss": None}


def test_a_seed_without_a_number_leaves_no_mean():
    metas = [run.meta for run in of_seeds(of=(0.8, None, 0.7), losses=True)]
    told = seeds.over(metas)
    assert told["mean"]["held_out_loss"] == {"before": 2.0, "after": None}
    assert told["spread"]["held_out_loss"]["after"] is None and told["mean"]["accuracy"] is None


def test_runs_that_differ_in_their_seed_alone_are_one_row():
    runs = compared()
    rows = seeds.joined(runs)
    assert [(row.meta["policy"], row.meta["schedule"]) for row in rows] == [
        ("full", "vanilla"), ("full", "reordered"), ("bias-only", "vanilla"), ("bias-only", "reordered"),
    ]  # fmt: skip
    for row in rows:  # under vanilla the first alone ran: the bits are the same
        assert row.meta["accuracy"]["after"] == pytest.approx(np.mean(ACCURACIES[row.meta["policy"]]))
        assert seeds.count(row) == 3 and seeds.held_out(row) == list(ACCURACIES[row.meta["policy"]])
    assert seeds.joined(rows) == rows
    assert runs[1].meta["accuracy"]["after"] == 0.814  # the runs themselves stay as they are


@pytest.mark.parametrize("key", ["lr", "momentum", "batch", "data", "weights_from", "steps_asked", "lr_schedule"])
def test_runs_that_were_trained_otherwise_are_other_rows(key):
    runs = of_seeds()
    runs[2].meta[key] = "another"
    assert [seeds.count(row) for row in seeds.joined(runs)] == [2, 1]


def test_runs_alike_in_everything_stay_as_they_are():
    assert len(seeds.joined([synthetic_run(), synthetic_run()])) == 2
    assert seeds.joined([*of_seeds(), *of_seeds()[:1]])[0].meta["accuracy"]["after"] == 0.814


def test_the_table_tells_mean_and_spread(golden):
    golden("report_compare_seeds.txt", text.comparison_text(compared()))
    unlike = text.comparison_text([*of_seeds(), *of_seeds("bias-only", numbers=(0, 1))])
    assert re.search(r"^full .* 3 +2\.00 → 2\.00 ± 1\.00 +10\.0 % → 74\.1 ± 7\.7 %$", unlike, re.M)
    assert re.search(r"^bias-only .* 2 +2\.00 → 1\.50 ± 0\.71 +10\.0 % → 52\.5 ± 3\.5 %$", unlike, re.M)
    assert "mean ± standard deviation over so many seeds; all else is of the first\n" in unlike


def test_the_csv_has_means_spreads_and_counts():
    table = comparison_csv(compared())
    assert table.seeds.tolist() == [3, 3, 3, 3]
    assert table.accuracy_after[:2].tolist() == pytest.approx([np.mean(ACCURACIES["full"])] * 2)
    assert table.accuracy_spread[2:].tolist() == pytest.approx([np.std(ACCURACIES["bias-only"], ddof=1)] * 2)
    alone = comparison_csv([synthetic_run()])
    assert alone.seeds.tolist() == [1] and alone.accuracy_spread.isna().all()


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        (of_seeds(), "held-out accuracy 74.1 ± 7.7 % over 3 seeds (66.0 – 81.4), 10.0 % before"),
        (of_seeds(losses=True), "held-out loss 0.26 ± 0.08 over 3 seeds (0.19 – 0.34), 2.00 before"),
        (of_seeds()[:1], "held-out accuracy 81.4 % over 1 seed, 10.0 % before"),
        (of_seeds(of=(0.5, 0.5, 0.5)), "held-out accuracy 50.0 ± 0.0 % over 3 seeds (50.0), 10.0 % before"),
        (
            of_seeds(of=(0.8, None, 0.7), losses=True),
            "held-out loss is no number after seed 1: no mean over 3 seeds; the others 0.20 – 0.30",
        ),
        (of_seeds(of=(0.8, None), losses=True), "held-out loss is no number after seed 1: no mean over 2 seeds; the "
                                                "others 0.20"),
        (of_seeds(of=(None, None), losses=True), "held-out loss is no number after any of 2 seeds"),
    ],
)  # fmt: skip
def test_what_several_seeds_came_to(runs, told):
    assert seeds.finding(runs) == told


def test_without_held_out_samples_nothing_is_found():
    runs = of_seeds()
    for run in runs:
        run.meta.update(accuracy=None, held_out_loss=None)
    assert seeds.finding(runs) == "" and "seeds  " not in text.seeds_text(runs)


def test_the_summary_has_a_line_a_seed_and_instructions_that_differ():
    runs = of_seeds()
    assert "instructions)" not in text.seeds_text(runs)
    runs[1].meta["instructions_per_step"] += 4
    told = text.seeds_text(runs).splitlines()
    assert [line.split()[1] for line in told if line.startswith("seed ")] == ["0", "1", "2"]
    (step,) = (line for line in told if line.startswith("step"))
    first = runs[0].meta["instructions_per_step"]
    assert step.endswith(f"({first:,} – {first + 4:,} instructions)")
    assert told[-1].startswith("seeds     held-out accuracy 74.1 ± 7.7 %")


FIGURES = {
    "accuracies": compared,
    "losses": lambda: compared(losses=True),
    "two and one": lambda: [*of_seeds(numbers=(0, 1)), synthetic_run(policy="bias-only")],
    "no number": lambda: [*of_seeds(of=(0.8, None, 0.7), losses=True), *of_seeds("bias-only", losses=True)],
    "ten": lambda: of_seeds(of=np.linspace(0, 1, 10).tolist(), numbers=range(10)),
}


@pytest.mark.parametrize("case", FIGURES)
def test_no_text_of_a_comparison_overlaps_another_or_is_cut(case):
    assert_legible(comparison_figure(FIGURES[case]()))


def test_the_comparison_draws_mean_spread_and_every_seed():
    axes = comparison_figure(compared()).axes[-1]
    (first, *_) = (bar for bar in axes.containers)
    (segment,) = first.lines[2][0].get_segments()
    values = 100 * np.array(ACCURACIES["full"])
    assert segment[:, 0] == pytest.approx([values.mean() - values.std(ddof=1), values.mean() + values.std(ddof=1)])
    points = [line.get_xdata()[0] for line in axes.lines if line.get_markersize() == 4]
    assert points[:3] == pytest.approx(values.tolist()) and len(points) == 12
    told = [each for each, _ in boxes(comparison_figure(compared()))]
    assert told.count("74.1 ± 7.7 %") == 2
    assert any("held-out of 3 seeds: mean ± standard deviation, a grey point each" in each for each in told)


def test_less_than_the_seeds_are_apart_is_no_finding():
    near = {"full": (0.80, 0.90, 0.70), "bias-only": (0.72, 0.82, 0.62)}
    runs = [run for at, policy in enumerate(near) for run in of_seeds(policy, layers=5 - at, of=near[policy])]
    assert words.finding(seeds.joined(runs)).startswith("bias-only needs least SRAM, 68.7 KB; full most")
    far = [*runs[:3], *of_seeds("bias-only", layers=4)]
    assert words.finding(seeds.joined(far)) == (
        "bias-only needs least SRAM, 68.7 KB, for 54.3 ± 4.0 %; full learns most, 80.0 ± 10.0 % in 83.9 KB"
    )


def test_without_classes_the_loss_is_the_finding():
    runs = [of_seeds(losses=True)[0], of_seeds("bias-only", layers=4, losses=True)[0]]
    assert words.finding(runs) == (
        "bias-only needs least SRAM, 68.7 KB, for a held-out loss of 0.50; full learns most, 0.19 in 83.9 KB"
    )
    runs[1].meta["held_out_loss"]["after"] = 0.19
    assert "learns most" not in words.finding(runs)
    assert words.held_out_head(runs) == "held-out mse, 1.00 before"


@pytest.mark.parametrize("case", FIGURES)
def test_the_figure_of_seeds_shows_all_of_them(case):
    rows = [run for run in FIGURES[case]() if run.meta["policy"] == "full"]
    runs = rows[1:] if rows[0].meta["schedule"] == "vanilla" and len(rows) > 2 else rows
    figure = seeds_figure(runs)
    told = [each for each, _ in boxes(figure)]
    assert told[0].startswith("lenet full") or any(each.startswith("lenet full") for each in told)
    assert {f"seed {run.meta['seed']}" for run in runs} <= {each.removesuffix(" (no number)") for each in told}
    assert ("mean ± spread" in told) == (case != "no number")
    curves = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    assert [list(curve.get_ydata()) for curve in curves] == [run.meta["loss"] for run in runs]

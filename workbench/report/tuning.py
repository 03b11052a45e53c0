"""What a tuning found, from its record alone: naive loops, rule and tuned beside each other, kernel by kernel, and what
time less SRAM costs.
"""

from collections.abc import Mapping
from typing import Any

from workbench import units
from workbench.options import LOOPS
from workbench.report import palette
from workbench.report.cells import grid
from workbench.report.figure import DPI, Picture
from workbench.report.labels import Labels, shorten

AS_IT_LIES = "as-it-lies"  # kernels that lay nothing out, where they can do without
WAYS = {"naive-shapes": LOOPS["naive-shapes"], "naive": LOOPS["naive"], AS_IT_LIES: "all as it lies", "rule": "rule",
        "tuned": "tuned"}  # fmt: skip
MOST = 16  # kernels in the figure


def tuning_text(record: Mapping[str, Any], top: int = 10) -> str:
    """The whole step with each kind of kernels, those kernels that gained most or take most, and the trade."""
    metric, kernels = record["metric"], record["kernels"]
    trials = sum(len(kernel["trials"]) for kernel in kernels)
    lines = [f"{record['model']} · {record['policy']} · {record['schedule']} · {record['board']} · objective "
             f"{record['objective']}: {len(kernels)} kernels, {trials} schedules measured", ""]  # fmt: skip
    rows = [_whole(record, way) for way in WAYS]
    heads = ["a step", "instructions", "", "cycles", "", "SRAM planned", "", "modelled", "flash"]
    lines += [grid(heads, rows, {0}).rstrip()]
    rows = [[", ".join(kernel["layers"][:2]) + " …" * (len(kernel["layers"]) > 2), called(kernel["literals"]),
             *(units.quantity(kernel[way][metric]) for way in WAYS if way != AS_IT_LIES),
             units.change(kernel["rule"][metric], kernel["tuned"][metric]), kernel["tuned"]["schedule"] or "rule",
             f"{units.size(kernel['rule']['scratch'])} → {units.size(kernel['tuned']['scratch'])}"]
            for kernel in _by_gain(kernels, metric)[:top]]  # fmt: skip
    heads = ["layers", "kernel", f"{metric}: naive, shapes", "literals", "rule", "tuned", "", "schedule", "scratch"]
    lines += ["", grid(heads, rows, {0, 1, 7}).rstrip()]
    best = sum(not kernel["tuned"]["schedule"] for kernel in kernels)
    if best:
        lines += ["", f"The rule's schedule is the best choice for {best} of {len(kernels)} kernels."]
    trades = record["trades"]
    if len(trades) > 1:
        some = [trades[round(at * (len(trades) - 1) / 4)] for at in range(5)] if len(trades) > 5 else trades
        told = " · ".join(f"{units.kilobytes(each['sram'])}: {units.quantity(each['cost'])}" for each in some)
        lines += ["", f"SRAM for {metric} of these kernels   {told}"]
    return "\n".join(lines) + "\n"


def _whole(record: Mapping[str, Any], way: str) -> list[str]:
    """A row of the step's table; how far it is from the rule."""
    whole, rule = record["whole"][way], record["whole"]["rule"]
    row = [WAYS[way]]
    for name, told in (("instructions", units.quantity), ("cycles", units.quantity), ("sram", units.kilobytes)):
        row += [told(whole[name]), "" if way == "rule" else units.change(rule[name], whole[name])]
    return [*row, units.milliseconds(1000 * whole["cycles"] / record["clock_hz"]), units.kilobytes(whole["flash"])]


def called(literals: str) -> str:
    """'conv2d_s8 1x1 16-48, 32x32 by rows' of a kernel's literals."""
    name, _, rest = literals.partition(" ")
    told = dict(word.split("=", 1) for word in rest.split() if "=" in word)
    axis = f" by {rest.rpartition(' by ')[2]}" if " by " in rest else ""
    groups, channels = int(told.get("groups", 1)), f"{told['channels']}-{told['filters']}"
    if groups > 1:
        channels = f"{groups} alone" if told["channels"] == told["filters"] == "1" else f"{groups} times {channels}"
    stride = f" s{told['sh']}" if told.get("sh", "1") != "1" else ""
    return f"{name} {told['kh']}x{told['kw']}{stride} {channels}, {told['out_height']}x{told['out_width']}{axis}"


def _by_gain(kernels, metric: str) -> list:
    """And those that gained nothing by what they take."""
    return sorted(kernels, key=lambda kernel: (-_gain(kernel, metric), -kernel["rule"][metric]))


def _gain(kernel, metric: str) -> int:
    return kernel["rule"][metric] - kernel["tuned"][metric]


def tuning_figure(record: Mapping[str, Any]) -> Picture:
    """On the left the kernels that take most, by rule and tuned, each schedule that was tried a mark; on the right what
    less SRAM costs."""
    metric = record["metric"]
    kernels = sorted(record["kernels"], key=lambda kernel: -kernel["rule"][metric])[:MOST]
    height = 190 + 34 * max(len(kernels), 8)
    figure = Picture(figsize=(16, height / DPI), dpi=DPI, facecolor="white")
    labels = Labels(figure)
    bars = figure.add_axes((430 / 1600, 70 / height, 0.36, 1 - 190 / height))
    _kernels(labels, bars, kernels, metric)
    curve = figure.add_axes((0.72, 70 / height, 0.25, 1 - 190 / height))
    _trades(curve, record)
    whole = record["whole"]
    title = f"{record['model']} · {record['policy']} on {record['board']}: {metric} a step"
    told = " → ".join(f"{name} {units.quantity(whole[way][metric])}" for way, name in WAYS.items())
    sram = " → ".join(units.kilobytes(whole[way]["sram"]) for way in ("rule", "tuned"))
    figure.text(24 / 1600, 1 - 34 / height, title, fontsize=15, weight="bold", color=palette.INK, va="center")
    figure.text(24 / 1600, 1 - 66 / height, f"{told}; SRAM {sram}", fontsize=12, color=palette.QUIET, va="center")
    return figure


def _kernels(labels, axes, kernels, metric: str) -> None:
    largest = max(kernel[way][metric] for kernel in kernels for way in ("rule", "tuned"))
    unit, name = units.count_axis(largest)
    for at, kernel in enumerate(kernels):
        rule, tuned = kernel["rule"][metric] / unit, kernel["tuned"][metric] / unit
        axes.barh(at, tuned, 0.62, color=palette.ROLE["parameter"])
        axes.barh(at, rule, 0.62, facecolor="none" if tuned > rule else palette.STATIC, edgecolor=palette.QUIET,
                  linewidth=0.8, zorder=2 if tuned > rule else 0.5)  # fmt: skip
        tried = [trial[metric] / unit for trial in kernel["trials"]]
        axes.plot(tried, [at] * len(tried), "|", color=palette.INK, markersize=9, markeredgewidth=0.9)
        if tuned != rule:
            colour = palette.SAVED if tuned < rule else palette.LIMIT
            axes.annotate(
                units.change(rule, tuned), (max(rule, tuned), at), (6, 0), textcoords="offset points", fontsize=9.5,
                va="center", color=colour, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5}, zorder=3,
            )  # fmt: skip
    names = [shorten(labels, f"{kernel['layers'][0]}   {called(kernel['literals'])}", 9.5, 390) for kernel in kernels]
    axes.set_yticks(range(len(kernels)), names, fontsize=9.5, color=palette.INK)
    axes.set_xlim(0, 1.25 * largest / unit)
    axes.invert_yaxis()
    key = "outlined: by rule; blue: tuned; marks: the schedules tried, as far as in sight"
    axes.set_xlabel(f"{metric}{f', {name}' if name else ''}   ({key})", fontsize=9.5, color=palette.QUIET)
    _plain(axes)


def _trades(axes, record) -> None:
    metric, trades, at = record["metric"], record["trades"], record["at"]
    unit, name = units.count_axis(max(each["cost"] for each in (*trades, *at.values())))
    rising = sorted(trades, key=lambda each: each["sram"])
    axes.step([each["sram"] / units.KB for each in rising], [each["cost"] / unit for each in rising], where="post",
              color=palette.ROLE["parameter"], linewidth=2)  # fmt: skip
    for way, colour, mark in (("rule", palette.QUIET, "o"), ("tuned", palette.SAVED, "D")):
        axes.plot(at[way]["sram"] / units.KB, at[way]["cost"] / unit, mark, color=colour, label=way, markersize=8)
    axes.set_xlabel("SRAM planned, KB", fontsize=9.5, color=palette.QUIET)
    axes.set_title(f"what less SRAM costs: {metric} of these kernels{f', {name}' if name else ''}", fontsize=11,
                   color=palette.INK, loc="left")  # fmt: skip
    axes.legend(frameon=False, fontsize=9.5)
    axes.margins(0.12)
    _plain(axes)


def _plain(axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(palette.HAIR)
    axes.tick_params(colors=palette.QUIET, labelsize=9.5, length=3)
    for label in axes.get_yticklabels():
        label.set_color(palette.INK)

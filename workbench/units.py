"""The only place that turns bytes, counts, cycles and addresses into text for people, and back."""

import re
from collections.abc import Callable, Sequence

from workbench.errors import WorkbenchError

KB = 1024


def kilobytes(count: int | None) -> str:
    """1536 -> '1.5 KB' (KB = 1024 bytes); below 1 KB the exact bytes: '96 B'; from 1 MB on '2.87 MB'."""
    if count is None:
        return "–"
    return f"{bare(count, count)} {_byte_unit(count)[1]}"


def size(count: int | None) -> str:
    """Like `kilobytes`, without an idle '.0': 262144 -> '256 KB', 1536 -> '1.5 KB', 16 MB -> '16 MB'."""
    text = kilobytes(count)
    number, _, unit = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.')} {unit}" if "." in number else text


def bare(count: int | None, like: int) -> str:
    """`count` bytes without its unit, in the unit `kilobytes(like)` speaks in: (1536, 9000) -> '1.5'.

    Beside megabytes, what is below a tenth of one keeps its own unit: (1536, 3 MB) -> '1.5 KB', not '0.00'.
    """
    if count is None:
        return "–"
    scale, unit = _byte_unit(like)
    if unit == "MB" and 0 < abs(count) < scale / 10:
        return kilobytes(count)
    return f"{count / scale:.{ {'B': 0, 'KB': 1, 'MB': 2}[unit] }f}"


def byte_axis(largest: int) -> tuple[int, str]:
    """The scale (bytes) and unit for an axis that reaches `largest` bytes: (1024, 'KB'), (1048576, 'MB').

    A step of a few megabytes stays in KB, as what is written beside it is (`kilobytes`)."""
    return (KB * KB, "MB") if largest >= 10 * KB * KB else (KB, "KB")


def count_axis(largest: float) -> tuple[int, str]:
    """The scale and unit of an axis that reaches `largest`: (1000000, 'M') for 150_000_000, (1, '') below 10_000."""
    return next(((scale, name) for scale, name in ((10**6, "M"), (1000, "k")) if largest >= 10 * scale), (1, ""))


def _byte_unit(count: float) -> tuple[int, str]:
    if abs(count) < KB:
        return 1, "B"
    return (KB, "KB") if abs(count) < KB * KB - KB / 20 else (KB * KB, "MB")  # 1048575 is '1.00 MB', not '1024.0 KB'


def quantity(count: float | None) -> str:
    """1_040_000 -> '1.04 M'; 25_300 -> '25.3 k'; 620 -> '620'; 1_999_000 -> '2 M'."""
    if count is None:
        return "–"
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= limit * (1 if limit == 1e3 else 0.9995):  # 999_600 is '1 M', not '1e+03 k'
            value = count / limit
            return f"{value:.0f} {suffix}" if abs(value) >= 99.95 else f"{value:.3g} {suffix}"
    return f"{count:.0f}"


def count(value: float | None) -> str:
    """Every digit, in groups of three: 1_040_213 -> '1,040,213'."""
    return "–" if value is None else f"{value:,.0f}"


def change(before: float, after: float) -> str:
    """By how much `after` differs from `before`: '−38 %', '+4 %', '±0 %'; below 10 % one more digit: '−4.2 %'."""
    if not before:
        return "–"
    value = 100 * (after - before) / before
    digits = f"{abs(value):.0f}" if abs(value) >= 9.95 else f"{abs(value):.1f}"
    if not float(digits):
        return "±0 %"
    return f"{'−' if value < 0 else '+'}{digits} %"


def percent(fraction: float | None) -> str:
    """0.9583 -> '95.8 %'."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def loss(value: float | None) -> str:
    """2.3102 -> '2.31', 0.00421 -> '0.0042', 650.1 -> '650', 3.1e+38 and 'nan' where training diverged."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:.0f}" if abs(value) < 1e5 else f"{value:.1e}"
    return f"{value:.2f}" if abs(value) >= 0.01 or not value else f"{value:.2g}"


def give_or_take(value: float | None, spread: float | None, form: Callable[[float | None], str]) -> str:
    """A mean and its spread, both written by `form`: '74.1 ± 7.7 %', '0.11 ± 0.02'; without a spread the mean alone."""
    text = form(value)
    return text if value is None or spread is None else f"{text.removesuffix(' %')} ± {form(spread)}"


def ranges(numbers: Sequence[int]) -> str:
    """Rising numbers, their runs joined: (1, 4, 5, 6) -> '1, 4–6'."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("–".join(map(str, run)) for run in runs)


def address(value: int) -> str:
    """0x2003f000, always eight digits."""
    return f"0x{value:08x}"


def milliseconds(value: float | None) -> str:
    """20.4 -> '20 ms'; 0.31 -> '0.31 ms'; 2412 -> '2.4 s'."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value / 1000:.2g} s" if value < 10_000 else f"{value / 1000:.0f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def seconds(value: float) -> str:
    """0.2 s, 5.8 s."""
    return f"{value:.1f} s"


def frequency(hertz: int) -> str:
    """64_000_000 -> '64 MHz'."""
    return f"{hertz / 1e6:g} MHz"


def parse_bytes(text: str) -> int:
    """'256K' -> 262144, '1M', '98304', '96KB'. Raises WorkbenchError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKmM]?)(?:i?[bB])?\s*", text)
    if not match:
        raise WorkbenchError(f"{text!r} is not a size", "write bytes (98304) or 96K or 1M")
    scale = {"": 1, "k": KB, "m": KB * KB}[match[2].lower()]
    return int(float(match[1]) * scale)

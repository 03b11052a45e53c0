"""The only place that turns bytes, counts, cycles and addresses into text for people, and back."""

import re

from workbench.errors import WorkbenchError

KB = 1024


def kilobytes(count: int | None) -> str:
    """1536 -> '1.5 KB' (KB = 1024 bytes); below 1 KB the exact bytes: '96 B'."""
    if count is None:
        return "–"
    if abs(count) < KB:
        return f"{count} B"
    if abs(count) < KB * KB:
        return f"{count / KB:.1f} KB"
    return f"{count / KB / KB:.2f} MB"


def quantity(count: float | None) -> str:
    """1_040_000 -> '1.04 M'; 25_300 -> '25.3 k'; 620 -> '620'."""
    if count is None:
        return "–"
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= limit:
            return f"{count / limit:.3g} {suffix}"
    return f"{count:.0f}"


def percent(fraction: float | None) -> str:
    """0.9583 -> '95.8 %'."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


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

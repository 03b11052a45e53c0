"""The only place that formats numbers for people: spot values, edges, and that nothing ever reads '1e+03 k'."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import units
from workbench.errors import WorkbenchError


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (units.kilobytes, 96, "96 B"),
        (units.kilobytes, 1023, "1023 B"),
        (units.kilobytes, 1536, "1.5 KB"),
        (units.kilobytes, 2**20 - 1, "1.00 MB"),
        (units.kilobytes, None, "–"),
        (units.size, 262144, "256 KB"),
        (units.size, 1536, "1.5 KB"),
        (units.size, 100, "100 B"),
        (units.size, 16 * 2**20, "16 MB"),
        (units.quantity, 620, "620"),
        (units.quantity, 25_300, "25.3 k"),
        (units.quantity, 1_040_000, "1.04 M"),
        (units.quantity, 999_600, "1 M"),
        (units.quantity, 999_400, "999 k"),
        (units.quantity, None, "–"),
        (units.quantity, 1900, "1.9 k"),
        (units.loss, 2.3102, "2.31"),
        (units.loss, 0.00421, "0.0042"),
        (units.loss, float("nan"), "nan"),
        (units.loss, 3.4e38, "3.4e+38"),
        (units.loss, 99_999.0, "99999"),
        (units.loss, 650.0855, "650"),
        (units.ranges, (1, 4, 5, 6, 9, 10), "1, 4–6, 9–10"),
        (units.ranges, (), ""),
        (units.count, 1_040_213, "1,040,213"),
        (units.percent, 0.9583, "95.8 %"),
        (units.address, 0x2003F000, "0x2003f000"),
        (units.milliseconds, 20.4, "20 ms"),
        (units.milliseconds, 0.31, "0.31 ms"),
        (units.milliseconds, 2412, "2.4 s"),
        (units.frequency, 64_000_000, "64 MHz"),
    ],
)
def test_spot_values(function, value, text):
    assert function(value) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (100, 62, "−38 %"),
        (100, 104, "+4.0 %"),
        (1000, 1000, "±0 %"),
        (1_000_000, 999_999, "±0 %"),
        (1000, 958, "−4.2 %"),
        (0, 3, "–"),
    ],
)
def test_change(before, after, text):
    assert units.change(before, after) == text


def test_parts_speak_the_unit_of_their_whole():
    assert units.bare(1536, 9000) == "1.5"
    assert units.bare(100, 9000) == "0.1"
    assert units.bare(100, 900) == "100"
    assert units.bare(2**20, 3 * 2**20) == "1.00"
    assert units.bare(1536, 3 * 2**20) == "1.5 KB"


@given(st.integers(0, 10**13))
def test_every_number_stays_readable_and_close(count):
    for text, scales, tolerance in (
        (units.kilobytes(count), {"B": 1, "KB": 1024, "MB": 1024**2}, 0.06),
        (units.quantity(count), {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}, 0.006),
    ):
        number, _, unit = text.partition(" ")
        assert re.fullmatch(r"\d+(\.\d{1,2})?", number), text
        assert abs(float(number) * scales[unit] - count) <= tolerance * max(count, 1)


@given(st.integers(0, 2**20 - 1))
def test_sizes_are_read_back(count):
    assert units.parse_bytes(str(count)) == count
    assert abs(units.parse_bytes(units.kilobytes(count).replace(" ", "")) - count) <= 52


@pytest.mark.parametrize("text", ["", "K", "12Q", "-3K", "1.2.3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(WorkbenchError, match="not a size"):
        units.parse_bytes(text)

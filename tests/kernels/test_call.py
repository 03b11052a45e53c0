"""The C of a call, as a person reads it."""

import re

import pytest

from workbench.kernels.call import WIDTH, in_lines

FIELDS = "{ .rows = 1, .window = { .kh = 3, .kw = 3 }, .times = 1.0f }"
TABLE = f"(const int[]){{ {', '.join(map(str, range(400)))} }}"
VIEWS = ", ".join(f"wb_image_f32(F32(wb_arena, {at}), 8, 4, 4)" for at in range(0, 9000, 1000))


@pytest.mark.parametrize("inside", ["", "a", VIEWS, f"(wb_x){FIELDS}, {VIEWS}", f"(wb_x){{ .at = {TABLE} }}, a", TABLE])
def test_a_call_in_lines_is_the_same_call(inside):
    text = f"kernel_f32({inside});"
    lines = in_lines(text)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
    assert all(len(line) <= WIDTH for line in lines)


def test_what_fits_into_a_line_is_not_torn():
    lines = "\n".join(in_lines(f"kernel_f32((wb_x){FIELDS}, {VIEWS});"))
    assert FIELDS in lines
    assert len(re.findall(r"wb_image_f32\(F32\(wb_arena, \d+\), 8, 4, 4\)", lines)) == 9


def test_a_record_longer_than_a_line_is_broken_between_its_fields():
    assert in_lines(f"f((wb_x){{ .a = {FIELDS}, .b = {FIELDS} }}, y);") == [
        f"f((wb_x){{ .a = {FIELDS},",
        f"        .b = {FIELDS} }},",
        "    y);",
    ]

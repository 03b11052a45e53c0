"""What a profile says: its heading, names that are cut, and figures of little."""

import re

import pytest
from synthetic_profile import Called, synthetic_profile

from workbench.report.figure import save_figure
from workbench.report.profile_figure import profile_figure
from workbench.report.profile_text import heading, profile_text
from workbench.report.short_names import short_name

TEMPLATE = "int queue::ring<std::pair<int, float>, 40>::push<main::{lambda(int)#1}>(int, main::{lambda(int)#1})"


@pytest.mark.parametrize(
    ("name", "letters", "short"),
    [
        ("memcpy", 6, "memcpy"),
        ("HAL_UART_IRQHandler", 16, "HAL_UART_I…ndler"),
        ("HAL_UART_IRQHandler", 9, "HAL_UART…"),
        (TEMPLATE, 200, TEMPLATE),
        (TEMPLATE, 90, "int queue::ring<std::pair<int, float>, 40>::push<main::{lambda(…)#1}>(…)"),
        (TEMPLATE, 40, "int queue::ring<…>::push<…>(…)"),
        (TEMPLATE, 20, "…ring<…>::push<…>(…)"),
        ("ns::f(int, (anonymous)::g", 12, "ns::f(…"),
        ("operator>>(a, b)", 14, "operator>>(…)"),
    ],
)
def test_names_are_cut_where_they_tell_least(name, letters, short):
    cut = short_name(name, letters)
    assert cut == short and len(cut) <= letters


def test_what_passed_without_an_instruction_is_told_apart():
    told = heading(synthetic_profile(idle_cycles=12_345, exception_cycles=66))
    assert "and 12,345 cycles waited for an interrupt and 66 cycles of taking and leaving exceptions" in told
    assert "which belong to no function" not in heading(synthetic_profile(idle_cycles=0, exception_cycles=0))


def test_the_calls_that_a_stack_was_deepest_in():
    few, many = ["main", "work"], ["Reset_Handler", "main", *(f"a_long_name_{at}" for at in range(9)), "leaf"]
    told = heading(synthetic_profile(stacks=[{"stack": "main", "bytes": 96, "calls": few}]))
    assert told.endswith("\ndeepest in main > work")
    last = heading(synthetic_profile(stacks=[{"stack": "main", "bytes": 96, "calls": many}])).splitlines()[-1]
    assert last.startswith("deepest in Reset_Handler > main > ") and last.endswith(" > leaf") and " > … > " in last
    assert len(last) < 120
    both = [{"stack": name, "bytes": 96, "calls": few} for name in ("main", "idle")]
    assert "deepest in" not in heading(synthetic_profile(stacks=both))
    assert re.search(r"idle +96 B +main > work", profile_text(synthetic_profile(stacks=both)))


@pytest.mark.parametrize("roots", [(), (Called("main"),), (Called("main", 0),)], ids=["nothing", "one", "no time"])
@pytest.mark.parametrize("lines", [True, False])
def test_little_is_told_and_drawn(tmp_path, roots, lines):
    profile = synthetic_profile(roots, lines=lines)
    text = profile_text(profile)
    assert ("main" in text) == bool(roots)
    assert ("source line" in text) == (lines and bool(roots))
    save_figure(profile_figure(profile), tmp_path / "profile.png")
    assert (tmp_path / "profile.png").read_bytes().startswith(b"\x89PNG")

"""Text that is safe to show, and safe as a part of a folder's name."""

from string import printable as every

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.plain import as_part
from workbench.study.cells import Cell


@pytest.mark.parametrize("name", ["full", "last-2", "bias-only_head", "blocks.3"])
def test_a_plain_name_is_its_own_part(name):
    assert as_part(name) == name


def test_names_that_differ_in_a_glob_alone_are_parts_of_their_own():
    parts = [as_part(name) for name in ("conv*", "conv?", "=conv", '="conv"', "*conv", "[conv]", "conv")]
    assert len(set(parts)) == len(parts)
    assert as_part("bias-only+conv2:0.25") == "bias-only_conv2_0.25"


@given(st.text(st.characters() | st.sampled_from(every), max_size=300))
def test_any_text_is_one_safe_part(text):
    part = as_part(text)
    assert all(c.isalnum() or c in "._-" for c in part)
    assert len(part.encode()) <= 107


def test_cells_of_two_globs_have_folders_of_their_own():
    folders = {Cell(policy, "vanilla", seed=1).folder for policy in ("*.bias", "?.bias", "x" * 300, "x" * 301)}
    assert len(folders) == 4
    assert all(folder.count("/") == 1 and len(folder) < 150 for folder in folders)

"""Records in Python and structs in C agree by name, or nothing loads."""

import re
from dataclasses import fields, is_dataclass, make_dataclass, replace

import pytest

import workbench.kernels  # noqa: F401  holds all of them against each other
from workbench.errors import InternalError
from workbench.ir.op import get, registered
from workbench.kernels import declared

RECORDS = [op for op in registered().values() if op.kernel and op.kernel.record]


def without(record: type, name: str) -> type:
    kept = [(each.name, each.type) for each in fields(record) if each.name != name]
    return make_dataclass(record.__name__, kept, frozen=True)


def with_fields(op, *kinds):
    return replace(op, kernel=replace(op.kernel, record=make_dataclass("Wrong", kinds, frozen=True)))


@pytest.mark.parametrize("op", RECORDS, ids=lambda op: op.name)
def test_a_parameter_that_python_lacks_is_named(op):
    for each in fields(op.kernel.record):
        spoiled = replace(op, kernel=replace(op.kernel, record=without(op.kernel.record, each.name)))
        with pytest.raises(InternalError, match=f"has a parameter '{each.name}', .* has none"):
            declared.agree(spoiled)


@pytest.mark.parametrize("op", RECORDS, ids=lambda op: op.name)
def test_a_parameter_that_c_lacks_is_named(op, monkeypatch):
    for function in op.kernel.functions:
        struct = declared.struct_of(op.kernel, function)
        known = declared.header(op.kernel.header)
        for name in known.structs[struct]:
            left = {each: kind for each, kind in known.structs[struct].items() if each != name}
            spoiled = replace(known, structs={**known.structs, struct: left})
            monkeypatch.setattr(declared, "header", lambda _, spoiled=spoiled: spoiled)
            with pytest.raises(InternalError, match=f"has a parameter '{name}', {struct} has none"):
                declared.agree(op)
            monkeypatch.undo()


def test_a_number_in_place_of_a_record_is_refused():
    relu = get("nn.relu")
    with pytest.raises(InternalError, match="'rows' is a record on one side only"):
        declared.agree(with_fields(relu, ("channels", int), ("rows", relu.kernel.record), ("columns", int)))


def test_one_number_in_place_of_several_is_refused():
    with pytest.raises(InternalError, match="'step' is several numbers on one side only"):
        declared.agree(with_fields(get("transpose"), ("n", tuple[int, ...]), ("step", int)))


def pairs(record: type, struct: str, structs) -> set:
    """The record and its struct, and those within."""
    own = structs[struct]
    inner = (pairs(each.type, own[each.name], structs) for each in fields(record) if is_dataclass(each.type))
    return {(record, struct)}.union(*inner)


@pytest.mark.parametrize("op", RECORDS, ids=lambda op: op.name)
def test_a_record_says_what_its_struct_is_called(op):
    """Those that are put together of others aside."""
    for function in op.kernel.functions:
        found = pairs(
            op.kernel.record, declared.struct_of(op.kernel, function), declared.header(op.kernel.header).structs
        )
        for record, struct in found:
            assert record.__module__ == "types" or re.search(rf"\b{struct}\b", record.__doc__), record


def test_another_order_is_refused():
    """C++ takes a record's fields in the order of the struct alone."""
    with pytest.raises(InternalError, match="order: Wrong has rows, channels, columns, wb_shape has channels, "):
        declared.agree(with_fields(get("nn.relu"), ("rows", int), ("channels", int), ("columns", int)))


def test_a_fraction_in_place_of_a_whole_number_is_refused():
    with pytest.raises(InternalError, match="'rows' is float in Wrong, int in wb_shape"):
        declared.agree(with_fields(get("nn.relu"), ("channels", int), ("rows", float), ("columns", int)))


def test_a_header_that_does_not_exist_is_refused():
    relu = get("nn.relu")
    with pytest.raises(InternalError, match=r"there is no kernel header relu_f64\.h"):
        declared.agree(replace(relu, kernel=replace(relu.kernel, header="relu_f64.h")))


@pytest.mark.parametrize("struct", [
    "typedef struct {{ {} }} wb_x;",
    "typedef struct wb_x\n{{\n    {}\n}} wb_x;",
    "typedef struct{{{}}}wb_x;",
])  # fmt: skip
def test_a_struct_is_seen_however_it_is_laid_out(struct, monkeypatch):
    body = "int kh, /* rows; */ n[3]; // of taps; not of columns\n const int16_t *a, *b; wb_y inner;"
    text = struct.format(body) + "\nWB_KERNEL void\nf_f32(const wb_x p,\n  const float *restrict x, float\n *y)\n{}"
    monkeypatch.setattr(declared, "_source", lambda _: text)
    declared.header.cache_clear()
    known = declared.header("x.h")
    declared.header.cache_clear()
    assert known.structs["wb_x"] == {"kh": "int", "n": "int[]", "a": "int16_t*", "b": "int16_t*", "inner": "wb_y"}
    assert list(known.structs["wb_x"]) == ["kh", "n", "a", "b", "inner"]
    assert known.functions["f_f32"] == ("wb_x", "float*", "float*")


def test_a_kernel_without_a_record_is_refused():
    relu = get("nn.relu")
    with pytest.raises(InternalError, match=r"nn\.relu: has no record for the parameters of relu_f32"):
        declared.agree(replace(relu, kernel=replace(relu.kernel, record=None)))


def test_a_kernel_that_no_header_defines_is_refused():
    relu = get("nn.relu")
    with pytest.raises(InternalError, match=r"relu_f32\.h defines no kernel relu_f64"):
        declared.agree(replace(relu, kernel=replace(relu.kernel, function="relu_f64")))

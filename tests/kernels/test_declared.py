"""Records in Python and structs in C agree by name, or nothing loads."""

from dataclasses import fields, make_dataclass, replace

import pytest

import workbench.kernels  # noqa: F401  holds all of them against each other
from workbench.errors import GraphError
from workbench.ir.op import get, registered
from workbench.kernels import declared

RECORDS = [op for op in registered().values() if op.kernel and op.kernel.record]


def without(record: type, name: str) -> type:
    kept = [(each.name, each.type) for each in fields(record) if each.name != name]
    return make_dataclass(record.__name__, kept, frozen=True)


@pytest.mark.parametrize("op", RECORDS, ids=lambda op: op.name)
def test_a_parameter_that_python_lacks_is_named(op):
    for each in fields(op.kernel.record):
        spoiled = replace(op, kernel=replace(op.kernel, record=without(op.kernel.record, each.name)))
        with pytest.raises(GraphError, match=f"has a parameter '{each.name}', .* has none"):
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
            with pytest.raises(GraphError, match=f"has a parameter '{name}', {struct} has none"):
                declared.agree(op)
            monkeypatch.undo()


def test_a_number_in_place_of_a_record_is_refused():
    relu = get("nn.relu")
    with pytest.raises(GraphError, match="'rows' is a record on one side only"):
        wrong = make_dataclass(
            "Wrong", [("channels", int), ("rows", relu.kernel.record), ("columns", int)], frozen=True
        )
        declared.agree(replace(relu, kernel=replace(relu.kernel, record=wrong)))


def test_one_number_in_place_of_several_is_refused():
    transpose = get("transpose")
    wrong = make_dataclass("Wrong", [("n", tuple[int, ...]), ("step", int)], frozen=True)
    with pytest.raises(GraphError, match="'step' is several numbers on one side only"):
        declared.agree(replace(transpose, kernel=replace(transpose.kernel, record=wrong)))


def test_a_kernel_without_a_record_is_refused():
    relu = get("nn.relu")
    with pytest.raises(GraphError, match=r"nn\.relu: has no record for the parameters of relu_f32"):
        declared.agree(replace(relu, kernel=replace(relu.kernel, record=None)))


def test_a_kernel_that_no_header_defines_is_refused():
    relu = get("nn.relu")
    with pytest.raises(GraphError, match=r"relu_f32\.h defines no kernel relu_f64"):
        declared.agree(replace(relu, kernel=replace(relu.kernel, function="relu_f64")))

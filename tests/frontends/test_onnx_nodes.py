"""ONNX's own tests of its operators: what they mean all of them, through emulated C one of each form.

tests/benchmarks/onnx_node_tests.py runs all of them through C.
"""

import pytest

pytest.importorskip("onnx")
from onnx_nodes import OF_CONSTANTS, OPERATORS, Case, difference, emulated, every_case, meant

from workbench import boards

REFUSED: dict[str, tuple[str, ...]] = {  # forms that no operator of ours has: what is said of them
    "Attention": ("lengths and windows", "giving scores that its mask leaves out"),
    "BatchNormalization": ("the statistics of the batch itself",),
    "ConvTranspose": ("works along 3 axes",),
    "MaxPool": ("giving the places",),
    "Pow": ("is supported of exponents",),
    "Resize": ("an antialiased or cropping one",),
}


def of(operator: str) -> list[Case]:
    return [case for case in every_case() if case.operator == operator and not case.skipped]


@pytest.mark.parametrize("operator", sorted({*OPERATORS, *OF_CONSTANTS}))
def test_what_every_test_means(operator):
    """To ONNX's own tolerance; what is refused is known, and less than half of the float32 tests."""
    cases = of(operator)
    refused = [case for case in cases if case.refused]
    known = REFUSED.get(operator, ())
    assert [case.id for case in refused if not any(each in case.refused for each in known)] == []
    assert 2 * len(refused) <= len(cases)
    told = {case.id: difference(case, meant(case)) for case in cases if not case.refused}
    assert {name: each for name, each in told.items() if each} == {}


def one_of_each_form() -> list[Case]:
    """Of each operator one test for each set of attributes and operands that there is: the smallest."""
    chosen: dict[tuple, Case] = {}
    for case in every_case():
        if case.skipped or case.refused or case.graph is None:
            continue
        node = case.model.graph.node[0]
        rank = case.inputs[0].ndim if case.operator.endswith(("Conv", "Pool", "Transpose")) else 0
        told = {each.name for each in node.attribute if case.operator != "Attention" or each.name == "softcap"}
        key = (
            case.operator,
            tuple(sorted(told)),
            len(node.input) if case.operator != "Attention" else 0,
            rank,
            case.given,
        )
        if key not in chosen or len(case.graph.nodes) < len(chosen[key].graph.nodes):
            chosen[key] = case
    return list(chosen.values())


def test_emulated_c_gives_what_the_tests_want(tmp_path):
    cases = one_of_each_form()
    assert len({case.operator for case in cases}) > 60 and len(cases) < 200
    results = emulated(cases, boards.get("virtual-m4"), tmp_path)
    told = {case.id: difference(case, meant(case, results[case.id])) for case in cases}
    assert {name: each for name, each in told.items() if each} == {}

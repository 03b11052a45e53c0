"""What operators' records say of other operators holds: passes, losses and quantization ask these fields, not names."""

import numpy as np
import pytest

from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.objective import LOSSES
from workbench.ops._activation import ACTIVATIONS, BIAS
from workbench.ops._pointwise import FUNCTIONS
from workbench.quantize.post_training import CONVERTERS
from workbench.quantize.quantization import LIMITS, Quantization

OPERATORS = ops.registered()


def having(field: str) -> dict[str, object]:
    return {name: value for name, op in OPERATORS.items() if (value := getattr(op, field)) not in ("", None, False)}


def test_each_loss_has_one_operator():
    assert sorted(having("loss").values()) == sorted(LOSSES)
    assert [ops.of_loss(loss).loss for loss in LOSSES] == list(LOSSES)
    with pytest.raises(GraphError, match="no operator computes the loss 'hinge'"):
        ops.of_loss("hinge")
    with pytest.raises(GraphError):
        ops.of_loss("")


def test_a_layer_can_end_in_each_epilogue_and_no_other():
    assert sorted(having("epilogue").values()) == sorted((BIAS, *ACTIVATIONS))


def test_a_mask_does_what_the_gradient_of_the_clip_does():
    for clip, gradient in having("masked").items():
        by_mask = OPERATORS[OPERATORS[gradient].by_mask]
        x, dy = np.array([-3.0, 0, 0.5, 6, 9]), np.arange(1.0, 6)
        y, mask = OPERATORS[clip].evaluate(x, mask=True)
        assert (by_mask.evaluate(dy, mask) == OPERATORS[gradient].evaluate(dy, y)).all(), clip


def test_every_function_of_one_element_has_a_table():
    assert set(having("function").values()) == set(FUNCTIONS)
    assert {name for name, form in having("int8").items() if form.how == "table"} == set(having("function"))


def test_a_sum_that_can_begin_at_a_value_is_that_much_more():
    rng = np.random.default_rng(0)
    for name, at in having("onto").items():
        op = OPERATORS[name]
        samples = [each for each in op.samples(rng) if len(each.operands) == at + 1]
        assert samples, name
        for each in samples:
            *operands, begin = each.operands
            alone = op.evaluate(*operands, **each.attrs)
            assert np.allclose(op.evaluate(*operands, begin, **each.attrs), alone + begin), name


def test_an_operator_that_adds_does():
    for name in having("adds"):
        assert (OPERATORS[name].evaluate(np.array([1.0, 2]), np.array([3.0, 5])) == [4, 7]).all()


def in_int8(how: str) -> dict[str, ops.Int8Form]:
    return {name: form for name, form in having("int8").items() if form.how == how}


def test_each_int8_form_is_made_in_one_way():
    assert {form.how for form in having("int8").values()} == set(CONVERTERS)
    assert all(form == ops.Int8Form(form.how) for form in having("int8").values()
               if form.how not in ("layer", "of two", "table"))  # fmt: skip
    with pytest.raises(GraphError, match=r"nn\.softmax has no int8 form"):
        _ = OPERATORS["nn.softmax"].needed_int8


def test_the_int8_form_of_a_layer_has_its_window():
    weighted = {name for name, op in OPERATORS.items() if op.parameters.get(1) == "weight" and op.units is None}
    assert set(in_int8("layer")) <= weighted
    for name, form in in_int8("layer").items():
        into = OPERATORS["qnn.transposed_conv2d" if form.transposed else "qnn.conv2d"]
        assert set(form.window) <= set(OPERATORS[name].attrs) & set(into.attrs), name
        assert not form.operator and form.bounded is None


def test_the_int8_form_of_two_computes_the_same():
    a, b, one = np.array([-3, 0, 5], np.int8), np.array([2, 7, -4], np.int8), Quantization(1.0, 0)
    scales = {f"{of}_{what}": getattr(one, what) for of in "aby" for what in ("scale", "zero_point")}
    for name, form in in_int8("of two").items():
        into = OPERATORS[form.operator]
        y = into.evaluate(a, b, **into.complete({"clip": LIMITS, **scales}))
        assert (y == OPERATORS[name].evaluate(a, b)).all(), name


def test_what_takes_int8_unchanged_may_be_given_it():
    for name in in_int8("unchanged"):
        op = OPERATORS[name]
        assert op.view or "int8" in (op.dtypes or {}).get(0, ()), name


def test_a_bounded_table_holds_all_results():
    x = np.linspace(-100, 100, 2001)
    bounded = {name: Quantization(*form.bounded) for name, form in in_int8("table").items() if form.bounded}
    assert bounded
    for name, of_y in bounded.items():
        real = (of_y.all_stored(y := OPERATORS[name].evaluate(x)) - float(of_y.zero_point)) * of_y.scale
        assert np.abs(real - y).max() <= of_y.scale, name

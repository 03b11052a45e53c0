"""What operators' records say of other operators holds: passes, losses and quantization ask these fields, not names."""

import numpy as np
import pytest

from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.objective import LOSSES
from workbench.ops._activation import ACTIVATIONS, BIAS
from workbench.ops._int8_functions import FUNCTIONS
from workbench.quantize import emit

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
    assert sorted(having("function").values()) == sorted(FUNCTIONS)
    assert {name for name, how in emit.FORMS.items() if how == emit.TABLE} == set(having("function"))


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


def test_every_int8_form_is_that_of_an_operator_there_is():
    assert set(emit.FORMS) | set(emit.OF_BOUNDED) <= set(OPERATORS)
    assert all(set(form.window) <= set(OPERATORS[name].attrs) for name, form in emit.LAYERS.items())
    weighted = {name for name, op in OPERATORS.items() if op.parameters.get(1) == "weight" and op.units is None}
    assert set(emit.LAYERS) <= weighted

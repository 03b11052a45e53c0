"""multiply-add: what each of the four policies drops, and that what it trains comes to what the data was made of."""

import numpy as np
import pytest

import workbench
from workbench import frontends
from workbench.autodiff import differentiate
from workbench.frontends.zoo import multiply_add
from workbench.ir.diff import print_difference
from workbench.objective import MSE, VALUES
from workbench.passes.apply_policy import apply_policy

POLICIES = {  # what the gradients read of x, and the rows of the weight that are updated
    "full": ("multiply", 10),
    "bias-only": (None, 0),
    "sparse-layer": ("multiply", 10),
    "sparse-tensor": ("strided_slice", 5),
}


def backward(policy):
    model = frontends.load("multiply-add")
    marked = apply_policy(model.graph, model.policy(policy))
    return differentiate(marked, [name for name in marked.parameters if marked.types[name].needs_grad])[0]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_a_policy_saves_of_the_input(policy):
    graph, (reader, rows) = backward(policy), POLICIES[policy]
    readers = [graph.nodes[at] for at in graph.analysis.readers["input0"]][1:]
    assert [node.op for node in readers] == [reader] * (reader is not None)
    assert graph.types["multiply.weight"].needs_grad == {0: False, 5: (1, 5), 10: True}[rows]


def test_what_is_dropped_stands_behind_a_number_sign():
    lines = print_difference(backward("full"), backward("bias-only")).splitlines()
    (dropped,) = [line for line in lines if line.strip().startswith("#")]
    assert "multiply(%grad_output, %input0)" in dropped and "d.multiply.weight" in dropped


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_trained_comes_to_what_the_data_was_made_of(policy):
    """The weight by least squares; what the policy leaves stays 1."""
    x, y = (each - each.mean(0) for each in multiply_add.data())
    fitted = (x * y).sum(0) / (x * x).sum(0)
    run = workbench.run("multiply-add", policy=policy, epochs=2, lr=5.0, trace="off")
    rows = POLICIES[policy][1]
    trained = run.weights["multiply.weight"][0]
    assert (trained[rows:] == 1).all()
    assert np.abs(trained - fitted)[:rows].sum() <= np.abs(1 - fitted)[:rows].sum() / 5
    assert (run.weights["add.bias"] != 0).all() == (policy != "sparse-layer")


def test_it_is_trained_on_its_own_targets():
    aim = frontends.load("multiply-add").objective()
    assert (aim.loss, aim.target) == (MSE, VALUES)

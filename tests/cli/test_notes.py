"""Notes below a run: when they are due, and the numbers in them."""

from workbench.cli.notes import epoch_note, origins, training_note


def meta(losses, **more):
    return {"loss": losses, "steps": len(losses), "batch": 1, "accumulate": 1, "data": "digits",
            "accuracy": {"before": 0.1, "after": 0.2}} | more  # fmt: skip


def falling(first, last, steps=40):
    return [first + (last - first) * at / (steps - 1) for at in range(steps)]


def test_a_loss_that_did_not_fall_names_the_rate_it_was_stepped_with():
    words = "the loss did not fall: 2.00 → 2.96; a smaller --lr often helps"
    assert training_note(meta([2.0] * 4 + falling(2.1, 3, 36)), 0.02) == f"{words} (lr 0.02)"
    heavy = meta([2.0] * 4 + falling(2.1, 3, 36), momentum=0.9)
    assert training_note(heavy, 0.02) == f"{words} (lr 0.02, momentum 0.9 steps like lr 0.2)"


def test_a_loss_that_is_no_number_any_more_is_told_however_few_steps():
    told = "the loss stopped being a number; a smaller --lr often helps (lr 3)"
    assert training_note(meta([2.3, None]), 3.0) == told


def test_a_loss_that_exploded_is_told_however_few_steps():
    assert training_note(meta([2.3, 4e7]), 3.0).startswith("training diverged: 2.30 → 4.0e+07; a smaller --lr")
    assert training_note(meta([0.001, 0.9]), 3.0) is None  # an easy sample, then a hard one


def test_no_note_where_it_fell_or_too_few_steps_say_nothing():
    assert training_note(meta(falling(2.3, 1.1)), 0.02) is None
    assert training_note(meta(falling(1.1, 2.3, 19)), 0.02) is None


def test_accuracies_before_the_first_epoch_is_over():
    rest = "of an epoch: accuracies say little yet; --epochs 1 or more"
    assert epoch_note(meta([1.0] * 50)) == f"50 steps are 3.5 % {rest}"
    assert epoch_note(meta([1.0] * 50, batch=4, accumulate=2)) == f"50 steps are 28 % {rest}"
    assert epoch_note(meta([1.0])) == f"1 step is 0.07 % {rest}"
    assert epoch_note(meta([1.0] * 1437)) is None
    assert epoch_note(meta([1.0] * 88, batch=16)) is not None and epoch_note(meta([1.0] * 89, batch=16)) is None
    assert epoch_note(meta([1.0], accuracy=None)) is None


def test_random_samples_and_foreign_weights_are_told():
    random = "random samples: the loss tells nothing about learning"
    assert origins(meta([1.0])) == {}
    made_up = meta([1.0], data=None, model="mcunet-5fps", seed=3)
    assert origins(made_up) == {"data": random, "weights": "synthetic, of seed 3"}
    assert origins(made_up | {"model": "mine"}) == {"data": random}
    assert origins(made_up | {"weights_from": "a.tflite"}) == {"data": random, "weights": "from a.tflite"}
    assert origins(meta([1.0], weights_from="mine.npz")) == {"weights": "from mine.npz"}

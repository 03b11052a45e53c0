"""What from_torch tells of a module that evaluation mode makes another of, and of nothing else."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn


class Functional(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.1, self.training)


def notes_of(*layers):
    from workbench.frontends.torch import from_torch

    return from_torch(nn.Sequential(nn.Linear(4, 4), *layers), torch.zeros(1, 4)).notes


@pytest.mark.parametrize("layer", [nn.Dropout(0.1), Functional(), nn.BatchNorm1d(4)], ids=lambda x: type(x).__name__)
def test_training_mode_is_told_where_it_matters(layer):
    assert "was in training mode" in notes_of(layer)[0]


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.Dropout(0), Functional().eval()], ids=["relu", "none", "evaluated"])
def test_it_is_not_told_where_it_does_not(layer):
    assert notes_of(layer) == ()


def test_norms_that_saw_no_data_are_told_by_name():
    norm = nn.BatchNorm1d(4)
    assert any("saw no data, 1:" in note for note in notes_of(norm))
    norm(torch.randn(8, 4))
    assert not any("saw no data" in note for note in notes_of(norm))


def test_parameters_that_require_no_gradient_are_told():
    assert notes_of(nn.Linear(4, 2)) == ()
    (note,) = notes_of(nn.Linear(4, 2).requires_grad_(False))
    assert "2 parameters that require no gradient, 1.weight for one" in note and "as-given" in note


def test_arrays_as_data_show_as_their_shape():
    from workbench.frontends.torch import from_torch

    model = from_torch(nn.Linear(4, 2), torch.zeros(1, 4), data=(np.zeros((8, 4), np.float32), np.arange(8) % 2))
    assert "[" not in repr(model).splitlines()[0]

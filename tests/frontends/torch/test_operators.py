"""Every operator that is imported, with every option it has: the network gives what the module gives, for any batch."""

import pytest

pytest.importorskip("torch")
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch_modules import Each, Of, differences, drawn, sample

from workbench.frontends.torch import OPERATORS
from workbench.frontends.torch.export import exported

aten = torch.ops.aten
MASK = torch.tensor([[True, False, True, True], [True, True, False, True], [False, True, True, True]])


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape))


def images() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """(N, 4, 7, 6)"""
    cases = {
        "convolutions": Each(
            nn.Conv2d(4, 3, 3),
            nn.Conv2d(4, 3, (3, 2), (2, 1), (1, 0), bias=False),
            nn.Conv2d(4, 8, 3, groups=2),
            nn.Conv2d(4, 4, 3, groups=4, padding=1),
            nn.Conv2d(4, 2, 2, dilation=(3, 2)),
            nn.Conv2d(4, 2, 1, stride=5),
            nn.Conv2d(4, 2, 3, padding="same", dilation=2),
            nn.Conv2d(4, 2, (2, 4), padding="same"),
            nn.Conv2d(4, 2, 3, padding="valid"),
            nn.Conv2d(4, 2, 7, padding=3),
            nn.Conv2d(4, 2, (7, 6)),
        ),
        "transposed convolutions": Each(
            nn.ConvTranspose2d(4, 3, 3),
            nn.ConvTranspose2d(4, 3, (2, 3), (2, 3), bias=False),
            nn.ConvTranspose2d(4, 6, 3, groups=2),
            nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1, groups=4),
            nn.ConvTranspose2d(4, 2, 3, (3, 2), (1, 0), output_padding=(2, 1)),
            nn.ConvTranspose2d(4, 2, 2, dilation=2),
            nn.ConvTranspose2d(4, 2, 1, stride=3, output_padding=(0, 2)),
            nn.ConvTranspose2d(4, 2, 3, 2, (2, 2)),
        ),
        "poolings": Each(
            nn.MaxPool2d(2),
            nn.MaxPool2d(3, (2, 1), 1),
            nn.MaxPool2d((2, 3), 2, (0, 1), ceil_mode=True),
            nn.MaxPool2d(2, 3, ceil_mode=True),
            nn.MaxPool2d(1, 2, ceil_mode=True),
            nn.MaxPool2d((7, 6)),
            nn.AvgPool2d(2),
            nn.AvgPool2d(3, (2, 1), 1),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False),
            nn.AvgPool2d(2, 2, ceil_mode=True),
            nn.AvgPool2d(2, 3, ceil_mode=True),
            nn.AvgPool2d((7, 6)),
            nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
            nn.AvgPool2d(1, 4),
        ),
        "adaptive poolings": Each(
            nn.AdaptiveAvgPool2d(1),
            nn.AdaptiveAvgPool2d((7, 3)),
            nn.AdaptiveAvgPool2d((None, 2)),
            nn.AdaptiveAvgPool2d((1, 6)),
            nn.AdaptiveMaxPool2d(1),
            nn.AdaptiveMaxPool2d((7, 2)),
            lambda x: aten._adaptive_avg_pool2d.default(x, [1, 2]),
            lambda x: aten.max_pool2d_with_indices.default(x, [2, 2], [2, 1], [1, 0], 1, True)[0],
            lambda x: F.interpolate(x, scale_factor=2),
            lambda x: F.interpolate(x, size=(7, 18)),
            lambda x: aten.upsample_nearest2d.default(x, [14, 6]),
            nn.UpsamplingNearest2d(scale_factor=3),
        ),
        "norms": Each(
            nn.BatchNorm2d(4),
            nn.BatchNorm2d(4, affine=False, eps=0.1),
            nn.GroupNorm(2, 4),
            nn.GroupNorm(4, 4, 0.1),
            nn.GroupNorm(1, 4, affine=False),
            nn.LayerNorm((4, 7, 6)),
            nn.LayerNorm((7, 6), elementwise_affine=False),
            nn.LayerNorm(6, 0.1),
            nn.LayerNorm(6, bias=False),
            nn.Sequential(nn.Conv2d(4, 3, 2), nn.BatchNorm2d(3)),
            nn.Sequential(nn.Conv2d(4, 3, 2, bias=False), nn.BatchNorm2d(3, affine=False)),
            nn.Sequential(nn.ConvTranspose2d(4, 3, 2), nn.BatchNorm2d(3)),
        ),
        "padding and parts": Each(
            nn.ZeroPad2d((1, 2, 0, 3)),
            lambda x: F.pad(x, (-1, 2, 1, -2)),
            lambda x: F.pad(x, (1, 1), value=-1.5),
            lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)),
            lambda x: F.pad(x, (-1, -1, -2, -2, -1, -1)),
            lambda x: aten.constant_pad_nd.default(x, [1, 0, 0, -1], 2.0),
            lambda x: x[:, 1],
            lambda x: x[:, -1],
            lambda x: x[..., -1],
            lambda x: x[:, :, 2],
            lambda x: x[:, 1:3],
            lambda x: x[:, :, 1:-1, ::2],
            lambda x: x[:, -3:-1],
            lambda x: x[..., 1::3],
            lambda x: x[:, ::2, ::3, ::4],
            lambda x: x[:, 1:999],
            lambda x: x[:, None, :, 0],
        ),
        "splitting and joining": Each(
            lambda x: torch.split(x, 2, 1)[1],
            lambda x: torch.split(x, 3, 2)[2],
            lambda x: torch.split(x, [1, 3], 1)[1],
            lambda x: x.chunk(2, 1)[1] - x.chunk(2, 1)[0],
            lambda x: x.chunk(4, -1)[2],
            lambda x: x.unbind(1)[3],
            lambda x: torch.stack(x.unbind(-1), 1),
            lambda x: torch.stack([x, 2 * x], -1),
            lambda x: torch.stack([x], 1),
            lambda x: torch.cat([x, x * x, 1 - x], 1),
            lambda x: torch.cat([x, x], -1),
            lambda x: x.unbind(-2)[-1],
            Of(lambda x, w: torch.cat([x, w.expand(x.shape[0], 2, 7, 6)], 1), w=weight(1, 2, 1, 1)),
            lambda x: torch.cat([x.new_zeros(x.shape[0], 1, 7, 6), x], 1),
            lambda x: x.flip(1, -1),
            lambda x: torch.stack([torch.ones(x.shape), x], 1),
            Of(lambda x, w: w.expand(x.shape[0], 3, 4) @ x.flatten(2), w=weight(1, 3, 4)),
            Of(lambda x, w: torch.cat([w.repeat(x.shape[0], 1, 1), x[:, 0]], 1), w=weight(3, 6)),
            Of(
                lambda x, w: F.scaled_dot_product_attention(w.expand(x.shape[0], 2, 6), x[:, 0], x[:, 1]),
                w=weight(2, 6),
            ),
        ),
        "shapes": Each(
            lambda x: x.view(x.shape[0], 2, -1),
            lambda x: x.reshape(-1, 28, 6) * 2,
            lambda x: x.flatten(1, 2),
            lambda x: x.flatten(2),
            lambda x: x.unsqueeze(1),
            lambda x: x.unsqueeze(-1),
            lambda x: x[:, :1].squeeze(1),
            lambda x: x[:, :1, :1].squeeze((1, 2)),
            lambda x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1),
            lambda x: x.permute(0, 2, 3, 1),
            lambda x: x.permute(0, -1, 1, -2).contiguous(),
            lambda x: x.transpose(1, 3),
            lambda x: x.swapaxes(-1, -2).reshape(x.size(0), -1),
            lambda x: x.mT,
            lambda x: x.unflatten(1, (2, 2)),
            lambda x: x[:, :1].expand(-1, 3, 7, 6),
            lambda x: x[:, :1].expand_as(x),
            lambda x: x.repeat(1, 2, 1, 3),
            lambda x: x.tile(2, 1),
            lambda x: x[:, :, :1].expand(x.shape[0], 4, 5, 6),
            nn.PixelShuffle(2),
            nn.ChannelShuffle(2),
            lambda x: x.movedim(1, -1),
            lambda x: x.narrow(2, 1, 3),
        ),
        "means and sums": Each(
            lambda x: x.mean((2, 3)),
            lambda x: x.mean(1),
            lambda x: x.mean((1, 3), keepdim=True),
            lambda x: x.sum(-1),
            lambda x: x.sum((1, 2, 3))[:, None],
            lambda x: x.mean((-3, -2, -1)).unsqueeze(1),
            lambda x: x.sum((1, 2), keepdim=True),
            lambda x: x.sum(1) / 2,
            lambda x: x.mean((1, 2, 3))[:, None],
        ),
        "softmaxes": Each(
            nn.Softmax(1),
            nn.Softmax2d(),
            nn.Softmax(-1),
            lambda x: F.softmax(x, 2),
            nn.LogSoftmax(1),
            nn.LogSoftmax(3),
            lambda x: aten._softmax.default(x, 1, False),
            lambda x: aten._log_softmax.default(x, -1, False),
            nn.Softmin(1),
        ),
    }
    return {name: (module, (4, 7, 6)) for name, module in cases.items()}


def lines() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """(N, 4, 9)"""
    cases = {
        "convolutions of a line": Each(
            nn.Conv1d(4, 3, 3),
            nn.Conv1d(4, 3, 2, 2, bias=False),
            nn.Conv1d(4, 8, 3, padding=2, groups=4),
            nn.Conv1d(4, 2, 3, padding="same", dilation=2),
            nn.Conv1d(4, 2, 4, padding="same"),
            nn.Conv1d(4, 1, 9),
            nn.Conv1d(4, 2, 2, dilation=5),
            nn.Conv1d(4, 2, 1, stride=4),
            nn.Conv1d(4, 2, 2, padding="valid"),
            nn.ConvTranspose1d(4, 3, 3),
            nn.ConvTranspose1d(4, 3, 2, 2, bias=False),
            nn.ConvTranspose1d(4, 4, 3, 3, 1, 2),
            nn.ConvTranspose1d(4, 4, 3, 2, 1, output_padding=1, groups=2),
            nn.ConvTranspose1d(4, 2, 2, dilation=3),
        ),
        "poolings and norms of a line": Each(
            nn.MaxPool1d(2),
            nn.MaxPool1d(3, 2, 1),
            nn.MaxPool1d(2, ceil_mode=True),
            nn.AvgPool1d(3),
            nn.AvgPool1d(3, 2, 1),
            nn.AvgPool1d(2, 2, ceil_mode=True),
            nn.AvgPool1d(3, 2, 1, count_include_pad=False),
            nn.AdaptiveAvgPool1d(3),
            nn.AdaptiveAvgPool1d(1),
            nn.AdaptiveMaxPool1d(3),
            nn.BatchNorm1d(4),
            nn.BatchNorm1d(4, affine=False),
            nn.GroupNorm(2, 4),
            nn.LayerNorm(9),
            nn.LayerNorm((4, 9)),
            nn.Sequential(nn.Conv1d(4, 3, 2), nn.BatchNorm1d(3)),
            nn.Sequential(nn.Conv1d(4, 3, 2, bias=False), nn.BatchNorm1d(3)),
            nn.Sequential(nn.ConvTranspose1d(4, 3, 2), nn.BatchNorm1d(3)),
        ),
        "products": Each(
            Of(lambda x, w: x @ w, w=weight(9, 2)),
            Of(lambda x, w: w @ x, w=weight(3, 4)),
            Of(lambda x, w: x @ w, w=weight(9)),
            Of(lambda x, w: w @ x, w=weight(4)),
            Of(lambda x, w: x.flatten(1) @ w, w=weight(36, 3)),
            Of(lambda x, w: (x.flatten(1) @ w)[:, None], w=weight(36)),
            Of(lambda x, w: x @ w, w=weight(1, 9, 2)),
            Of(lambda x, w: x[:, None] @ w, w=weight(2, 9, 3)),
            Of(lambda x, w: w.T @ x, w=weight(4, 3)),
            Of(lambda x, c: x @ c, c=torch.ones(9, 2)),
            lambda x: x @ x.mT,
            lambda x: x.mT @ x,
            lambda x: torch.bmm(x, x.mT),
            lambda x: x[:, None] @ x[:, :, :, None],
            Of(lambda x, w, b: torch.addmm(b, x.flatten(1), w), w=weight(36, 2), b=weight(2)),
            Of(lambda x, w: torch.mm(x.flatten(1), w), w=weight(36, 2)),
            Of(lambda x, w: x.flatten(1) @ (w @ w), w=weight(36, 36)),
            Of(lambda x, w: torch.einsum("nct,cd->ndt", x, w), w=weight(4, 2)),
            Of(lambda x, w, b: aten.addmm.default(b, x.flatten(1), w), w=weight(36, 2), b=weight(1, 2)),
        ),
        "layers": Each(
            nn.Linear(9, 3),
            nn.Linear(9, 1, bias=False),
            nn.Sequential(nn.Flatten(), nn.Linear(36, 3)),
            nn.Dropout(),
            nn.Sequential(nn.Flatten(), nn.Linear(36, 3, bias=False), nn.BatchNorm1d(3)),
            nn.Identity(),
            nn.Dropout1d(),
            nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.BatchNorm1d(3, affine=False)),
            nn.AlphaDropout(),
            lambda x: x.clone(),
            lambda x: x.detach(),
            aten.alias.default,
            lambda x: x.float(),
            lambda x: x.to(torch.float64).float(),
            lambda x: x.contiguous() + 1,
        ),
        "attention": Each(
            lambda x: F.scaled_dot_product_attention(x, x, x),
            lambda x: F.scaled_dot_product_attention(x, 2 * x, x, scale=0.3),
            lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
            lambda x: F.scaled_dot_product_attention(x[:, :3], x, x, is_causal=True),
            Of(lambda x, mask: F.scaled_dot_product_attention(x[:, :3], x, x, mask), mask=MASK),
            Of(
                lambda x, mask: F.scaled_dot_product_attention(x[:, :3], x, x, mask),
                mask=torch.where(MASK, 0, -torch.inf),
            ),
            Of(lambda x, mask: F.scaled_dot_product_attention(x[:, :3], x, x, mask), mask=torch.randn(1, 3, 4)),
            lambda x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None]),
            lambda x: F.scaled_dot_product_attention(x.mT, x.mT, x.mT[..., :2]),
            Of(
                lambda x, a: a(x.mT, x.mT, x.mT, need_weights=False)[0], a=nn.MultiheadAttention(4, 2, batch_first=True)
            ),
            Of(lambda x, a: torch.cat(a(x.mT, x.mT, x.mT), -1), a=nn.MultiheadAttention(4, 1, batch_first=True)),
            Of(
                lambda x, a: a(x.permute(2, 0, 1), x.permute(2, 0, 1), x.permute(2, 0, 1), need_weights=False)[
                    0
                ].transpose(0, 1),
                a=nn.MultiheadAttention(4, 4, bias=False),
            ),
        ),
        "transformers": Each(
            Of(lambda x, a: a(x.mT), a=nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)),
            Of(
                lambda x, a: a(x.mT),
                a=nn.TransformerEncoderLayer(4, 1, 5, activation="gelu", batch_first=True, norm_first=True),
            ),
        ),
        "recurrent layers": Each(
            Of(lambda x, cell: cell(x[:, :2])[0], cell=nn.GRU(9, 3, batch_first=True)),
            Of(lambda x, cell: cell(x[:, :2])[0], cell=nn.LSTM(9, 3, batch_first=True, bidirectional=True)),
        ),
        "cells": Each(
            Of(lambda x, cell: cell(x[:, 0], x[:, 1, :3]), cell=nn.GRUCell(9, 3)),
            Of(lambda x, cell: cell(x[:, 0])[1], cell=nn.LSTMCell(9, 3)),
            Of(lambda x, cell: cell(x)[0], cell=nn.RNN(9, 3, batch_first=True)),
            Of(lambda x, cell: cell(x[:, 0]), cell=nn.RNNCell(9, 3)),
            Of(lambda x, cell: cell(x)[0], cell=nn.RNN(9, 3, nonlinearity="relu", batch_first=True)),
        ),
    }
    return {name: (module, (4, 9)) for name, module in cases.items()}


def rows() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """(N, 4)"""
    cases = {
        "activations": Each(
            nn.ReLU(),
            nn.ReLU6(),
            nn.Sigmoid(),
            nn.Tanh(),
            nn.Hardswish(),
            nn.Hardsigmoid(),
            nn.SiLU(),
            nn.GELU(),
            nn.GELU("tanh"),
            nn.LeakyReLU(),
            nn.LeakyReLU(0.3),
            nn.ELU(),
            nn.ELU(0.5),
            nn.Softplus(),
            nn.Hardtanh(),
            nn.Hardtanh(-0.3, 0.2),
            nn.Hardtanh(0, 6),
            nn.Mish(),
            nn.LogSigmoid(),
            nn.Softsign(),
            nn.Tanhshrink(),
            lambda x: x.clamp(-0.5, 0.5),
            lambda x: x.clamp(min=0),
            lambda x: x.clamp(max=0.1),
            lambda x: x.clamp(0, 6),
            lambda x: x.clamp_min(-0.2),
            lambda x: x.clip(0.1),
            lambda x: F.softplus(x, 2.0),
            nn.GLU(),
        ),
        "elementwise": Each(
            lambda x: x.exp(),
            lambda x: x.abs(),
            lambda x: (x.abs() + 1).log(),
            lambda x: x.abs().sqrt(),
            lambda x: -x,
            lambda x: (x * x + 1).rsqrt(),
            lambda x: 1 / (x * x + 1),
            lambda x: (x + 9).reciprocal(),
            lambda x: x**2,
            lambda x: x**3,
            lambda x: (x + 9) ** 0.5,
            lambda x: (x + 9) ** -0.5,
            lambda x: x.square(),
            lambda x: x.pow(1),
            lambda x: x.pow(4),
            lambda x: (x + 9) ** -1,
            lambda x: (x + 9) ** -2,
            lambda x: torch.maximum(x, 0.5 * x + 0.1),
            lambda x: torch.minimum(x, x * x),
            lambda x: x + 3,
            lambda x: 3 - x,
            lambda x: x - 3,
            lambda x: x / 3,
            lambda x: x * 0.1,
            lambda x: 2 / (x + 9),
            lambda x: torch.add(x, x, alpha=3),
            lambda x: torch.sub(x, x * x, alpha=0.5),
            lambda x: torch.rsub(x, 2, alpha=3),
            lambda x: torch.rsub(x, x * x),
            lambda x: x / (x * x + 1),
            lambda x: torch.div(x, 4),
            lambda x: x.add(1, alpha=2),
            lambda x: aten.add.Scalar(x, 2),
            lambda x: aten.sub.Scalar(x, 2),
            lambda x: aten.mul.Scalar(x, 2),
            lambda x: aten.div.Scalar(x, 7),
            lambda x: aten.rsub.Scalar(x, 2),
            lambda x: aten.rsub.Tensor(x, 2 * x),
            lambda x: aten.div.Tensor_mode(x, 2 + x * x, rounding_mode=None),
            lambda x: x / torch.linalg.vector_norm(x, dim=1, keepdim=True),
            Of(lambda x, w: x * w.mean(), w=weight(4)),
            lambda x: x + True,
            lambda x: x.addcmul(x, x, value=2),
            lambda x: torch.lerp(x, 2 * x, 0.3),
        ),
        "broadcasts": Each(
            Of(lambda x, w: x + w, w=weight(4)),
            Of(lambda x, w: w - x, w=weight(1)),
            Of(lambda x, w: x[:, None] * w, w=weight(3, 1)),
            Of(lambda x, w: x[..., None] / w, w=weight(4, 5)),
            Of(lambda x, c: c - x, c=torch.ones(4)),
            lambda x: x[:, :1] + x,
            lambda x: x[:, None] + x[:, :, None],
            Of(lambda x, w: x[:, None, None] + w, w=weight(2, 1, 1, 4)[0]),
            Of(lambda x, w: x * w, w=weight()),
            Of(lambda x, c: x * c, c=torch.tensor(3.0)),
            lambda x: x + torch.arange(4),
            lambda x: x + torch.ones(x.shape[0], 4) * 2,
            lambda x: x + torch.full((4,), 2.0).cumsum(0),
        ),
        "masks": Each(
            Of(lambda x, mask: x[:, None].masked_fill(mask, 7.0), mask=MASK),
            Of(lambda x, mask: x[:, None].masked_fill(mask, -torch.inf).softmax(-1), mask=~MASK),
            Of(lambda x, mask: x.masked_fill(mask, 0), mask=MASK[:1]),
            Of(lambda x, mask: x.masked_fill(mask, torch.tensor(2.0)), mask=MASK[0]),
            Of(lambda x, mask: torch.where(mask, x, 2.0), mask=MASK[0]),
            Of(lambda x, mask: torch.where(mask, x * x, x), mask=MASK[0]),
            lambda x: torch.tril(x[:, None] * x[:, :, None]),
        ),
    }
    cases |= {
        "a softmax at the end": nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)),
        "a log-softmax at the end": nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(-1)),
        "a sigmoid at the end": nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()),
        "one value a sample": Of(lambda x, w: x @ w, w=weight(4)),
    }
    return {name: (module, (4,)) for name, module in cases.items()}


def indices() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """(N, 6) of int64"""
    table = nn.Embedding(5, 3)
    return {
        "embeddings": (
            Each(
                table,
                nn.Embedding(5, 2, padding_idx=1),
                Of(lambda x, e: e(x).mean(1), e=nn.Embedding(5, 4)),
                Of(lambda x, e: e(x.view(-1, 2, 3)).sum(1), e=nn.Embedding(5, 4)),
                Of(lambda x, e: e(x[:, 0]), e=nn.Embedding(5, 4)),
                Of(lambda x, e: e(x) @ e.weight.T, e=nn.Embedding(5, 4)),
            ),
            (6,),
        ),
    }


def recurrent() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """(N, 4, 9): of several layers, both ways, other axes."""
    both = {"batch_first": True, "bidirectional": True}
    cases = {
        "GRU of two layers": Of(lambda x, cell: cell(x)[1].transpose(0, 1), cell=nn.GRU(9, 2, 2, **both)),
        "LSTM of two layers": Of(lambda x, cell: cell(x)[1][1].transpose(0, 1), cell=nn.LSTM(9, 2, 2, **both)),
        "LSTM with a projection": Of(
            lambda x, cell: cell(x.transpose(0, 1))[0].transpose(0, 1), cell=nn.LSTM(9, 2, bias=False, proj_size=1)
        ),
    }
    return {name: (module, (4, 9)) for name, module in cases.items()}


CASES = images() | lines() | rows() | indices()
LONG = recurrent()
FURTHER = ("adaptive poolings", "broadcasts", "cells", "convolutions of a line", "masks", "products", "shapes",
           "transformers")  # fmt: skip


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.long) if name in FURTHER else name for name in CASES
])  # fmt: skip
def test_a_network_gives_what_the_module_gives(name):
    module, shape = CASES[name]
    assert differences(drawn(module), shape) == []


@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_a_large_network_gives_what_the_module_gives(name):
    module, shape = LONG[name]
    assert differences(drawn(module), shape) == []


@pytest.mark.long
def test_every_operator_is_in_a_case():
    met = set()
    for module, shape in CASES.values():
        program = exported(drawn(module), sample(module, shape, 1), "net").program
        met |= {str(node.target).removeprefix("aten.") for node in program.graph.nodes}
    assert set(OPERATORS) - met == set()

"""PyTorch modules of few operators, and what the networks made of them give against PyTorch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from workbench.frontends.model import Model
from workbench.frontends.torch import from_torch
from workbench.ir.interpret import interpret

RELATIVE = 1e-6  # of the largest number that a part gives


class Of(nn.Module):
    """A function of the input as a module; `held`: tensors, parameters and modules that it takes too, by name."""

    def __init__(self, function: Callable, **held) -> None:
        super().__init__()
        self.function, self.names = function, tuple(held)
        for name, each in held.items():
            if isinstance(each, torch.Tensor) and not isinstance(each, nn.Parameter):
                self.register_buffer(name, each)
            else:
                setattr(self, name, each)

    def forward(self, x):
        return self.function(x, **{name: getattr(self, name) for name in self.names})


class Each(nn.Module):
    """What several modules and functions give of one input, side by side: one export instead of many."""

    def __init__(self, *parts: nn.Module | Callable) -> None:
        super().__init__()
        self.parts = nn.ModuleList(part if isinstance(part, nn.Module) else Of(part) for part in parts)

    def forward(self, x):
        return torch.cat([part(x).flatten(1) for part in self.parts], 1)


def drawn(module: nn.Module, seed: int = 0) -> nn.Module:
    """Its parameters and statistics, none of them 0 or 1, in evaluation mode."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            for name, each in [*part._parameters.items(), *part._buffers.items()]:
                if each is not None and each.is_floating_point():
                    if name == "running_var":
                        each.uniform_(0.5, 2, generator=draw)
                    elif each.numel() and name not in ("mask", "constant"):
                        each.normal_(generator=draw).div_(2)
    return module.eval()


def given(model: Model, x: np.ndarray) -> np.ndarray:
    graph = model.inference or model.graph
    return interpret(graph, {**model.weights, graph.inputs[0]: x})[graph.outputs[0]]


def sample(module: nn.Module, shape: tuple[int, ...], batch: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers; indices where the module embeds them."""
    draw = torch.Generator().manual_seed(seed)
    if any(isinstance(each, nn.Embedding) for each in module.modules()):
        return torch.randint(0, 5, (batch, *shape), generator=draw)
    return torch.randn(batch, *shape, generator=draw)


def differences(module: nn.Module, shape: tuple[int, ...], **how) -> list[str]:
    """Where a network of one sample, and the same with a batch of three, differ from the module."""
    model, told = from_torch(module, sample(module, shape, 1), name="net", **how), []
    for batch in (1, 3):
        x = sample(module, shape, batch, seed=batch)
        with torch.no_grad():
            wanted = module.double()(x if x.dtype == torch.int64 else x.double()).numpy()
            module.float()
        got = given(model.with_batch(batch), x.numpy())
        if got.shape not in (wanted.shape, (*wanted.shape, 1)):
            told.append(f"batch {batch}: {got.shape}, wanted {wanted.shape}")
            continue
        got, ends = got.reshape(wanted.shape), [wanted.shape[-1]]
        if isinstance(module, Each):
            ends = np.cumsum([part(x[:1]).numel() for part in module.parts]).tolist()
        for at, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
            ours, theirs = got[..., begin:end], wanted[..., begin:end]
            worst = float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30))
            if not worst <= RELATIVE:
                told.append(f"batch {batch}, part {at}: differs by {worst:.1e}")
    return told

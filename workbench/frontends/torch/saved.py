"""Trained weights back in PyTorch: as a state dict under the module's own names, in the module, in a .pt2 file."""

import io
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.errors import ModelError
from workbench.frontends.origin import Origin, read_whole
from workbench.frontends.torch import archive


def aliases_of(state: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """All names of each tensor that has several, by each of them."""
    names: dict[tuple, list[str]] = {}
    for name, each in state.items():
        if isinstance(each, torch.Tensor) and each.numel():
            names.setdefault((each.data_ptr(), tuple(each.shape), each.stride()), []).append(name)
    return {name: tuple(group) for group in names.values() if len(group) > 1 for name in group}


def packed(state: Mapping[str, Any]) -> bytes:
    """Its tensors as torch.save writes them."""
    content = io.BytesIO()
    torch.save({name: each.detach().cpu() for name, each in state.items() if isinstance(each, torch.Tensor)}, content)
    return content.getvalue()


def state_dict(origin: Origin, weights: Mapping[str, np.ndarray], content: bytes | None = None) -> dict[str, Any]:
    """Every entry of the module's state dict, those that were trained with their new values.

    `content`: of the file (None: it is read).
    """
    state = dict(_program(origin, content).state_dict) if origin.path else _loaded(origin.snapshot)
    state = {name: each.detach().clone() if isinstance(each, torch.Tensor) else each for name, each in state.items()}
    for name, values in origin.tensors(weights, _Arrays(state)).items():
        state[name] = torch.from_numpy(values).to(state[name].dtype)
    if origin.module is not None:  # what is no tensor, in the module's own order
        state = {name: state.get(name, each) for name, each in origin.module.state_dict().items()}
    return state


def module_of(origin: Origin, weights: Mapping[str, np.ndarray]) -> Any:
    """A copy of the module with the trained tensors; of a file the exported program."""
    if origin.path:
        return _trained(origin, weights, None)
    if origin.module is None:
        raise ModelError(f"the module {origin.name} stayed in another process", "state_dict() gives its tensors")
    copy = deepcopy(origin.module)
    copy.load_state_dict(state_dict(origin, weights))
    return copy


def program_of(origin: Origin, weights: Mapping[str, np.ndarray], content: bytes) -> bytes:
    """The .pt2 file with the trained tensors."""
    written = io.BytesIO()
    torch.export.save(_trained(origin, weights, content), written)
    return written.getvalue()


def read(path: str | Path, origin: Origin) -> dict[str, np.ndarray]:
    """The parameters that a state dict in a .pt file makes. Raises ModelError for one of another module."""
    try:
        state = _loaded(read_whole(Path(path)))
    except OSError:
        raise
    except Exception as error:  # whatever torch's reader makes of a damaged or foreign file
        first = (str(error).strip().splitlines() or [""])[0][:120]
        raise ValueError(f"it is no state dict that torch.load reads with weights_only: {first}") from None
    if not isinstance(state, Mapping):
        raise ValueError("it holds no state dict")
    own = dict(_program(origin, None).state_dict) if origin.path else _loaded(origin.snapshot)
    taken = {name for parameter in origin.made if parameter in origin.stored for name in origin.stored[parameter].names}
    for name, each in own.items():
        other = state.get(name)
        if not isinstance(other, torch.Tensor) or other.shape != each.shape:
            found = "is missing" if name not in state else f"is {tuple(getattr(other, 'shape', ()))}"
            raise ModelError(f"{path}: {name} {found}; {origin.name} has {tuple(each.shape)}")
        if name not in taken and not torch.equal(other.cpu().to(each.dtype), each.detach().cpu()):
            raise ModelError(f"{path}: {name} differs from that of {origin.name}, and is no weight that trains here",
                             "load it into the module, then import that")  # fmt: skip
    return origin.parameters(_Arrays(state), _Arrays(own))


class _Arrays(Mapping[str, np.ndarray]):
    """Tensors as arrays, when asked for; of number types that numpy lacks as float32, which holds them all."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = state

    def __getitem__(self, name: str) -> np.ndarray:
        tensor = self.state[name].detach().cpu()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()

    def __iter__(self):
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)


def _loaded(content: bytes) -> dict[str, Any]:
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


def _program(origin: Origin, content: bytes | None) -> torch.export.ExportedProgram:
    return archive.program(origin.content() if content is None else content)


def _trained(origin: Origin, weights: Mapping[str, np.ndarray], content: bytes | None) -> torch.export.ExportedProgram:
    program = _program(origin, content)
    state = state_dict(origin, weights, content)
    with torch.no_grad():
        for name, each in program.state_dict.items():
            each.copy_(state[name])
    return program

"""Trained weights as files: arrays by name, or the tensors of the file or module that the network came from.

    .npz, any other     the parameters by name, in the network's own shapes     every network
    .pt .pth            a state dict under the module's own names               from a module, or a .pt2 file
    .pt2                the exported program with the trained tensors           from a .pt2 file
    .onnx .tflite       the file with the trained tensors, byte for byte        from such a file
                        the same elsewhere; those that several layers share
                        in a .tflite become tensors of their own

What cannot be written is refused by `writer`, before the training; the file is read then, and no more.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from workbench import files
from workbench.errors import ModelError
from workbench.frontends.model import Model
from workbench.frontends.origin import HINT, ONNX, TFLITE, TORCH, Origin, Place, Stored

Weights = Mapping[str, np.ndarray]
KINDS = {".pt": TORCH, ".pth": TORCH, ".pt2": TORCH, ".onnx": ONNX, ".tflite": TFLITE}
A = {TORCH: "a PyTorch module", ONNX: "an .onnx file", TFLITE: "a .tflite file"}


def writer(path: str | Path, network: str, origin: Origin | None, updated: Iterable[str]) -> Callable[[Weights], bytes]:
    """What makes the bytes of this file of trained weights; the file's ending says what it is.

    `updated`: the parameters whose values may differ from those that were read. Raises ModelError for what can have no
    such file.
    """
    ending = Path(path).suffix.lower()
    if ending not in KINDS:
        return files.packed
    kind = KINDS[ending]
    if origin is None or origin.kind != kind or (ending == ".pt2" and not origin.path):
        wanted = "a .pt2 file" if ending == ".pt2" else A[kind]
        raise ModelError(f"{path}: {network} was not read from {wanted}, whose tensors these could be",
                         HINT if origin is None else f"{_endings(origin)} and .npz can be written")  # fmt: skip
    updated = tuple(updated)
    origin.require(updated)
    if kind != TORCH:
        return _patcher(origin, updated)
    from workbench.frontends.torch import saved

    content = origin.content() if origin.path else None
    if ending == ".pt2":
        return lambda weights: saved.program_of(origin, weights, content or b"")
    return lambda weights: saved.packed(saved.state_dict(origin, weights, content))


def model_of(origin: Origin, weights: Weights):
    """What the network came from, with trained weights: a copy of the module, an exported program, the file's bytes."""
    if origin.kind != TORCH:
        return _patcher(origin, origin.changed(weights))(weights)
    from workbench.frontends.torch import saved

    return saved.module_of(origin, weights)


def state_dict_of(origin: Origin, weights: Weights) -> dict:
    """Torch tensors under the module's own names; of other files arrays under theirs, those of its parameters."""
    if origin.kind != TORCH:
        content = origin.content()
        places = _places(origin, origin.stored)
        stored = {name: values_at(content, place) for name, place in places.items()}
        return stored | origin.tensors(weights, stored)
    from workbench.frontends.torch import saved

    return saved.state_dict(origin, weights)


def read_state(path: str | Path, network: Model) -> dict[str, np.ndarray]:
    """The parameters that a state dict of the network's own module makes, as torch.save wrote it. Raises ModelError for
    one of another module, ValueError for no state dict."""
    if network.origin is None or network.origin.kind != TORCH:
        raise ModelError(f"{path}: {network.name} was not read from a PyTorch module, whose state dict it could be",
                         HINT)  # fmt: skip
    from workbench.frontends.torch import saved

    return saved.read(path, network.origin) | {
        name: values for name, values in network.weights.items() if name not in network.origin.made
    }


def values_at(content: bytes, place: Place) -> np.ndarray:
    dtype = np.dtype(place.dtype).newbyteorder("<")
    count = int(np.prod(place.shape))
    values = np.frombuffer(content, dtype, count, place.at).reshape(place.shape)
    return values.astype(place.dtype)


def _endings(origin: Origin) -> str:
    own = [ending for ending, kind in KINDS.items() if kind == origin.kind]
    return ", ".join(ending for ending in own if ending != ".pt2" or origin.path)


def _patcher(origin: Origin, updated: Iterable[str]) -> Callable[[Weights], bytes]:
    """What puts trained tensors in their places among the file's bytes."""
    content = origin.content()
    scales = (name for group in origin.moved for name in group.parameters)
    places = _places(origin, {*updated, *scales})
    shared = {name: home for home in origin.stored.values() if home.shared for name in home.names if name in places}
    _parted(origin, content, shared, {name: values_at(content, places[name]) for name in shared})  # can it be?

    def patched(weights: Weights) -> bytes:
        result = bytearray(content)
        stored = {name: values_at(content, place) for name, place in places.items()}
        new = origin.tensors(weights, stored)
        for name in new.keys() - shared.keys():
            values = _bytes(new[name])
            result[places[name].at : places[name].at + len(values)] = values
        return _parted(origin, bytes(result), shared, {name: new[name] for name in new if name in shared})

    return patched


def _parted(origin: Origin, content: bytes, homes: Mapping[str, Stored], tensors: Weights) -> bytes:
    """The file in which these tensors, which others share there, are tensors of their own."""
    if not tensors:
        return content
    from workbench.frontends.tflite.split import Own, split

    wanted = [Own(homes[name].tensor, homes[name].uses, _bytes(values)) for name, values in tensors.items()]
    return split(content, wanted, origin.name)


def _bytes(values: np.ndarray) -> bytes:
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def _places(origin: Origin, parameters: Collection[str]) -> dict[str, Place]:
    homes = [home for name, home in origin.stored.items() if name in parameters and not home.refused]
    return {name: home.place for home in homes for name in home.names if home.place}

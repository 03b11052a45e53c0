"""Where a network came from, and how its parameters were made of what is stored there: the way back for trained ones.

    stored in the file or module           parameter                                        going back
    (O, H, W, I), (inputs, outputs), …     transposed, reshaped: steps                      undone
    int8 filters of an extreme scale       a power of two moved from w and b to the scale   with the scale, see Moved
    one tensor under several names         one parameter                                    under each name

What was not trained stays as it is stored, to the byte, element by element.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from workbench import files
from workbench.errors import ModelError
from workbench.frontends.emitter import Emitter
from workbench.frontends.weight import Step, done, undone
from workbench.ir.types import Ints

TORCH, ONNX, TFLITE = "torch", "onnx", "tflite"
MOST = 1 << 31  # bytes of a file
HINT = "an .npz holds the weights of any network"


@dataclass(frozen=True)
class Place:
    """Where a file's bytes hold a tensor, of this numpy dtype."""

    at: int
    dtype: str
    shape: Ints


@dataclass(frozen=True)
class Stored:
    """What a parameter was made of: a tensor, under one name or several, and the `steps` from there to the parameter.

    `place` (None: who writes the file finds it by name). `refused`: why trained values cannot go back ("": they can).
    `shared`: the file has other parameters there too, so that trained it becomes a tensor of its own; of a .tflite file
    the number of the tensor, and the operands (operator, index) that are this parameter.
    """

    names: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    place: Place | None = None
    refused: str = ""
    shared: bool = False
    tensor: int = -1
    uses: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Moved:
    """int8 filters some of whose channels were made safe (see quantize/safe_channels): as trained they stand for other
    integers than the stored ones, so that a channel which was trained goes back whole, with its scale.

    `parameters` have their channels first; `channels`: truth values, those that were made safe.
    """

    parameters: tuple[str, ...]
    channels: np.ndarray


@dataclass(frozen=True, eq=False)
class Origin:
    """`kind`: TORCH, ONNX or TFLITE; `name`: of the file or module, for people.

    `stored`: parameter -> what it was made of; `made`: parameter -> its values as they were read. A file has a `path`
    and the SHA-256 of its bytes, `digest`; a module its tensors as torch.save wrote them, `snapshot`, and itself, as
    long as it stays in this process.
    """

    kind: str
    name: str
    stored: Mapping[str, Stored]
    made: Mapping[str, np.ndarray]
    moved: tuple[Moved, ...] = ()
    path: Path | None = None
    digest: str = ""
    snapshot: bytes = field(default=b"", repr=False)
    module: Any = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Without the module: its class may be one that no other process knows."""
        return {**vars(self), "module": None}

    def content(self) -> bytes:
        """The file's bytes. Raises ModelError where it is gone, or is another one than was read."""
        if self.path is None:
            raise ModelError(f"{self.name} came from no file")
        try:
            content = read_whole(self.path)
        except OSError as error:
            raise ModelError(f"{self.path} cannot be read again: {error.strerror or error}", HINT) from None
        if sha256(content).hexdigest() != self.digest:
            raise ModelError(f"{self.path} was changed since the network was read from it", "read it again")
        return content

    def changed(self, weights: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """The parameters that have other values than those that were read."""
        return tuple(name for name, was in self.made.items() if name in weights and _differs(weights[name], was).any())

    def require(self, updated: Iterable[str]) -> None:
        """Raise ModelError for a parameter whose trained values have no place there."""
        users: dict[Any, str] = {}
        for name in updated:
            home = self.stored.get(name)
            if home is None:
                raise ModelError(f"{self.name} has no tensor that trained values of {name} could go back to", HINT)
            if home.refused:
                raise ModelError(f"{self.name} cannot take back trained values of {name}: {home.refused}", HINT)
            other = users.setdefault(home.place.at if home.place else home.names[0], name)
            if other != name and not home.shared:
                raise ModelError(f"{self.name} stores {other} and {name} as one tensor; trained they are two", HINT)

    def tensors(self, trained: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The tensors that training changed, as the file or module stores them, by its own names.

        `trained`: by parameter; `stored`: the tensors as they are there. Raises ModelError as `require` does.
        """
        self.require(self.changed(trained))
        values = {name: np.asarray(trained.get(name, was)) for name, was in self.made.items()}
        where = {name: _differs(values[name], was) for name, was in self.made.items()}
        for group in self.moved:
            touched = np.any([where[name].reshape(len(group.channels), -1).any(1) for name in group.parameters], axis=0)
            for name in group.parameters:
                where[name] |= (touched & group.channels).reshape(-1, *[1] * (where[name].ndim - 1))
        result: dict[str, np.ndarray] = {}
        for name in (name for name in where if where[name].any()):
            steps = self.stored[name].steps
            for own in self.stored[name].names:
                was = stored[own]
                new, at = (undone(each, steps).reshape(was.shape) for each in (values[name], where[name]))
                result[own] = np.where(at, new.astype(was.dtype), result.get(own, was))
        return result

    def parameters(self, tensors: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The parameters that these tensors make, which stand where `stored` did. What `tensors` undoes."""
        homes = {name: home for name, home in self.stored.items() if name in self.made}
        new, old = ({name: _as_made(each[home.names[0]], home, self.made[name])
                     for name, home in homes.items()} for each in (tensors, stored))  # fmt: skip
        other = {name: np.where(_differs(new[name], old[name]), new[name], self.made[name]) for name in homes}
        return {name: other.get(name, was).astype(was.dtype) for name, was in self.made.items()}


def of_emitter(
    emit: Emitter,
    kind: str,
    name: str,
    weights: Mapping[str, np.ndarray],
    aliases: Mapping[str, tuple[str, ...]],
    **where,
) -> Origin:
    """The origin of what an Emitter read: a parameter that has steps is a tensor of the file by this name.

    `aliases`: all names of a tensor, its own among them, by one of these; no entry: it has one. `where`: the rest of
    Origin.
    """
    stored = {own: Stored(aliases.get(own, (own,)), steps) for own, steps in emit.steps.items() if own in weights}
    return Origin(kind, name, stored, weights, **where)


def read_whole(path: Path) -> bytes:
    return files.read(path, min(MOST, path.stat().st_size))


def _as_made(tensor: np.ndarray, home: Stored, made: np.ndarray) -> np.ndarray:
    return done(np.asarray(tensor), home.steps, made.shape).astype(made.dtype)


def _differs(values: Any, was: np.ndarray) -> np.ndarray:
    """Whether the bits of each element are others."""
    values = np.ascontiguousarray(values)
    if values.dtype != was.dtype or values.shape != was.shape:
        raise ModelError(f"weights are {was.dtype} {was.shape}; got {values.dtype} {values.shape}")
    kind = f"u{was.dtype.itemsize}"
    return values.reshape(*was.shape).view(kind) != np.ascontiguousarray(was).reshape(*was.shape).view(kind)

"""Where the parameters of an .onnx file came from: the tensors that trained values go back to, or why they cannot.

initializer or Constant, read as one parameter     its bytes are written
one that several parameters were made of           refused: each would need a tensor of its own
one whose numbers went into something else too     refused: that would change with it
integers and halves that are real numbers here     refused
int8 layers (QDQ)                                  refused
what was computed of tensors                       has no tensor
"""

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from workbench.frontends.onnx.network import Reading
from workbench.frontends.onnx.places import places
from workbench.frontends.origin import ONNX, Origin, Place, Stored


def origin(reading: Reading, path: Path, weights: Mapping[str, np.ndarray]) -> Origin:
    """Of the network in the file at `path`, with these parameters."""
    network, steps = reading.network, reading.emit.steps
    tensors = {name: tensor for name, tensor in reading.tensors.items() if name in weights}
    made_of = Counter(tensors.values())
    fixed = reading.fused | {reading.tensors[name] for name in reading.fixed if name in reading.tensors}
    where = places(network.content, made_of)
    stored = {}
    for name, tensor in tensors.items():
        place = where[tensor]
        if name not in steps:
            refused = "int8 layers of .onnx files are not written"
        elif not isinstance(place, Place):
            refused = place
        elif not np.can_cast(weights[name].dtype, place.dtype):
            refused = f"it is stored as {place.dtype}, and trains as {weights[name].dtype}"
        elif made_of[tensor] > 1 or tensor in fixed or (tensor not in network.constants and reading.reads[tensor] > 1):
            refused = "the file uses the same tensor elsewhere too"
        else:
            stored[name] = Stored((tensor,), steps[name], place)
            continue
        stored[name] = Stored((tensor,), refused=refused)
    return Origin(ONNX, path.name, stored, weights, path=path, digest=sha256(network.content).hexdigest())

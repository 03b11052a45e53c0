"""PyTorch modules as networks: `from_torch(module, example)`, `load("model.pt2")`.

module                         network
(N, C, H, W), OIHW             the same
parameters, by name            the same names; those of one storage are one weight
BatchNorm                      a scale and a shift, with frozen statistics
Dropout                        nothing
softmax, sigmoid at the end    left out of `graph`, which ends at the logits; in `inference` it is there
requires_grad                  the policy as-given
"""

import warnings
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.data import taken
from workbench.errors import ModelError, readable
from workbench.frontends import given
from workbench.frontends.emitter import for_any_batch
from workbench.frontends.model import Model, ending_at, require_finite
from workbench.frontends.obstacles import Unsupported
from workbench.frontends.origin import TORCH, of_emitter, read_whole
from workbench.frontends.torch import archive
from workbench.frontends.torch.export import Exported, exported, of_program, quiet
from workbench.frontends.torch.operators import OPERATORS
from workbench.frontends.torch.reading import Reading
from workbench.frontends.torch.saved import aliases_of, packed
from workbench.ir.build import Value
from workbench.ir.graph import Graph
from workbench.plain import printable
from workbench.policy import AS_GIVEN, as_given

__all__ = ["OPERATORS", "from_torch", "load"]


def from_torch(module: torch.nn.Module, example: Any, *, name: str | None = None, data: Any = None,
               batch: int | None = None) -> Model:  # fmt: skip
    """The network that a module is, in evaluation mode.

    `example`: a tensor or array (batch, …) like its input; its numbers do not matter. `batch`: how many samples at once
    (None: one). `data`: what it trains on, as layers.Network.model takes it. Raises Unsupported, which names every
    obstacle.
    """
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"from_torch takes a torch.nn.Module; got {type(module).__name__}")
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    data = None if data is None else taken(data)
    name = given.network_name(type(module).__name__ if name is None else name)
    found = exported(module, example, name, batch)
    state = module.state_dict()
    kept = {"aliases": aliases_of(state), "snapshot": packed(state), "module": module}
    model = _network(found, name, f"a PyTorch module, {type(module).__name__}", data, Path(name), kept)
    return _for_batch(model, found, batch or 1)


def load(path: str | Path, batch: int = 1) -> Model:
    """The network in a .pt2 file, as torch.export.save wrote it."""
    path = Path(path)
    with readable(path, "torch.export.save writes a .pt2 file"):
        content = read_whole(path)
    try:
        with warnings.catch_warnings(), quiet():
            warnings.simplefilter("ignore")  # PyTorch's words about itself
            program = archive.program(content)
            found = of_program(program, path.name)
    except ModelError:
        raise
    except Exception as error:  # whatever a damaged archive makes of torch's reader
        first = printable((str(error).strip().splitlines() or [""])[0][:200])
        told = first if type(error) is ValueError else f"{type(error).__name__}: {first}"
        hint = "torch.export.save(torch.export.export(module, (example,)), FILE) writes one"
        raise ModelError(f"{path} is no exported PyTorch program: {told}", hint) from None
    kept = {"aliases": aliases_of(program.state_dict), "path": path, "digest": sha256(content).hexdigest()}
    name = printable(path.stem)
    model = _network(found, name, f"imported from {path.name}", None, path, kept)
    return replace(_for_batch(model, found, batch), source=str(path))


def _for_batch(model: Model, found: Exported, batch: int) -> Model:
    if batch == model.batch:
        return model
    if found.symbol is None:
        raise ModelError(f"{model.name} fixes its batch at {found.batch}", f"an example of {batch} samples may do")
    return model.with_batch(batch)


def _network(found: Exported, name: str, about: str, data: Any, path: Path, kept: dict[str, Any]) -> Model:
    reading = Reading(found, name, 1 if found.symbol is not None else found.batch)
    output = reading.read()
    if reading.obstacles or output is None:
        raise Unsupported(path, name, reading.obstacles)
    any_batch = found.symbol is not None
    graph = _any_batch(reading, output, found, name) if any_batch else reading.emit.build.graph(output)
    graph, inference = ending_at(reading.logits, graph)
    weights = {each: reading.emit.weights[each] for each in graph.parameters}
    origin = of_emitter(reading.emit, TORCH, path.name, weights, **kept)
    own = found.program.state_dict
    require_finite(name, {each: values for each, values in weights.items() if each in own or np.isnan(values).any()})
    trained = [each for each in graph.parameters if each in own and own[each].requires_grad]
    policies = {AS_GIVEN: as_given(trained)} if trained else {}
    frozen = [each for each in graph.parameters if each in own and not own[each].requires_grad]
    kept_so = (f"{name} has {len(frozen)} parameters that require no gradient, {frozen[0]} for one; only the policy "
               "as-given leaves them as they are",) if trained and frozen else ()  # fmt: skip
    return Model(name, graph, weights, data, about, policies=policies, inference=inference,
                 notes=(*found.notes, *reading.notes, *kept_so), origin=origin)  # fmt: skip


def _any_batch(reading: Reading, output: Value, found: Exported, name: str) -> Graph:
    """The graph of a module that is for any batch. Raises ModelError where it does other things for another one."""
    graph, twice = reading.emit.build.graph(output), Reading(found, name, 2)
    of_twice = twice.read()
    if of_twice is not None and not twice.obstacles:
        other = twice.emit.build.graph(of_twice)
        ours, theirs = reading.emit.weights, twice.emit.weights
        alike = all(np.array_equal(ours.get(each, ()), theirs[each], equal_nan=True) for each in other.parameters)
        nodes = zip(graph.nodes, other.nodes, strict=False)
        if alike and all((a.op, a.operands, a.results) == (b.op, b.operands, b.results) for a, b in nodes):
            return for_any_batch(graph, other)
    raise ModelError(f"{name} computes with the size of its batch, which is not supported",
                     "x.flatten(1) and x.view(x.shape[0], -1) leave it as it is")  # fmt: skip

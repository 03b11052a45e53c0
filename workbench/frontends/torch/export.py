"""A PyTorch module as a graph of core ATen operators, for a batch of any size where the module allows that."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import Dim, ExportedProgram
from torch.fx import Node

from workbench.errors import ModelError, shown
from workbench.frontends import given
from workbench.frontends.torch.operators import ACTIVE, WHOLE

HINT = "torch.export.export(module.eval(), (example,)) tells more"


@dataclass(frozen=True)
class Exported:
    """`program`, decomposed; `symbol`: what the batch is called in its shapes (None: the batch is `batch`, fixed)."""

    program: ExportedProgram
    symbol: Any
    batch: int
    notes: tuple[str, ...] = ()

    def number(self, size: Any, batch: int) -> int:
        """A size, which may depend on the batch, as a number."""
        if isinstance(size, torch.SymInt):
            return int(size.node.expr.subs(dict.fromkeys(size.node.expr.free_symbols, batch)))
        return size


def exported(module: torch.nn.Module, example: Any, name: str, batch: int | None = None) -> Exported:
    """The module in evaluation mode. Raises ModelError with what torch.export says.

    `example`: its input; the batch is made a dimension of any size, or, where the module fixes it, that of `example`.
    """
    x = one_input(example, name)
    module, notes = _readable(module, name)
    notes = (*notes, *_notes(module, name))
    with in_evaluation(module), torch.no_grad(), quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's words about itself
        many = torch.cat([x] * -(-2 // len(x)))[:2] if len(x) else x
        try:
            program = torch.export.export(module, (many,), dynamic_shapes=({0: Dim.AUTO},))
            symbol = _symbol(program)
            symbol = symbol if _gives_batch(program, symbol) else None
        except Exception:  # whatever the module does with a batch of two
            symbol = None
        if symbol is None:
            x = x[:1].expand(batch, *x.shape[1:]).clone() if batch and len(x) else x
            program = _fixed(module, x, name)
        try:
            return Exported(_decomposed(program), symbol, len(x), notes)
        except Exception as error:  # whatever PyTorch's passes make of it
            raise _cannot(name, error) from error


def _readable(module: torch.nn.Module, name: str) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """The module in float32, a copy where it is not. Raises ModelError for one whose weights have no values."""
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(f"{name} is scripted, which is not supported", "the module that it was scripted from is read")
    for where, part in module.named_modules():
        if type(part).__module__.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")):
            raise ModelError(f"{name}: {where} is quantized by PyTorch, which is not supported",
                             "the float32 module is read; NAME-int8 quantizes it")  # fmt: skip
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for each, tensor in tensors.items():
        given.label(each)
        if isinstance(tensor, torch.nn.UninitializedParameter | torch.nn.UninitializedBuffer):
            raise ModelError(f"{name}: {each} has no shape yet", "module(example) initializes what is lazy")
        if tensor.is_meta:
            raise ModelError(f"{name}: {each} has no values, it is on the meta device",
                             "module.to_empty(device='cpu') and load_state_dict give it some")  # fmt: skip
    kinds = {tensor.dtype for tensor in tensors.values() if tensor.dtype.is_floating_point} - {torch.float32}
    if not kinds:
        return module, ()
    kind = " and ".join(sorted(str(each).removeprefix("torch.") for each in kinds))
    return deepcopy(module).float(), (f"{name} is of {kind}; its network computes in float32",)


def _notes(module: torch.nn.Module, name: str) -> Iterator[str]:
    """What evaluation mode makes of this module, where its user may not expect it."""
    if any(part.training and _minds_training(part) for part in module.modules()):
        yield (f"{name} was in training mode; it is taken in evaluation mode: no dropout, and the statistics that its "
               "batch norms have")  # fmt: skip
    unused = [label or type(part).__name__ for label, part in module.named_modules() if _is_unused_norm(part)]
    if unused:
        more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
        yield (f"{name} has batch norms that saw no data, {', '.join(unused[:3])}{more}: they normalize nothing, and "
               "no training here changes that; first call the module, in training mode, on some samples")  # fmt: skip


def _minds_training(part: torch.nn.Module) -> bool:
    """Whether it computes otherwise in training mode, as far as its code tells."""
    code = getattr(type(part).forward, "__code__", None)
    return (
        code is not None and "training" in code.co_names and 0 not in (vars(part).get("p"), vars(part).get("dropout"))
    )


def _is_unused_norm(part: Any) -> bool:
    seen = getattr(part, "num_batches_tracked", None)
    if not isinstance(seen, torch.Tensor) or int(seen) or part.running_mean is None or part.running_var is None:
        return False
    return not part.running_mean.any() and bool((part.running_var == 1).all())


def of_program(program: ExportedProgram, name: str) -> Exported:
    inputs = program.graph_signature.user_inputs
    if len(inputs) != 1:
        raise ModelError(f"{name} has {len(inputs)} inputs; a network has one")
    (x,) = (node for node in program.graph.nodes if node.op == "placeholder" and node.name == inputs[0])
    symbol, program = _symbol(program), _decomposed(program)
    kinds = {str(node.target).removeprefix("aten.") for node in program.graph.nodes}
    if active := dict.fromkeys(ACTIVE[kind] for kind in ACTIVE if kind in kinds):
        raise ModelError(f"{name} was exported in training mode: it has {' and '.join(active)}",
                         "torch.export.export(module.eval(), (example,)) is what trains here")  # fmt: skip
    return Exported(program, symbol, 1 if symbol is not None else int(x.meta["val"].shape[0]))


def one_input(example: Any, name: str) -> torch.Tensor:
    if isinstance(example, tuple | list) and len(example) == 1:
        (example,) = example
    if isinstance(example, tuple | list | dict):
        raise ModelError(f"{name} has {len(example)} inputs; a network has one")
    if isinstance(example, np.ndarray):
        example = torch.from_numpy(np.ascontiguousarray(example))
    if not isinstance(example, torch.Tensor) or example.ndim < 2 or example.numel() == 0:
        raise ModelError(f"{name}: an example of its input is a tensor (batch, …); got {shown(example)}",
                         "torch.zeros(1, 3, 32, 32) is one of an image")  # fmt: skip
    if not (example.dtype.is_floating_point or example.dtype in (torch.int32, torch.int64)):
        raise ModelError(
            f"{name}: its input is {str(example.dtype).removeprefix('torch.')}; numbers or indices are taken"
        )
    example = example.detach().cpu()
    return example.float() if example.dtype.is_floating_point else example


@contextmanager
def quiet() -> Iterator[None]:
    """Without what PyTorch logs and prints of a module or file that it cannot read: the error says it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


@contextmanager
def in_evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Every part of it as it was afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _fixed(module: torch.nn.Module, x: torch.Tensor, name: str) -> ExportedProgram:
    try:
        return torch.export.export(module, (x,))
    except Exception as error:  # whatever the module's own code raises
        raise _cannot(name, error) from error


def _cannot(name: str, error: Exception) -> ModelError:
    first = (str(error).strip().splitlines() or [""])[0][:300]
    return ModelError(f"{name} cannot be exported: {type(error).__name__}: {first}", HINT)


def _symbol(program: ExportedProgram) -> Any:
    """The batch among the input's sizes; None where it is a number."""
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs:
            size = node.meta["val"].shape[0]
            return size if isinstance(size, torch.SymInt) else None
    return None


def _gives_batch(program: ExportedProgram, symbol: Any) -> bool:
    """Whether the first axis of all that it gives is the batch."""
    named: dict[str, Any] = {node.name: node.meta.get("val") for node in program.graph.nodes}
    shapes = [getattr(named.get(str(name)), "shape", None) for name in program.graph_signature.user_outputs]
    return all(len(shape) > 0 and str(shape[0]) == str(symbol) for shape in shapes if shape is not None)


def _decomposed(program: ExportedProgram) -> ExportedProgram:
    table = torch.export.default_decompositions()
    for operator in [each for each in table if str(each).removeprefix("aten.") in WHOLE]:
        del table[operator]
    return program.run_decompositions(table)


def line_of(node: Node) -> str:
    """net.py, line 12: x = self.conv(x), of the user's own code, where the exporter tells it."""
    trace = (node.meta.get("stack_trace") or "").strip().splitlines()
    for at in reversed(range(len(trace))):
        words = trace[at].strip().split(", ")
        foreign = any(each in words[0] for each in ("site-packages", "<eval_with_key>", str(Path(__file__).parent)))
        if words[0].startswith("File ") and len(words) > 1 and not foreign:
            path = words[0].removeprefix("File ").strip('"').rpartition("/")[2]
            code = trace[at + 1].strip() if at + 1 < len(trace) else ""
            code = "" if code.startswith("File ") else code  # where the source was not at hand
            return f"{path}, {words[1]}{f': {code}' if code else ''}"
    return ""


def label_of(node: Node) -> str:
    """What a person calls it: the submodule that it is in, or its own name."""
    stack = node.meta.get("nn_module_stack") or {}
    path = [where for where, _ in stack.values() if where][-1:]
    name = path[0].removeprefix("L['self'].") if path else node.name
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in name) or node.name

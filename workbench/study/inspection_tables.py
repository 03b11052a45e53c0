"""What `inspect` tells as tables: heads and rows of cells, for a terminal and for a notebook."""

from collections.abc import Sequence

from workbench.study.inspection import Estimate, Trained
from workbench.units import quantity, size

FIT = {True: "fits", False: "no", None: "perhaps"}
Cells = tuple[list[str], list[list[str]]]


def layers_table(layers: Sequence[Trained], source: str) -> Cells:
    """A row a layer; its dtype where it is not the one before, at first `source`, the input's, which a title tells."""
    rows, dtype = [], source
    for each in layers:
        layer = each.layer
        shape = str(layer.shape) if layer.dtype == dtype else f"{layer.dtype} {layer.shape}"
        dtype = layer.dtype
        updated = "all" if each.updated == each.trainable else quantity(each.updated) if each.updated else "–"
        rows.append([
            layer.name, layer.what, shape, quantity(layer.elements) if layer.elements else "",
            updated if each.trainable else "", quantity(layer.macs) if layer.macs else "",
            quantity(each.backward_macs) if each.backward_macs else "",
        ])  # fmt: skip
    return ["layer", "operators", "result", "parameters", "updated", "MACs", "backward"], rows


def policies_table(estimates: Sequence[Estimate], trainable: int) -> Cells:
    """A row a policy, a column a board that it fits or not."""
    heads = ["policy", "updated", "backward", "instructions", "saved", "arena", "SRAM", *estimates[0].boards]
    rows = [
        [each.cost.policy, _share(each.cost.updated, trainable), quantity(each.cost.backward_macs),
         f"≈ {quantity(_rounded(each.instructions))}", size(each.cost.saved_bytes),
         _bytes(each.cost.arena_bytes, each.at_most), _bytes(each.cost.sram_bytes, each.at_most),
         *(FIT[fits] for fits in each.boards.values())]
        for each in estimates
    ]  # fmt: skip
    return heads, rows


def _share(part: int, whole: int) -> str:
    return "all" if part == whole else quantity(part)


def _rounded(count: int) -> int:
    """Two digits: more would promise too much."""
    digits = max(len(str(count)) - 2, 0)
    return round(count, -digits)


def _bytes(count: int, at_most: bool) -> str:
    return f"≤ {size(count)}" if at_most else size(count)

"""From the callbacks' raw counters to tables whose columns are those of a saved run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.trace import locate
from workbench.trace import state as s

if TYPE_CHECKING:
    import pandas as pd

ACCESSES = ["position", "buffer", "bytes_read", "bytes_written", "low", "high"]
BUFFERS = ["id", "address", "first_write", "last_read", "bytes_read", "bytes_written", "touched"]
VIOLATIONS = ["kind", "position", "op", "buffer", "address", "size", "pc", "symbol", "count"]


def op_profile(rows: int, counts: np.ndarray | None, accesses: np.ndarray | None) -> pd.DataFrame:
    """A row for each position from -1 on."""
    import pandas as pd

    table = pd.DataFrame({"position": np.arange(rows) - 1})
    table["instructions"] = pd.NA if counts is None else counts[:, 0]
    table["cycles"] = pd.NA if counts is None else counts[:, 1]
    table["bytes_read"] = pd.NA if accesses is None else accesses[:, :, 0].sum(axis=1)
    table["bytes_written"] = pd.NA if accesses is None else accesses[:, :, 1].sum(axis=1)
    return table.astype("Int64")


def accesses(placed, raw: np.ndarray | None) -> pd.DataFrame:
    """A row for each (position, buffer) that was touched."""
    import pandas as pd

    if raw is None or not placed:
        return pd.DataFrame(columns=ACCESSES)
    row, buffer = np.nonzero(raw[:, :, 3])
    cells = raw[row, buffer]
    ids = np.array([item.row.id for item in placed])
    columns = (row - 1, ids[buffer], cells[:, 0], cells[:, 1], s.TOP - cells[:, 2], cells[:, 3])
    return pd.DataFrame(dict(zip(ACCESSES, columns, strict=True)))


def buffer_profile(placed, table: pd.DataFrame, traced: bool) -> pd.DataFrame:
    """A row for each buffer: what start-up initializes (everything outside the arena) is first written at -1."""
    import pandas as pd

    frame = pd.DataFrame({"id": [item.row.id for item in placed], "address": [item.begin for item in placed]})
    frame = frame.reindex(columns=BUFFERS).set_index("id").astype("Int64")
    if traced:
        groups = table.groupby("buffer")
        frame["first_write"] = table[table["bytes_written"] > 0].groupby("buffer")["position"].min()
        frame["last_read"] = table[table["bytes_read"] > 0].groupby("buffer")["position"].max()
        frame["touched"] = groups["high"].max() - frame["address"]
        for column in ("bytes_read", "bytes_written"):
            frame[column] = groups[column].sum()
        frame[["bytes_read", "bytes_written", "touched"]] = frame[["bytes_read", "bytes_written", "touched"]].fillna(0)
        frame.loc[[item.row.id for item in placed if item.row.storage != "arena"], "first_write"] = -1
    return frame.astype("Int64").reset_index()


def violations(placed, ops, rows, elf) -> pd.DataFrame:
    """A row for each (kind, position, buffer), the first access of each.

    Outside every buffer that is alive, it is the one that died there last, else the nearest that the operator declared.
    """
    import pandas as pd

    table = []
    for kind, row, buffer, address, size, pc, count in (map(int, row) for row in rows):
        op, found = ops.get(row - 1), elf.symbol_at(pc)
        near = None if buffer >= 0 else _died(placed, address, row - 1) or locate.declared(placed, op, address)
        owner = placed[buffer] if buffer >= 0 else near
        table.append((
            s.KINDS[kind], row - 1, op.symbol if op else "", owner.row.id if owner else pd.NA,
            address, size, pc, found[0].name if found else "", count,
        ))  # fmt: skip
    return pd.DataFrame(table, columns=VIOLATIONS).astype({"buffer": "Int64"})


def _died(placed, address: int, position: int):
    """The buffer that lay at an address last before a position."""
    dead = [b for b in placed if b.row.storage == "arena" and b.begin <= address < b.end and b.row.upper <= position]
    return max(dead, key=lambda b: b.row.upper, default=None)

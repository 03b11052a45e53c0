"""What a flow counted, taken again from the tables of a saved profile: so that any timing model can be put to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.emulate.timing import CodeTables
from workbench.errors import RecordError
from workbench.trace import flow_state as s
from workbench.trace.counted import Counted

if TYPE_CHECKING:
    import pandas as pd

SOURCE, TARGET = ("context", "source", "source_end"), ("to_context", "target", "target_end")


def counted_of(edges: pd.DataFrame, tree: pd.DataFrame, functions: pd.DataFrame, code: CodeTables) -> Counted:
    """The raw tables behind those of a profile, what blocks and ways take by `code`; frames are those of functions.

    Raises RecordError for edges and contexts that do not belong together.
    """
    contexts = _contexts(tree, functions)
    begins = edges.source.isna().to_numpy()
    kinds = edges.kind.map({name: kind for kind, name in enumerate(s.KINDS)})
    if kinds.isna().any() or not edges.to_context.between(0, len(contexts) - 1).all():
        raise RecordError("edges.csv does not belong to tree.csv: it names another way, or another context")
    target = edges[list(TARGET)].to_numpy(np.int64)
    source = np.where(begins[:, None], target, edges[list(SOURCE)].fillna(0).to_numpy(np.int64))
    found, number = np.unique(np.concatenate([source, target]), axis=0, return_inverse=True)
    came, went = number.reshape(2, -1)
    begin, end = found[:, 1], found[:, 2]
    known = code.holds(begin, end)
    blocks = np.zeros((len(found), s.BLOCK), np.int64)
    blocks[:, s.BEGIN_SIZE], blocks[:, s.END] = begin | (end - begin) << 32, end
    blocks[:, s.CONTEXT], blocks[:, s.FLAGS] = found[:, 0], np.where(known, 0, s.UNKNOWN)
    blocks[:, s.ISSUED] = np.where(known, code.instructions(begin, end), 0)
    blocks[:, s.STATIC] = np.where(known, code.cycles(begin, end), 0)
    rows = np.zeros((len(edges), s.EDGE), np.int64)
    rows[:, s.FROM], rows[:, s.TO] = np.where(begins, -1, came), went
    rows[:, s.COUNT], rows[:, s.KIND] = edges["count"], kinds
    rows[:, s.STEPS] = blocks[went, s.ISSUED]
    rows[:, s.COST] = blocks[went, s.STATIC] + np.where(begins, 0, code.edge_cycles(end[came], begin[went]))
    return Counted(blocks, rows, contexts, np.zeros((0, 2), np.int64), _entered(tree, rows, blocks))


def _contexts(tree: pd.DataFrame, functions: pd.DataFrame) -> np.ndarray:
    if tree.id.tolist() != list(range(len(tree))):
        raise RecordError("tree.csv does not number its contexts from 0 on")
    stacks = dict(zip(functions.address, functions["stack"].fillna(0), strict=True))
    return np.stack([tree.parent, tree.address, tree.address.map(stacks).fillna(0)], axis=1).astype(np.int64)


def _entered(tree: pd.DataFrame, edges: np.ndarray, blocks: np.ndarray) -> dict[int, int]:
    """How often each root began without being called."""
    calls = tree.calls.to_numpy(np.int64).copy()
    made = edges[np.isin(edges[:, s.KIND], (s.CALL, s.TAIL)) & (edges[:, s.FROM] >= 0)]
    np.subtract.at(calls, blocks[made[:, s.TO], s.CONTEXT], made[:, s.COUNT])
    roots = tree.parent.to_numpy() < 0
    return dict(zip(tree.address[roots].tolist(), calls[roots].tolist(), strict=True))

"""Documented cycle tables: what the counted instructions would take on a real core. Modelled, never measured."""

from workbench.boards import Board
from workbench.emulate.timing import cortex_m0plus, cortex_m3, cortex_m4, cortex_m7, cortex_m33
from workbench.emulate.timing.model import TimingModel
from workbench.emulate.timing.tables import CodeTables, code_tables
from workbench.emulate.timing.waits import with_wait_states
from workbench.errors import BoardError

MODELS = {
    "cortex-m0plus": cortex_m0plus.MODEL,
    "cortex-m3": cortex_m3.MODEL,
    "cortex-m4": cortex_m4.MODEL,
    "cortex-m7": cortex_m7.MODEL,
    "cortex-m33": cortex_m33.MODEL,
}


def model_of(board: Board) -> TimingModel:
    """The timing model of a board: its core's, and the wait states of its memory. Raises BoardError."""
    if board.core not in MODELS:
        raise BoardError(f"no timing model for the core {board.core}", f"there are {', '.join(MODELS)}")
    return with_wait_states(MODELS[board.core], board)


__all__ = ["MODELS", "CodeTables", "TimingModel", "code_tables", "model_of"]

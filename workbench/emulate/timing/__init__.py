"""Documented cycle tables: what the counted instructions would take on a real core. Modelled, never measured."""

from workbench.emulate.timing import cortex_m0plus, cortex_m3, cortex_m4, cortex_m7, cortex_m33
from workbench.emulate.timing.model import TimingModel
from workbench.emulate.timing.tables import CodeTables, code_tables
from workbench.errors import BoardError

MODELS = {
    "cortex-m0plus": cortex_m0plus.MODEL,
    "cortex-m3": cortex_m3.MODEL,
    "cortex-m4": cortex_m4.MODEL,
    "cortex-m7": cortex_m7.MODEL,
    "cortex-m33": cortex_m33.MODEL,
}


def model_of(core: str) -> TimingModel:
    """The timing model of a board's core. Raises BoardError where there is none."""
    if core not in MODELS:
        raise BoardError(f"no timing model for the core {core}", f"there are {', '.join(MODELS)}")
    return MODELS[core]


__all__ = ["MODELS", "CodeTables", "TimingModel", "code_tables", "model_of"]

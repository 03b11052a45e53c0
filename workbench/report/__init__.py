"""Reports drawn from saved runs: tables first, then figures and text from them (matplotlib loads when drawn)."""

from importlib import import_module

_HOME = {
    "buffers_text": "text",
    "comparison_csv": "roles",
    "comparison_figure": "comparison",
    "comparison_text": "side_by_side",
    "lifecycle_figure": "lifecycle",
    "ops_text": "text",
    "run_text": "text",
    "save_figure": "figure",
}
__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

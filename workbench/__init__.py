"""Train neural networks on an emulated microcontroller, and measure every byte and instruction."""

from importlib import import_module

_HOME = {
    "Board": "boards",
    "Data": "data",
    "Graph": "ir.graph",
    "Profile": "profiling",
    "Result": "session",
    "Run": "report.view",
    "WorkbenchError": "errors",
    "build": "session",
    "compare": "study.compare",
    "compile": "session",
    "differentiate": "autodiff",
    "from_torch": "frontends.torch",
    "inspect": "study.inspected",
    "interpret": "ir.interpret",
    "load": "frontends",
    "load_profile": "profiling",
    "load_run": "session",
    "plot_policies": "study.policies",
    "pretrain": "pretraining",
    "profile": "profiling",
    "published": "report.published",
    "run": "session",
    "run_seeds": "study.seeds",
    "show": "study.showing",
    "tune": "study.tune",
}
__all__ = list(_HOME)
__version__ = "0.1.0"


def __dir__() -> list[str]:
    """The public names too, though they load only when used: for tab completion."""
    return sorted({*globals(), *_HOME} - {"import_module"})


def __getattr__(name):
    """Load a public name when it is first used, so that `import workbench` stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(import_module(f"workbench.{_HOME[name]}"), name)

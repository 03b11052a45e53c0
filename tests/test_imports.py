"""The house's import direction, lazy imports included: a package imports only what stands to its left."""

import ast
import subprocess
import sys
from pathlib import Path

import workbench

PACKAGE = Path(workbench.__file__).parent
FREE = {
    "baseline", "errors", "units", "boards", "files", "plain", "options", "policy", "objective", "rates", "tables",
    "jit", "cache",
}  # fmt: skip
ORDER = [
    "ir",
    "ops",
    "kernels",
    "schedule",
    "data",
    "quantize",
    "frontends",
    "autodiff",
    "targets",
    "evaluation",
    "passes",
    "plan",
    "codegen",
    "artifacts",
    "toolchain",
    "compiled_cache",
    "record",
    "emulate",
    "native",
    "trace",
    "report",
    "profiling",
    "measure",
    "pretraining",
    "feeding",
    "diagnosis",
    "verdict",
    "engine",
    "rate_search",
    "epochs",
    "training",
    "prediction",
    "preparation",
    "on_board",
    "session",
    "study",
    "cli",
]
COMPILER = set(ORDER[: ORDER.index("toolchain") + 1])
STRICTER = {  # stage -> what it may import besides itself and the free modules
    "record": set(),
    "emulate": set(),
    "native": {"emulate", "toolchain"},
    "trace": {"emulate"},
    "report": {"record"},
}
ONLY_IMPORTER = {
    "unicorn": ("emulate/core.py",),
    "PIL": ("data/images.py",),
    "elftools": ("emulate/dwarf.py", "emulate/symbols.py"),
    "fast_sugiyama": ("report/layered.py",),
    "mlxtend": ("data/sources.py",),
    "onnx": ("frontends/onnx/file.py",),
    "scipy": ("emulate/timing/cache.py",),
    "sklearn": ("data/sources.py",),
    "tflite": ("frontends/tflite/file.py",),
    "tqdm": ("cli/progress.py",),
}


def stage(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path):
    """(module, line) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def problems() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        own, where = stage(path), path.relative_to(PACKAGE).as_posix()
        if "firmware_templates" in where:
            continue
        for module, line in imported(path):
            top = module.split(".")[0]
            if top in ONLY_IMPORTER and where not in ONLY_IMPORTER[top]:
                found.append(f"{where}:{line}: only {' and '.join(ONLY_IMPORTER[top])} imports {top}")
            parts = module.split(".")
            if top != "workbench" or len(parts) < 2 or own in {"__init__", "__main__"}:
                continue
            other = parts[1]
            if (
                other == own
                or other in FREE
                or (not (PACKAGE / other).exists() and not (PACKAGE / f"{other}.py").exists())
            ):
                continue
            if own in FREE:
                found.append(f"{where}:{line}: the free module {own} imports {other}")
            elif own in STRICTER:
                if other not in STRICTER[own]:
                    found.append(f"{where}:{line}: {own} must not import {other}")
            elif ORDER.index(other) > ORDER.index(own):
                found.append(f"{where}:{line}: {own} imports {other}, which stands to its right")
    return found


def test_the_import_direction():
    assert problems() == []


def test_every_stage_has_its_place():
    stages = {stage(path) for path in PACKAGE.rglob("*.py") if "firmware_templates" not in path.parts}
    assert stages - {"__init__", "__main__"} - FREE <= set(ORDER)


def test_a_run_begins_without_tables_and_pictures():
    """Each takes half a second; of numba, a third of its time goes to scipy's BLAS. Afterwards all can be loaded."""
    begun = "from workbench import jit; jit.leave_out_blas(); jit.CACHED; import workbench.cli.run, workbench.session"
    heavy = "('pandas', 'matplotlib', 'sklearn', 'scipy.linalg')"
    code = f"import sys; {begun}; print([m for m in {heavy} if m in sys.modules]); import scipy.linalg.cython_blas"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_the_package_is_quick():
    heavy = "('numpy', 'pandas', 'numba', 'unicorn', 'matplotlib')"
    code = f"import sys, workbench; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    assert all(getattr(workbench, name) is not None for name in workbench.__all__)
    assert set(workbench.__all__) < set(dir(workbench))


def test_every_file_says_what_it_is_for():
    silent = [str(p) for p in PACKAGE.rglob("*.py") if not ast.get_docstring(ast.parse(p.read_text() or "''"))]
    assert silent == []

"""The notebooks run from a clean kernel, show their figures, and are stored without outputs."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
FIGURES = {"01_training_step": 0, "02_lifecycles": 2, "03_policies": 2}


def test_all_are_known():
    assert [path.stem for path in NOTEBOOKS] == list(FIGURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == FIGURES[path.stem]
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_every_picture_that_is_shown_can_be_drawn_anew():
    folder = NOTEBOOKS[0].parent
    spec = importlib.util.spec_from_file_location("draw_pictures", folder / "draw_pictures.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pages = [folder.parent / "README.md", *NOTEBOOKS]
    shown = {name for page in pages for name in re.findall(r"pictures/(\w+)\.png", page.read_text())}
    assert shown == set(script.PICTURES) == {path.stem for path in (folder / "pictures").iterdir()}

"""The notebooks run from a clean kernel, show their figures, and are stored without outputs."""

import importlib.util
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from pictures import assert_legible
from synthetic_run import synthetic_run

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FIGURES = {
    "00_the_lecture": 3, "01_training_step": 0, "02_lifecycles": 2, "03_policies": 2, "04_bring_your_own_model": 1,
    "05_profiling": 2,
}  # fmt: skip
QUICK, SLOW = ("at_a_glance", "lenet_lifecycle"), ("mcunet_lifecycle", "lenet_adaptation", "paper_peaks")


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


@pytest.fixture(scope="module")
def script():
    """notebooks/draw_pictures.py."""
    spec = importlib.util.spec_from_file_location("draw_pictures", FOLDER / "draw_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_that_is_shown_can_be_drawn_anew(script):
    pages = [FOLDER.parent / "README.md", *NOTEBOOKS]
    shown = {name for page in pages for name in re.findall(r"pictures/(\w+)\.png", page.read_text())}
    assert shown == set(script.DRAWN) == {path.stem for path in (FOLDER / "pictures").iterdir()}


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in SLOW)])
def test_pictures_show_what_is_measured_today(script, name):
    """Where this fails, `.venv/bin/python notebooks/draw_pictures.py` draws them anew."""
    _, figure = script.DRAWN[name]()
    today, drawn = json.loads(json.dumps(script.shown(figure))), script.carried(script.PICTURES / f"{name}.png")
    assert today["shapes"] == drawn["shapes"]
    if today["matplotlib"] == drawn["matplotlib"]:  # another one may fit other words into a rectangle
        assert today["words"] == drawn["words"]


def test_a_picture_is_stale_as_soon_as_a_buffer_moves(script, tmp_path):
    run = synthetic_run()
    script.write(script.glance([run]), tmp_path / "before.png")
    run.buffers.loc[3, "offset"] += 512
    after = script.shown(script.glance([run]))
    before = script.carried(tmp_path / "before.png")
    assert before["words"] == after["words"] and before["shapes"] != after["shapes"]


def test_words_of_the_readme_s_picture_do_not_overlap(script):
    assert_legible(script.glance([synthetic_run(schedule) for schedule in ("vanilla", "reordered")]))

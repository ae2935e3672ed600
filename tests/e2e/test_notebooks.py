"""The example notebooks run from their first cell to their last, and draw what they are to draw."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from learnfleet.server.commands.digits import write_digits
from learnfleet.server.commands.local_server import LocalServer

NOTEBOOKS = Path(__file__).parent / "notebooks"
SHARED = Path(__file__).resolve().parents[2].parent / "shared"
# Pictures that each draws.
DRAWN = {
    "01_classification": 5,
    "02_data": 2,
    "03_training": 2,
    "04_segmentation": 3,
    "05_language_model": 1,
    "06_service": 3,
}


@pytest.fixture(scope="module")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder a class, 300 scanned digits."""
    root = tmp_path_factory.mktemp("notebook-pictures")
    write_digits(root / "split", limit=300)
    folder = root / "digits"
    for file in (root / "split").rglob("*.png"):
        target = folder / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 street scenes with masks."""
    archive = SHARED / "data" / "camvid_480x360.tar"
    if not archive.exists():
        pytest.skip("needs the street scenes of ../shared, which are not published")
    root = tmp_path_factory.mktemp("scenes")
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="data")
    return arranged(root)


def arranged(root: Path) -> Path:
    """Folders pictures and masks with files of the same names, and codes.txt."""
    (codes,) = root.rglob("codes.txt")
    target = root / "arranged"
    for name in ("pictures", "masks"):
        (target / name).mkdir(parents=True)
    for picture in sorted((codes.parent / "images" / "train").glob("*.jpg"))[:40]:
        mask = codes.parent / "labels" / "train" / f"{picture.stem}.png"
        picture.rename(target / "pictures" / picture.name)
        mask.rename(target / "masks" / mask.name)
    codes.rename(target / "codes.txt")
    return target


def executed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> nbformat.NotebookNode:
    """The notebook with its outputs."""
    monkeypatch.setenv("LEARNFLEET_WORK", str(folder))
    for key, value in settings.items():
        monkeypatch.setenv(key, str(value))
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return notebook


def pictures_of(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", ["01_classification", "02_data", "03_training", "05_language_model"])
def test_a_notebook_runs(name: str, class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed(name, tmp_path, monkeypatch, LEARNFLEET_PICTURES=class_folders)
    assert pictures_of(notebook) == DRAWN[name]


def test_the_segmentation_notebook_runs_on_street_scenes(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = executed("04_segmentation", tmp_path, monkeypatch, LEARNFLEET_SCENES=scenes)
    assert pictures_of(notebook) == DRAWN["04_segmentation"]


def test_the_service_notebook_runs_against_a_server(
    server: LocalServer, pictures: Path, class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pictures / "notebook-digits"
    for file in class_folders.rglob("*.png"):
        target = folder / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    notebook = executed(
        "06_service",
        tmp_path,
        monkeypatch,
        LEARNFLEET_PICTURES="notebook-digits",
        LEARNFLEET_ADDRESS=server.address,
    )
    assert pictures_of(notebook) == DRAWN["06_service"]


def test_notebooks_are_kept_without_outputs() -> None:
    for path in NOTEBOOKS.glob("*.ipynb"):
        content = json.loads(path.read_text())
        assert all(not cell.get("outputs") for cell in content["cells"]), path.name

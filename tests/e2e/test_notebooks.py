"""The example notebooks run from their first cell to their last, and show what they are to show."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pytest
from _pytest.mark import ParameterSet
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from PIL import Image
from support.notebook_data import class_folders_in, photos_in, scenes_in, weights_file

from learnfleet.client import Client
from learnfleet.server.commands.local_server import LocalServer

NOTEBOOKS = Path(__file__).parent / "notebooks"
_LEAST_PIXELS = 250  # of a picture's sides
_OF_OTHERS = ("IProgress not found", "from .autonotebook import tqdm")  # tqdm without ipywidgets, on stderr


@dataclass(frozen=True)
class Facts:
    """What a notebook has to show.

    Attributes:
        pictures: how each cell that draws begins (or a line of it), in order; no other cell may draw.
        holds: expressions that are true after the last cell.
    """

    pictures: tuple[str, ...]
    holds: tuple[str, ...] = ()


FACTS = {
    "01_classification": Facts(
        (
            "ds.show_batch(rows=3)",
            "learner_.recorder.plot_losses()",
            "learner_.recorder.plot_lr(show_moms=True)",
            "interpretation.plot_top_losses(9)",
            "interpretation.plot_confusion_matrix()",
        ),
        ("tuple(preds.shape) == (60, 10)", "len(losses) == 60", "max(learner_.recorder.lrs) <= 1e-3"),
    ),
    "02_data": Facts(
        ("by_table.show_batch(", "blocks.show_batch("),
        ("len({data.c for data in (by_folder, by_name, by_function, by_list)}) == 1", "by_table.c == by_folder.c + 1"),
    ),
    "03_training": Facts(
        ("learn.recorder.plot(suggestion=True)", "learn.recorder.plot_metrics()"),
        (
            "learn.csv_logger.read_logged_file()['accuracy'].max() > 0.4",
            "not learn.layer_groups[0].count_trainable() > 1e6",
        ),
    ),
    "04_segmentation": Facts(
        ("data.show_batch(rows=2)", "learn.show_results(rows=2)", "interpretation._plot_intersect_cm("),
        ("learn.recorder.rows[-1].metrics['foreground_acc'] > 0.4", "confusion.shape == (12, 12)"),
    ),
    "05_language_model": Facts(
        ("learn.recorder.plot_losses()",),
        (
            "learn.recorder.losses[-1] < 0.8 * learn.recorder.losses[0]",
            "learn.recorder.rows[-1].metrics['accuracy'] > 0.1",
        ),
    ),
    "06_service": Facts(
        ("data.show_batch(", "learn.show_results(rows=3)", "interpretation.plot_confusion_matrix("),
        ("len(predictions) == 60", "learn.recorder.rows[-1].metrics['accuracy'] > 0.4"),
    ),
    "07_models": Facts(
        ("data.show_batch(rows=2)", "learn.recorder.plot_losses()"),
        (
            "learn.validate()[1] > 0.7",
            "len(early.layer_groups) == 3",
            "isinstance(own.model[0], nn.Module) and own.model[0][0][0].out_channels == 16",
            "-1 <= y.min() and y.max() <= 1",
        ),
    ),
    "08_callbacks": Facts(
        (
            "learn.recorder.plot_lr(show_moms=True)",
            "learn.fit(3, callbacks=[FlatCosAnnealScheduler(",
            "learn.fit(3, callbacks=[GeneralScheduler(",
            "learn.recorder.plot(suggestion=True)",
            "learn = new_learner(callback_fns=[partial(CSVLogger",
            "stats = ActivationStats(",
            "learn.recorder.plot_metrics()",
            "def mixed_pictures(",
        ),
        ("best > 0.8", "first == 2", "rare.classes == ['0', '1']", "again.validate()[1] > 0.8"),
    ),
    "09_metrics": Facts(
        ("learn.recorder.plot_metrics()",),
        (
            "sizes == [25, 25, 10]",
            "abs(told - whole) < 1e-6",
            "min(of_labels.per_class) > 0.7",
            "confusion.matrix.sum() == 60",
            "learn.recorder.rows[-1].metrics['auroc'] > 0.9",
        ),
    ),
    "10_several_labels": Facts(
        (
            "data.show_batch(rows=2)",
            "learn.show_results(rows=3)",
            "interpretation.plot_multi_top_losses(4)",
            "interpretation.plot_confusion_matrix()",
        ),
        ("interpretation.accuracy > 0.6", "set(learn.predict(picture, thresh=0.0)[1].tolist()) == {1.0}"),
    ),
    "11_inference": Facts(
        ("Image.open(picture)", "learn.show_results(rows=3)", "learn.show_results(DatasetType.Test, rows=2)"),
        (
            "plain > 0.7",
            "accuracy(averaged, targets) > 0.7",
            "abs(learn.validate()[1] - plain) < 1e-6",
            "abs(learn.predict(picture.read_bytes())[2] - probabilities).max() == 0",
            "abs(learn.predict(Image.open(picture))[2] - probabilities).max() < 0.1",
        ),
    ),
    "12_interpretation": Facts(
        (
            "interpretation.plot_top_losses(9)",
            "interpretation.plot_top_losses(6, heatmap=True",
            "interpretation.plot_top_losses(3, largest=False",
            "interpretation.plot_confusion_matrix()",
            "interpretation.plot_confusion_matrix(normalize=True",
            "masks.plot_top_losses(2)",
            "masks.show_xyz(0)",
            "masks.plot_intersect_cm(",
        ),
        (
            "interpretation.accuracy > 0.7",
            "heat.max() > 0",
            "masks.accuracy > 0.4",
            "found.curves[0].auroc > 0.7",
            "0 < found.calibration.ece < 0.5",
        ),
    ),
    "13_files": Facts(
        (),
        ("before == again and before != after", "same", "fresh.validate() == before", "len(messages) == 6"),
    ),
}


@pytest.fixture(scope="module")
def kernel() -> Iterator[AsyncKernelManager]:
    """One for all notebooks, since most of a small one's time is the import of torch. Names are cleared between."""
    manager = AsyncKernelManager(kernel_name="python3")
    yield manager
    if manager.has_kernel:
        run_sync(manager.shutdown_kernel)(now=True)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook-data")


@pytest.fixture(scope="module")
def class_folders(data_root: Path) -> Path:
    return class_folders_in(data_root / "digits")


@pytest.fixture(scope="module")
def scenes(data_root: Path) -> Path:
    return scenes_in(data_root / "scenes")


@pytest.fixture(scope="module")
def photos(data_root: Path) -> Path:
    return photos_in(data_root / "photos")


def executed(name: str, kernel: AsyncKernelManager, folder: Path, **settings: object) -> nbformat.NotebookNode:
    """The notebook with its outputs, also written into `folder`."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    values = {"LEARNFLEET_WORK": str(folder), **{key: str(value) for key, value in settings.items()}}
    first = f"%reset -f\nimport os\nos.environ.update({values!r})\nos.chdir({str(folder)!r})\ndel os"
    last = "\n".join(f"assert {fact}, {fact!r}" for fact in FACTS[name].holds)
    notebook.cells = [nbformat.v4.new_code_cell(first), *notebook.cells, nbformat.v4.new_code_cell(last)]
    NotebookClient(notebook, km=kernel, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    notebook.cells = notebook.cells[1:-1]
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return notebook


def shows_what_it_is_to_show(name: str, notebook: nbformat.NotebookNode) -> None:
    drawing = [(cell, pictures) for cell in notebook.cells if (pictures := pictures_of(cell))]
    starts = FACTS[name].pictures
    assert len(drawing) == len(starts), [cell.source for cell, _ in drawing]
    for (cell, pictures), start in zip(drawing, starts, strict=True):
        assert any(line.startswith(start) for line in cell.source.splitlines()), (start, cell.source)
        for picture in pictures:
            assert min(picture.shape[:2]) >= _LEAST_PIXELS, (start, picture.shape)
            assert picture.std() > 10, f"{start}: a blank picture"
    assert not told_on_stderr(notebook)


def pictures_of(cell: nbformat.NotebookNode) -> list[np.ndarray]:
    """uint8 [H, W, 3] each."""
    content = [output.data["image/png"] for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in content]


def told_on_stderr(notebook: nbformat.NotebookNode) -> list[str]:
    """Lines that no library of others is known to write."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    text = "".join(output.text for output in outputs if output.get("name") == "stderr")
    return [line for line in text.splitlines() if line.strip() and not any(known in line for known in _OF_OTHERS)]


def _slow(name: str) -> ParameterSet:
    """A notebook that `make test-slow` runs: it takes ten seconds or more."""
    return pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "name",
    [
        "01_classification",
        "02_data",
        _slow("03_training"),
        "05_language_model",
        _slow("08_callbacks"),
        "09_metrics",
        _slow("13_files"),
    ],
)
def test_a_notebook_runs(name: str, kernel: AsyncKernelManager, class_folders: Path, tmp_path: Path) -> None:
    notebook = executed(name, kernel, tmp_path, LEARNFLEET_PICTURES=class_folders)
    shows_what_it_is_to_show(name, notebook)


@pytest.mark.parametrize("name", [_slow("04_segmentation"), "10_several_labels"])
def test_a_notebook_runs_on_street_scenes(name: str, kernel: AsyncKernelManager, scenes: Path, tmp_path: Path) -> None:
    notebook = executed(name, kernel, tmp_path, LEARNFLEET_SCENES=scenes, LEARNFLEET_WEIGHTS=weights_file())
    shows_what_it_is_to_show(name, notebook)


@pytest.mark.parametrize("name", [_slow("07_models"), _slow("11_inference")])
def test_a_notebook_runs_on_photos(name: str, kernel: AsyncKernelManager, photos: Path, tmp_path: Path) -> None:
    notebook = executed(name, kernel, tmp_path, LEARNFLEET_PHOTOS=photos, LEARNFLEET_WEIGHTS=weights_file())
    shows_what_it_is_to_show(name, notebook)


@pytest.mark.slow
def test_the_interpretation_notebook_runs_on_photos_and_street_scenes(
    kernel: AsyncKernelManager, photos: Path, scenes: Path, tmp_path: Path
) -> None:
    settings = {"LEARNFLEET_PHOTOS": photos, "LEARNFLEET_SCENES": scenes, "LEARNFLEET_WEIGHTS": weights_file()}
    shows_what_it_is_to_show("12_interpretation", executed("12_interpretation", kernel, tmp_path, **settings))


def test_the_service_notebook_runs_against_a_server(
    server: LocalServer, pictures: Path, kernel: AsyncKernelManager, tmp_path: Path
) -> None:
    class_folders_in(pictures / "notebook-digits")
    settings = {"LEARNFLEET_PICTURES": "notebook-digits", "LEARNFLEET_ADDRESS": server.address}
    with Client.connect(server.address) as client:
        before = {learner.name for learner in client.learners()}
        notebook = executed("06_service", kernel, tmp_path, **settings)
        (made,) = (learner for learner in client.learners() if learner.name not in before)
    assert made.epochs_trained == 5  # the one that has looked at the data is gone
    shows_what_it_is_to_show("06_service", notebook)
    (fit,) = (cell for cell in notebook.cells if cell.source.startswith("learn.fit_one_cycle("))
    (shown,) = (output.data["text/html"] for output in fit.outputs if output.output_type == "display_data")
    assert shown.count("<table") == shown.count("<svg") == 1, "one output, which has changed in place"
    assert shown.count("<tr>") == 1 + 5
    assert "<progress" not in shown


def test_every_notebook_has_its_facts_and_is_kept_without_outputs() -> None:
    assert sorted(FACTS) == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    for path in NOTEBOOKS.glob("*.ipynb"):
        content = json.loads(path.read_text())
        assert all(not cell.get("outputs") for cell in content["cells"]), path.name

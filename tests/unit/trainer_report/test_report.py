"""The page of an interpretation: what is on it, and that nothing of the data becomes code."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.interpretations import HOSTILE, an_interpretation

from learnfleet.trainer.report import REPORT_FILE, render_report, write_report
from learnfleet.trainer.report.confusion import MOST_CLASSES, MOST_LABELS


class Page(HTMLParser):
    """Elements of a page, by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.bodies: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        self.bodies[self._inside] = self.bodies.get(self._inside, "") + data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interpretation")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    return an_interpretation(folder)


@pytest.fixture(scope="module")
def page(found: dict[str, Any], folder: Path) -> Page:
    return Page(render_report(found, folder))


def test_every_part_has_its_section_and_the_navigation_leads_to_it(page: Page) -> None:
    sections = {element["id"] for element in page.all("section")}
    links = {str(element["href"]).removeprefix("#") for element in page.all("a") if element.get("class") != "skip"}
    assert links == {*sections, "overview"}
    assert len(sections) == 10


def test_parts_that_were_not_asked_for_have_no_section(found: dict[str, Any], folder: Path) -> None:
    few = {
        name: value for name, value in found.items() if name not in ("calibration", "curves", "slices", "comparison")
    }
    sections = {element["id"] for element in Page(render_report({**few, "label_issues": []}, folder)).all("section")}
    assert sections == {"confusion", "classes", "pictures", "duplicates", "outliers"}


def test_what_jobs_of_earlier_versions_have_left_can_be_shown(folder: Path) -> None:
    old = {
        "classes": ["a", "b"], "examples": 2, "accuracy": 0.5, "loss": 1.0, "kind": "category", "skipped_images": 0,
        "confusion_matrix": [[1, 0], [1, 0]], "most_confused": [],
        "top_losses": [{"index": 0, "path": "x", "predicted": "a", "actual": "b", "loss": 1.7e308, "probability": 0.0}],
    }  # fmt: skip
    assert "no picture" in "".join(Page(render_report(old, folder)).texts)


def test_names_of_classes_and_files_are_text_and_never_elements(page: Page) -> None:
    assert len(page.all("script")) == 1
    assert page.all("img", src="x") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert any(HOSTILE in text for text in page.texts)


def test_the_page_names_nothing_that_would_have_to_be_fetched(page: Page) -> None:
    sources = [attributes.get(name) for _, attributes in page.elements for name in ("src", "href")]
    assert all(source is None or source.startswith(("data:image/", "#")) for source in sources)
    assert page.all("link") == []
    assert "url(" not in page.bodies["style"]


def test_its_policy_lets_its_own_script_and_style_run_and_nothing_else(page: Page) -> None:
    (policy,) = [item for item in page.all("meta") if item.get("http-equiv") == "Content-Security-Policy"]
    said = dict(part.split(" ", 1) for part in str(policy["content"]).split("; "))
    assert said["default-src"] == "'none'"
    assert said["img-src"] == "data:"
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(page.bodies[tag].encode()).digest()).decode()
        assert said[directive] == f"'sha256-{digest}'"


def test_cells_of_the_confusion_matrix_hold_the_counts(page: Page, found: dict[str, Any]) -> None:
    cells = [int(str(cell["data-count"])) for cell in page.all("td") if "data-count" in cell]
    assert cells == [count for row in found["confusion_matrix"] for count in row]


def test_of_very_many_classes_those_with_the_most_errors_are_shown(found: dict[str, Any], folder: Path) -> None:
    n = MOST_CLASSES + 20
    counts = [[(9 if a == p else 0) + (3 if a == n - 1 and p == 0 else 0) for p in range(n)] for a in range(n)]
    many = {**found, "classes": [f"class {c}" for c in range(n)], "confusion_matrix": counts}
    text = render_report(many, folder)
    cells = [cell for cell in Page(text).all("td") if "data-count" in cell]
    assert len(cells) == MOST_CLASSES**2
    assert re.search(rf'<th scope="row" title="class {n - 1}"', text)


@pytest.mark.parametrize(("said_void", "columns"), [(0, 2), (4, 3)])
def test_what_is_left_out_has_no_row_and_a_column_only_if_it_was_predicted(
    found: dict[str, Any], folder: Path, said_void: int, columns: int
) -> None:
    counts = [[7, 1, said_void], [2, 9, 0], [0, 0, 0]]
    masks = {**found, "kind": "mask", "classes": ["road", "sky", "Void"], "confusion_matrix": counts}
    text = render_report({**masks, "void_class": "Void", "label_confusion": []}, folder)
    cells = [int(str(cell["data-count"])) for cell in Page(text).all("td") if "data-count" in cell]
    assert cells == [count for row in counts[:2] for count in row[:columns]]
    assert '<th scope="row" title="Void">' not in text


def test_pictures_outside_the_folder_are_never_on_the_page(found: dict[str, Any], folder: Path) -> None:
    secret = folder.parent / "secret.png"
    secret.write_bytes(b"\x89PNG secret")
    item = {**found["top_losses"][0], "picture": "../secret.png", "heat_map": str(secret)}
    text = render_report({**found, "top_losses": [item]}, folder)
    assert base64.b64encode(b"\x89PNG secret").decode() not in text


def test_it_is_written_in_one_step(found: dict[str, Any], tmp_path: Path) -> None:
    path = write_report(found, tmp_path)
    assert (path.name, [each.name for each in tmp_path.iterdir()]) == (REPORT_FILE, [REPORT_FILE])


def test_masks_have_iou_and_no_pictures_to_filter_by_class(found: dict[str, Any], folder: Path) -> None:
    page = Page(render_report({**found, "kind": "mask", "void_class": "Void"}, folder))
    assert "IoU" in page.texts
    assert page.all("select", name="actual") == []
    assert not [button for button in page.all("button") if "data-actual" in button]


def test_several_labels_have_a_matrix_of_yes_and_no_each(found: dict[str, Any], folder: Path) -> None:
    counts = [[[100 + place, 7 + place], [4, 69]] for place in range(3)]
    several = {**found, "kind": "multi_category", "confusion_matrix": [], "label_confusion": counts}
    page = Page(render_report(several, folder))
    assert [table["data-label"] for table in page.all("table") if "data-label" in table] == ["ant", "bee", HOSTILE]
    cells = [int(str(cell["data-count"])) for cell in page.all("td") if "data-count" in cell]
    assert cells == [count for label in counts for row in label for count in row]
    assert page.all("section", id="labels")
    assert not page.all("section", id="confusion")


def test_of_very_many_labels_those_with_the_most_errors_have_theirs(found: dict[str, Any], folder: Path) -> None:
    n = MOST_LABELS + 5
    many = {
        **found,
        "kind": "multi_category",
        "classes": [f"label {place}" for place in range(n)],
        "confusion_matrix": [],
        "label_confusion": [[[10, place], [0, 10]] for place in range(n)],
    }
    page = Page(render_report(many, folder))
    named = [table["data-label"] for table in page.all("table") if "data-label" in table]
    assert named == [f"label {place}" for place in range(5, n)]

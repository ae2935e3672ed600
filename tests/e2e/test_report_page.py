"""The page of an interpretation in a real browser: it sorts, filters and enlarges, and nothing of the data is code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from support.browser import browser, needs_browser
from support.interpretations import HOSTILE, an_interpretation

from learnfleet.trainer.report import write_report

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = needs_browser


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("interpretation")
    value = an_interpretation(folder)
    return write_report(value, folder), value


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


@pytest.fixture
def page(chrome: Chrome, found: tuple[Path, dict[str, Any]]) -> Chrome:
    chrome.get(found[0].as_uri())
    return chrome


def all_of(page: Chrome, selector: str) -> list[WebElement]:
    return page.find_elements("css selector", selector)


def texts(page: Chrome, selector: str) -> list[str]:
    return [element.text for element in all_of(page, selector)]


def choose(page: Chrome, name: str, value: str) -> None:
    from selenium.webdriver.support.select import Select

    Select(page.find_element("css selector", f"#filters [name={name}]")).select_by_visible_text(value)


def shown(page: Chrome) -> list[WebElement]:
    return all_of(page, "#grid .card:not([hidden])")


def test_class_names_and_paths_that_are_scripts_do_not_run_and_nothing_is_fetched(page: Chrome) -> None:
    assert page.execute_script("return window.owned") is None
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert HOSTILE in texts(page, "[data-table=classes] tbody th")


def test_a_script_that_got_into_the_page_would_not_run(page: Chrome) -> None:
    inserted = "const made = document.createElement('script'); made.textContent = 'window.owned = 3';"
    page.execute_script(f"{inserted} document.body.append(made)")
    assert page.execute_script("return window.owned") is None


def test_headings_sort_their_table_both_ways(page: Chrome, found: tuple[Path, dict[str, Any]]) -> None:
    recalls = [f"{100 * row['recall']:.1f} %" for row in found[1]["class_report"]]
    heading = page.find_element("css selector", "[data-table=classes] th:nth-child(3)")
    heading.find_element("tag name", "button").click()
    column = "[data-table=classes] tbody td:nth-child(3)"
    assert (texts(page, column), heading.get_attribute("aria-sort")) == (sorted(recalls, reverse=True), "descending")
    heading.find_element("tag name", "button").click()
    assert (texts(page, column), heading.get_attribute("aria-sort")) == (sorted(recalls), "ascending")


def test_pictures_are_filtered_by_class_and_by_error(page: Chrome, found: tuple[Path, dict[str, Any]]) -> None:
    items = found[1]["top_losses"]
    choose(page, "actual", HOSTILE)
    wanted = [item["index"] for item in items if item["actual"] == HOSTILE]
    assert [int(str(card.get_attribute("data-index"))) for card in shown(page)] == wanted
    page.find_element("css selector", "#filters [name=wrong]").click()
    wrong = [item for item in items if item["actual"] == HOSTILE != item["predicted"]]
    assert len(shown(page)) == len(wrong)
    assert texts(page, "#filters output") == [f"{len(wrong)} of {len(items)}"]
    page.find_element("css selector", "#filters [name=path]").send_keys("no such file")
    assert (shown(page), page.find_element("id", "nothing").is_displayed()) == ([], True)


def test_a_cell_of_the_confusion_matrix_shows_its_pictures(page: Chrome, found: tuple[Path, dict[str, Any]]) -> None:
    cell = page.find_element("css selector", '.matrix button[data-actual="ant"][data-predicted="bee"]')
    page.execute_script("arguments[0].click()", cell)
    pairs = {(card.get_attribute("data-actual"), card.get_attribute("data-predicted")) for card in shown(page)}
    assert (pairs, cell.get_attribute("aria-pressed")) == ({("ant", "bee")}, "true")
    page.find_element("css selector", "[data-show=row]").click()
    total = sum(found[1]["confusion_matrix"][0])
    assert cell.text == f"{round(100 * found[1]['confusion_matrix'][0][1] / total)}%"


def test_a_picture_is_enlarged_and_the_next_one_follows_with_the_keyboard(page: Chrome) -> None:
    from selenium.webdriver.common.keys import Keys

    page.find_element("css selector", "#grid .card .open").send_keys(Keys.ENTER)
    viewer = page.find_element("id", "viewer")
    first = page.find_element("css selector", "#viewer .shot").get_attribute("src")
    assert viewer.get_attribute("open")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.find_element("css selector", "#viewer .shot").get_attribute("src") != first
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not viewer.get_attribute("open")


@pytest.mark.parametrize("dark", [False, True])
def test_it_has_a_light_and_a_dark_face(dark: bool, found: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with browser(dark=dark) as driver:
        driver.get(found[0].as_uri())
        driver.save_screenshot(str(tmp_path / "page.png"))
    with Image.open(tmp_path / "page.png") as picture:
        corner = picture.convert("L").getpixel((5, 5))
    assert isinstance(corner, int)
    assert (corner < 60) == dark

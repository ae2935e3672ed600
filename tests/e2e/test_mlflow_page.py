"""MLflow's own pages in a real browser: the run of an interpretation, and the report in its artifact view."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from support.browser import browser, needs_browser
from support.interpretations import HOSTILE, an_interpretation
from support.mlflow_server import MlflowServer
from support.tracked_jobs import NOW, FaultyMlflow, start_job
from support.tracking import Tracking

from learnfleet.server.config import Config
from learnfleet.server.domain import InterpretWork, Job, JobKind, JobState, Learner, Resources
from learnfleet.server.tracking.mlflow_client import mlflow_client
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE
from learnfleet.trainer.report import write_report
from learnfleet.trainer.spec import DataSpec, LearnerSpec

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_browser]

_PATIENCE_S = 120.0


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[MlflowServer]:
    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


def interpreted(tracking: Tracking) -> str:
    """The URL fragment of the run of an interpretation that the exporter has sent."""
    store, config = tracking.store, tracking.config
    learner = Learner("insects", LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)
    work = InterpretWork()
    job = Job("look", "insects", JobKind.INTERPRET, work, Resources(), JobState.QUEUED, "waits", NOW, datetime.now(UTC))
    store.create_job(job, learner=learner, fingerprint="f")
    folder = config.job_dir("insects", "look") / INTERPRETATION_DIR
    found = an_interpretation(folder)
    (folder / INTERPRETATION_FILE).write_text(json.dumps(found))
    write_report(found, folder)
    start_job(store, "look")
    store.transition("look", JobState.SUCCEEDED, result={"interpretation_id": "look"})
    tracking.step_for(5)
    run = tracking.run_of("jobs/look")
    return f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def until_there(chrome: Chrome, selector: str) -> None:
    from selenium.webdriver.support import expected_conditions
    from selenium.webdriver.support.wait import WebDriverWait

    there = expected_conditions.presence_of_element_located(("css selector", selector))
    WebDriverWait(chrome, _PATIENCE_S).until(there)


def test_mlflow_shows_the_run_and_its_report_works_in_the_artifact_view(mlflow: MlflowServer, tmp_path: Path) -> None:
    config = Config(tmp_path / "data", mlflow_uri=mlflow.uri)
    config.data_dir.mkdir()
    tracking = Tracking(config, FaultyMlflow(mlflow_client(config)))
    try:
        run = interpreted(tracking)
    finally:
        tracking.store.close()
    with browser(height=1400) as chrome:
        chrome.get(f"{mlflow.uri}/{run}/artifacts/{INTERPRETATION_DIR}/report.html")
        until_there(chrome, "iframe")
        chrome.save_screenshot(str(tmp_path / "mlflow.png"))
        assert "jobs/look" in chrome.page_source
        chrome.switch_to.frame(chrome.find_element("css selector", "iframe"))
        until_there(chrome, "h1")
        names = [cell.text for cell in chrome.find_elements("css selector", "[data-table=classes] tbody th")]
        assert names == ["ant", "bee", HOSTILE]
        heading = chrome.find_element("css selector", "[data-table=classes] th:nth-child(3) button")
        chrome.execute_script("arguments[0].click()", heading)
        assert chrome.find_elements("css selector", "th[aria-sort=descending]")
        assert chrome.execute_script("return window.owned") is None
    with Image.open(tmp_path / "mlflow.png") as picture:
        assert len(picture.convert("L").getcolors() or ()) > 20  # not a blank page

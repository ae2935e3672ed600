"""What a notebook shows of a job, as HTML made of its events."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from learnfleet.client.events import (
    BadImage,
    BatchFinished,
    EpochFinished,
    Event,
    LogLine,
    Payload,
    StageStarted,
    StateChanged,
)
from learnfleet.client.graph import loss_graph, thinned
from learnfleet.client.live_notebook import Page

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)


def a_page(*payloads: Payload) -> Page:
    """Of events a second apart."""
    page = Page()
    for second, payload in enumerate(payloads):
        page.take(Event(second + 1, BEGAN + timedelta(seconds=second), 1, "", payload))
    return page


def batch(number: int, *, epoch: int = 0, stage: int = 0) -> BatchFinished:
    step = epoch * 10 + number
    return BatchFinished(stage, epoch, 2, number, 10, step, 2.0 / step, 1e-3, 0.9, 120.0, 65.0)


def row(epoch: int, *, stage: int = 0, valid_loss: float | None = 0.4) -> EpochFinished:
    return EpochFinished(stage, epoch, 10 * (epoch + 1), 0.5, valid_loss, {"accuracy": 0.9} if valid_loss else {}, 5.0)


def test_a_running_job_has_its_table_two_bars_and_a_graph() -> None:
    page = a_page(
        StateChanged("RUNNING", ""),
        *(batch(n) for n in range(1, 11)),
        row(0),
        *(batch(n, epoch=1) for n in (1, 2, 3)),
    )
    html = page.html()
    assert re.findall(r"<th [^>]*>([^<]*)", html) == ["epoch", "train_loss", "valid_loss", "accuracy", "time"]
    assert re.findall(r"<td[^>]*>([^<]*)", html) == ["0", "0.500000", "0.400000", "0.900000", "00:05"]
    assert re.findall(r'<progress value="(\d+)" max="(\d+)"', html) == [("13", "20"), ("3", "10")]
    assert "epoch 2/2 [00:13 passed, 01:05 left]" in html
    assert "batch 3/10 [loss 0.1538, lr 1.00e-03, 120 pictures/s]" in html
    assert html.count("<svg") == 1


def test_of_a_job_that_is_over_only_tables_and_graph_are_left() -> None:
    page = a_page(StateChanged("RUNNING", ""), batch(1), batch(10), row(0), row(1), StateChanged("SUCCEEDED", ""))
    assert "<progress" not in page.html()
    assert page.html().count("<table") == page.html().count("<svg") == 1


def test_stages_have_tables_of_their_own_with_what_they_did() -> None:
    stages = (StageStarted(0, "fit(1) of the head", 1), row(0, valid_loss=None), StageStarted(1, "fit <2>", 1))
    html = a_page(*stages, row(0, stage=1)).html()
    assert html.count("<table") == 2
    assert html.index("fit(1) of the head") < html.index("fit &lt;2&gt;")


def test_a_person_is_told_what_went_wrong_and_nothing_is_taken_for_html() -> None:
    html = a_page(
        BadImage("<b>.jpg", "truncated", "skip"),
        LogLine("warning", "odd"),
        StateChanged("FAILED", "the loss is no number"),
    ).html()
    assert "broken picture &lt;b&gt;.jpg: truncated (left out)" in html
    assert "warning: odd" in html
    assert "failed: the loss is no number" in html


def test_many_notices_are_counted_and_the_last_shown() -> None:
    html = a_page(*(LogLine("warning", f"number {n}") for n in range(50))).html()
    assert "(30 earlier notices)" in html
    assert "number 49" in html
    assert "number 29" not in html


def test_a_waiting_job_says_why() -> None:
    assert "queued: needs 2 slots" in a_page(StateChanged("QUEUED", "needs 2 slots")).html()


def test_a_graph_is_valid_svg_with_every_point_inside() -> None:
    train = [(float(step), 1000.0 if step < 3 else 2.0 / step) for step in range(1, 2000)]
    drawn = ElementTree.fromstring(loss_graph(train, [(1000.0, 0.5), (1999.0, float("nan"))], 3000.0))
    lines = [item for item in drawn.iter() if item.tag.endswith("polyline")]
    points = [tuple(map(float, pair.split(","))) for line in lines for pair in line.attrib["points"].split()]
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    assert 100 < len(points) < 400
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


def test_a_graph_of_nothing_is_none() -> None:
    assert loss_graph([], [], 10.0) == loss_graph([(1.0, 0.5)], [], 10.0) == ""
    assert len(thinned([(float(n), 1.0) for n in range(100_000)])) < 400

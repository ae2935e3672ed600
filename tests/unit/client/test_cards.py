"""How a notebook shows jobs, learners, checkpoints, models and interpretations: small tables, safe to show."""

from __future__ import annotations

from datetime import UTC, datetime

from learnfleet.client import Client, ImageDataBunch, ModelVersion
from learnfleet.client.figures import Picture
from learnfleet.client.found import ConfusedPair, Found, TopLoss
from learnfleet.client.interpretation import Interpretation
from learnfleet.client.results import CheckpointInfo, JobInfo
from learnfleet.v1 import job_pb2

SCRIPT = "<script>"


def a_found(**changed: object) -> Found:
    worst = TopLoss(3, "valid/a.png", "cat", "dog", 4.5, 0.01)
    given: dict[str, object] = {
        "name": "interpretations/i",
        "learner": "learners/pets",
        "checkpoint": "learners/pets/checkpoints/c",
        "classes": ("cat", "dog"),
        "examples": 8,
        "accuracy": 0.75,
        "loss": 0.5,
        "confusion_matrix": ((3, 1), (1, 3)),
        "most_confused": (ConfusedPair("cat", "dog", 1), ConfusedPair("dog", "cat", 1)),
        "top_losses": (worst,),
        "pictures": (Picture("top_losses", "image/png", b"png"),),
        "skipped_images": 0,
    }
    return Found(**{**given, **changed})  # type: ignore[arg-type]


def test_a_job_is_a_table_of_its_state_and_time_in_utc() -> None:
    message = job_pb2.Job(name="jobs/j", learner="learners/pets", state=job_pb2.JOB_STATE_QUEUED, state_reason=SCRIPT)
    message.create_time.FromDatetime(datetime(2030, 1, 1, 12, tzinfo=UTC))
    info = JobInfo.from_proto(message)
    assert info.create_time == datetime(2030, 1, 1, 12, tzinfo=UTC)
    html = info._repr_html_()
    assert "2030-01-01 12:00:00 UTC" in html
    assert "queued: &lt;script&gt;" in html
    assert SCRIPT not in html


def test_a_learner_that_is_not_on_the_server_yet_shows_what_it_will_be() -> None:
    with Client.connect("127.0.0.1:1") as client:
        learn = client.cnn_learner(ImageDataBunch.from_folder("pets"), "resnet18", name="pets")
        html = learn._repr_html_()
    assert all(text in html for text in ("learners/pets", "resnet18", "not on the server yet"))


def test_a_checkpoint_and_a_model_are_named() -> None:
    checkpoint = CheckpointInfo("learners/pets/checkpoints/c", 10, 2, "abcdef" * 10, "", 44_800_000)
    assert "44.8 MB" in checkpoint._repr_html_()
    assert "models/pets/versions/3" in ModelVersion.from_name("models/pets/versions/3")._repr_html_()


def test_an_interpretation_shows_what_is_confused_and_the_worst_items() -> None:
    html = Interpretation(a_found())._repr_html_()
    assert all(text in html for text in ("0.7500", "valid/a.png", "learners/pets"))
    assert html.count("<table") == 3


def test_an_interpretation_has_the_trainers_methods() -> None:
    found = Interpretation(a_found())
    assert found.most_confused(min_val=1) == [("cat", "dog", 1), ("dog", "cat", 1)]
    assert found.most_confused(min_val=2) == []
    assert found.confusion_matrix().tolist() == [[3, 1], [1, 3]]
    values, indices = found.top_losses(1)
    assert (values.tolist(), indices.tolist()) == ([4.5], [3])
    assert (found.accuracy, found.mean_loss, found.classes) == (0.75, 0.5, ["cat", "dog"])


def test_a_plot_of_another_number_of_pictures_is_drawn_anew() -> None:
    more = Interpretation(a_found(top_losses=a_found().top_losses * 3))
    asked: list[int] = []
    found = Interpretation(a_found(), lambda count: asked.append(count) or more)  # type: ignore[func-returns-value]
    assert found.plot_top_losses(3, figsize=(2, 3))._repr_png_() == (b"png", {"width": 144, "height": 216})
    assert found.plot_top_losses()._repr_png_() == b"png"
    assert asked == [3]

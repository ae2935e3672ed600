"""How a notebook shows jobs, learners, checkpoints, models and interpretations: small tables, safe to show."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from PIL import Image

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
    asked: list[tuple[int, bool]] = []

    def again(count: int, largest: bool) -> Interpretation:
        asked.append((count, largest))
        return more

    found = Interpretation(a_found(), again)
    assert found.plot_top_losses(3, figsize=(2, 3))._repr_png_() == (b"png", {"width": 144, "height": 216})
    assert found.plot_top_losses()._repr_png_() == b"png"
    assert asked == [(3, True)]
    with pytest.raises(ValueError, match="'least_losses' was not drawn"):  # by what stands for the server here
        found.plot_top_losses(2, largest=False)
    assert asked[1:] == [(2, False)]
    with pytest.raises(ValueError, match=r"ask interpret\(least_losses=2\)"):
        Interpretation(a_found()).plot_top_losses(2, largest=False)


TABLE = b"""index,path,predicted,actual,loss,probability
3,valid/a.png,cat,dog,4.5,0.01
0,"valid/b,c.png",dog,dog,0.25,0.78
1,valid/d.png,cat,cat,0.125,
"""


def test_all_losses_are_read_from_the_table_once_either_end_first() -> None:
    reads: list[str] = []
    listed = a_found(files=("losses.csv",), examples=3)
    found = Interpretation(listed, None, lambda name: reads.append(name) or TABLE)  # type: ignore[func-returns-value]
    assert found.top_losses(1).indices.tolist() == [3]  # is known without it
    assert reads == []
    assert found.top_losses().values.tolist() == [4.5, 0.25, 0.125]
    assert found.top_losses(2, largest=False).indices.tolist() == [1, 0]
    worst, middle, least = found.describe_top_losses(3)
    assert worst is listed.top_losses[0]
    assert (middle.path, middle.probability, least.probability) == ("valid/b,c.png", 0.78, 0.0)
    assert reads == ["losses.csv"]
    with pytest.raises(ValueError, match="4 losses of 3 items cannot be listed"):
        found.top_losses(4)


def test_a_confusion_matrix_of_another_look_is_drawn_here() -> None:
    found = Interpretation(a_found(pictures=(Picture("confusion_matrix", "image/png", b"of the server"),)))
    assert found.plot_confusion_matrix().content == b"of the server"
    for normalize in (False, True):
        drawn = found.plot_confusion_matrix(normalize, title="Pets", cmap="Greens", figsize=(4, 3), dpi=50)
        assert Image.open(io.BytesIO(drawn.content)).size == (200, 150)
    with pytest.raises(ValueError, match="only of a matrix of single classes"):
        Interpretation(a_found(confusion_matrix=())).plot_confusion_matrix(dpi=60)

"""The main job through a real server: train with two workers, predict, interpret, export, and what MLflow holds."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from support.mlflow_server import until

from learnfleet.client import (
    Client,
    ImageDataBunch,
    InvalidArgumentError,
    ModelVersion,
    NotFoundError,
    Prediction,
    RemoteLearner,
)
from learnfleet.client.results import TrackingRun

DIGITS = [str(digit) for digit in range(10)]


def artifacts_of(run: TrackingRun, folder: str = "interpretation") -> set[str]:
    from mlflow.tracking import MlflowClient

    return {item.path for item in MlflowClient(run.tracking_uri).list_artifacts(run.run_id, folder)}


@pytest.fixture(scope="module")
def learn(client: Client) -> RemoteLearner:
    """A learner trained for four epochs by two workers."""
    data = ImageDataBunch.from_folder("digits", size=32, bs=16, normalize="auto")
    learn = client.cnn_learner(
        data, "resnet18", pretrained=False, metrics=["accuracy", "error_rate"], num_workers=2, name="digits"
    )
    learn.fit_one_cycle(4, 3e-3)
    return learn


def test_the_epoch_table_has_a_row_an_epoch_with_losses_and_metrics(learn: RemoteLearner) -> None:
    rows = learn.recorder.rows
    assert [row.epoch for row in rows] == [0, 1, 2, 3]
    assert rows[-1].metrics["accuracy"] + rows[-1].metrics["error_rate"] == pytest.approx(1)
    assert rows[-1].metrics["accuracy"] > 0.5


def test_the_job_went_through_its_states_in_order_and_its_events_are_numbered_without_gaps(
    learn: RemoteLearner,
) -> None:
    events = list(learn.last_job.watch())
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    states = [event.payload.state for event in events if event.kind == "state_changed"]
    assert states == ["QUEUED", "STARTING", "RUNNING", "SUCCEEDED"]


def test_a_watch_tells_of_progress_epochs_checkpoints_and_pictures_in_their_order(learn: RemoteLearner) -> None:
    events = list(learn.last_job.watch())
    kinds = [event.kind for event in events]
    firsts = ["data_read", "stage_started", "batch_finished", "epoch_finished", "checkpoint_saved"]
    assert [kinds.index(kind) for kind in firsts] == sorted(kinds.index(kind) for kind in firsts)
    assert (kinds.count("epoch_finished"), kinds[-1]) == (4, "state_changed")
    assert "picture_drawn" in kinds
    batches = [event.payload for event in events if event.kind == "batch_finished"]
    assert [batch.step for batch in batches] == sorted({batch.step for batch in batches})
    assert all(0 < batch.batch <= batch.batches and batch.eta_s >= 0 for batch in batches)
    assert batches[-1].eta_s <= max(batch.eta_s for batch in batches)


def test_a_held_out_picture_gets_class_index_and_probabilities(learn: RemoteLearner, pictures: Path) -> None:
    picture = next((pictures / "digits" / "held_out" / "0").iterdir())
    prediction = learn.predict(picture)
    assert prediction.class_name in DIGITS
    assert DIGITS[prediction.index] == prediction.class_name
    assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-6)
    assert prediction.probability == max(prediction.probabilities)


def test_an_interpretation_counts_every_validation_picture_and_draws_its_plots(
    learn: RemoteLearner, pictures: Path, tmp_path: Path
) -> None:
    interpretation = learn.interpret()
    n_valid = sum(1 for _ in (pictures / "digits" / "valid").rglob("*.png"))
    assert interpretation.confusion_matrix().sum() == n_valid == interpretation.examples
    losses = interpretation.top_losses().values.tolist()
    assert losses == sorted(losses, reverse=True)
    assert all((pictures / "digits" / item.path).is_file() for item in interpretation.describe_top_losses())
    for picture in (interpretation.plot_confusion_matrix(), interpretation.plot_top_losses()):
        assert Image.open(io.BytesIO(Path(picture.save(tmp_path / "plot.png")).read_bytes())).size > (100, 100)


def test_an_export_is_a_model_version_that_answers_as_the_learner_does(
    client: Client, learn: RemoteLearner, pictures: Path
) -> None:
    picture = next((pictures / "digits" / "held_out" / "3").iterdir())
    version = learn.export("digits", aliases=["champion"])
    by_learner = learn.predict(picture)
    for name in (version.name, "models/digits@champion"):
        answer = client.predict(name, picture)
        assert answer.class_name == by_learner.class_name
        assert answer.probabilities == pytest.approx(by_learner.probabilities, abs=1e-6)
    check_onnx_and_aliases(client, version, picture, by_learner)


def check_onnx_and_aliases(client: Client, version: ModelVersion, picture: Path, by_learner: Prediction) -> None:
    """The version's ONNX, made by a worker, answers as the learner; the registry says what the job said."""
    import mlflow.artifacts
    import onnxruntime

    from learnfleet.trainer import load_predictor
    from learnfleet.trainer.model_card import read_card

    assert version.onnx is not None
    assert version.onnx.not_made == ""
    found = client.models.version("models/digits@champion")
    assert (found.name, found.onnx) == (version.name, version.onnx)
    uri = f"{client.job(found.job).wait_tracked(timeout=60).tracking_uri}"
    mlflow.set_tracking_uri(uri)
    export = Path(mlflow.artifacts.download_artifacts(found.mlflow_uri)) / "data" / "export"
    card = read_card(export)
    assert card.facts.data.train_items
    assert card.facts.learner == "learners/digits"
    pixels = load_predictor(export).transform.pixels(picture).unsqueeze(0).numpy()
    session = onnxruntime.InferenceSession(export / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"pixels": pixels})[1][0].tolist() == pytest.approx(by_learner.probabilities, abs=1e-3)


def test_a_version_is_interpreted_compared_and_explained_without_its_learners_workers_losing_their_state(
    client: Client, learn: RemoteLearner, pictures: Path, tmp_path: Path
) -> None:
    picture = next((pictures / "digits" / "held_out" / "3").iterdir())
    before, own = learn.predict(picture), learn.interpret()
    version = learn.export("examined").name
    found = client.interpret(version, top_losses=3)
    assert (found.model, found.learner) == (version, "learners/digits")
    assert found.confusion_matrix().tolist() == own.confusion_matrix().tolist()
    assert found.loss == pytest.approx(own.loss, rel=1e-4)
    page = found.report(tmp_path).read_text()
    assert all(name in page for name in (version, "Content-Security-Policy", "What is taken for what"))
    run = client.job(found.found.job).wait_tracked(timeout=60)
    until(lambda: "interpretation/report.html" in artifacts_of(run))
    other = ImageDataBunch.from_folder("digits", valid="held_out", size=32)
    elsewhere = client.interpret("models/examined@newest", other)
    assert elsewhere.examples == sum(1 for _ in (pictures / "digits" / "held_out").rglob("*.png"))
    same = client.compare(version, "learners/digits", examples=3).comparison
    assert same is not None
    assert (same.fixed, same.broken, same.p_value) == (0, 0, None)
    assert same.both_right + same.both_wrong == found.examples
    why = client.explain(version, picture, class_name="8")
    assert (why.class_name, why.predicted, why.map.shape) == ("8", before.class_name, (32, 32))
    with pytest.raises(InvalidArgumentError, match="class_name"):
        client.explain(version, picture, class_name="<script>")
    assert {each.name for each in client.interpretations("learners/digits")} >= {found.name, own.name, elsewhere.name}
    assert learn.predict(picture).probabilities == pytest.approx(before.probabilities, abs=1e-6)


def test_mlflow_holds_params_metrics_at_their_steps_pictures_the_checkpoint_and_the_model(
    learn: RemoteLearner,
) -> None:
    from mlflow.tracking import MlflowClient

    run = learn.last_fit_job.wait_tracked(timeout=60)
    mlflow = MlflowClient(run.tracking_uri)
    stored = mlflow.get_run(run.run_id)
    assert stored.data.params["architecture"] == "resnet18"
    history = mlflow.get_metric_history(run.run_id, "valid_loss")
    rows = learn.recorder.rows
    assert [point.step for point in history] == [row.step for row in rows]
    assert [point.value for point in history] == pytest.approx([row.valid_loss for row in rows])
    until(lambda: mlflow.get_run(run.run_id).info.status == "FINISHED")
    until(lambda: len(mlflow.list_artifacts(run.run_id, "checkpoints")) == 1)
    artifacts = {item.path for item in mlflow.list_artifacts(run.run_id)}
    assert {"checkpoints", "epochs.csv", "epochs.json", "pictures", "images"} <= artifacts
    system = {name for name in mlflow.get_run(run.run_id).data.metrics if name.startswith("system/")}
    assert {f"system/node_{rank}/cpu_utilization_percentage" for rank in (0, 1)} <= system
    (data,) = mlflow.get_run(run.run_id).inputs.dataset_inputs
    assert json.loads(data.dataset.profile)["classes"] == len(DIGITS)


def test_a_model_version_links_its_run_and_says_what_it_is(client: Client, learn: RemoteLearner) -> None:
    from mlflow.tracking import MlflowClient

    first = learn.export("linked", aliases=["champion"], onnx=False)
    second = learn.export("linked", aliases=["champion"], onnx=False)
    assert second.onnx is None
    run = learn.last_fit_job.wait_tracked(timeout=60)
    mlflow = MlflowClient(run.tracking_uri)
    champion = mlflow.get_model_version_by_alias("linked", "champion")
    assert str(champion.version) == second.version
    assert "champion" not in mlflow.get_model_version("linked", first.version).aliases
    until(lambda: mlflow.get_run(champion.run_id).data.tags.get("learnfleet.model_version") == second.name)
    assert champion.tags["learnfleet.learner"] == "learners/digits"
    assert "valid_loss" in champion.description


def test_saving_and_loading_goes_back_to_the_saved_state(learn: RemoteLearner, pictures: Path) -> None:
    picture = next((pictures / "digits" / "held_out" / "5").iterdir())
    before = learn.predict(picture)
    learn.save("after-two")
    learn.fit(1, 1e-3)
    assert learn.predict(picture).probabilities != before.probabilities
    learn.load("after-two")
    assert learn.predict(picture).probabilities == pytest.approx(before.probabilities, abs=1e-7)


def test_an_unknown_job_is_not_found(client: Client) -> None:
    with pytest.raises(NotFoundError, match="jobs/nothing-here"):
        client.job("jobs/nothing-here").refresh()

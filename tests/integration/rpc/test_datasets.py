"""Data sets through the client and the real gRPC server: registered, summarised, named by learners, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from support.pictures import SHARED, a_data_folder, unpack_shared
from support.rpc_server import RunningServer, refusal, running_server
from support.uploads import pets

from learnfleet.client import Client, Dataset, ImageDataBunch
from learnfleet.client.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from learnfleet.server import names
from learnfleet.v1 import dataset_service_pb2 as pb
from learnfleet.v1 import job_pb2, learner_pb2, training_service_pb2


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client.connect(server.address) as connected:
        yield connected


@pytest.fixture
def own_root(tmp_path: Path) -> Path:
    """A data root that a test may write to, with a folder `pets`."""
    a_data_folder(tmp_path / "own" / "pets", classes=("cat", "dog"))
    return tmp_path / "own"


@pytest.fixture
def own_server(own_root: Path, tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path / "server", own_root) as running:
        yield running


@pytest.fixture
def own_client(own_server: RunningServer) -> Iterator[Client]:
    with Client.connect(own_server.address) as connected:
        yield connected


def a_folder(folder: Path) -> Path:
    for name, content in pets().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


# -- what it looks like


def test_a_registered_folder_stays_where_it_is_and_is_summarised(own_client: Client, own_root: Path) -> None:
    dataset = own_client.datasets.register("pets", "animals")
    version = dataset.version
    assert (version.name, version.state, version.source_uri) == ("datasets/animals/versions/1", "READY", "pets")
    assert dataset.classes == {"cat": 9, "dog": 9}
    summary = dataset.summary
    assert summary is not None
    assert summary.splits == {"cat": {"train": 6, "valid": 3}, "dog": {"train": 6, "valid": 3}}
    assert (summary.images, summary.formats, summary.modes) == (18, {"PNG": 18}, {"RGB": 18})
    assert (str(summary.width), str(summary.height)) == ("20", "16")
    assert "cat" in dataset._repr_html_()
    assert own_client.datasets.get("datasets/animals").versions == (version,)
    assert [item.name for item in own_client.datasets.list()] == ["datasets/animals"]


def test_registering_again_makes_a_version_only_where_something_has_changed(own_client: Client, own_root: Path) -> None:
    def register() -> str:
        return own_client.datasets.register("pets", "animals", wait=False).version.name.rpartition("/")[2]

    assert (register(), register()) == ("1", "1")
    (own_root / "pets" / "train" / "cat" / "new.png").write_bytes(b"broken")
    assert (register(), register()) == ("2", "2")
    (own_root / "pets" / "train" / "cat" / "new.png").unlink()
    assert register() == "1"
    assert [item.name[-1] for item in own_client.datasets.get("datasets/animals").versions] == ["2", "1"]


def test_a_repeated_request_gives_the_same_version_and_another_one_is_refused(own_server: RunningServer) -> None:
    request = pb.RegisterDatasetRequest(uri="pets", request_id="0d7e0b3a-2f54-4c53-8d6b-8d0f4f3b8f5e")
    first = own_server.datasets.RegisterDataset(request)
    assert own_server.datasets.RegisterDataset(request).name == first.name
    request.uri = "pets/train"
    told = refusal(lambda: own_server.datasets.RegisterDataset(request))
    assert told.code is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_the_awkward_folder_is_described_as_expected(tmp_path: Path) -> None:
    root = unpack_shared("awkward.tar.gz", tmp_path / "awkward") / "nasty"
    expected = json.loads((SHARED / "data" / "awkward-expected.json").read_text())["files"]
    with running_server(tmp_path / "server", root) as server, Client.connect(server.address) as client:
        summary = client.datasets.register("train").summary
    assert summary is not None
    broken = {f"train/{item.path}" for item in summary.broken}
    assert {name for name, entry in expected.items() if entry["expect"] == "reject"} <= broken
    assert {name for name in broken if "reject" not in expected[name]["expect"]} == set()
    assert set(summary.classes) == {"ants", "bees", "empty_class"}
    assert summary.classes["empty_class"] == 0
    assert summary.duplicates >= 1
    reasons = {item.path: item.reason for item in summary.broken}
    assert "outside" in reasons["bees/escape.jpg"]
    assert "empty file" in reasons["ants/zero_byte.jpg"]
    assert "exceeds limit" in reasons["ants/bomb_20000x20000.png"]


@pytest.mark.parametrize("uri", ["", "/etc", "../..", "missing", "memory://lab", "s3://bucket", "pets/../../.."])
def test_what_is_not_beneath_a_root_cannot_be_registered(uri: str, client: Client) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.datasets.register(uri)
    assert [violation.field for violation in caught.value.violations] == ["uri"]


# -- learners on data sets


def a_request(data: object, **fields: object) -> training_service_pb2.TrainRequest:
    bunch = ImageDataBunch.from_folder(data, valid_pct=0.3, size=16, bs=2)  # type: ignore[arg-type]
    spec = learner_pb2.LearnerSpec(data=bunch.to_proto(), architecture="resnet18")
    stages = [job_pb2.Stage(fit=job_pb2.Fit(epochs=1))]
    return training_service_pb2.TrainRequest(learner_spec=spec, stages=stages, **fields)  # type: ignore[arg-type]


def data_of(server: RunningServer, job: job_pb2.Job) -> learner_pb2.DataSpec:
    return server.training.GetLearner(training_service_pb2.GetLearnerRequest(name=job.learner)).spec.data


NAMES: list[tuple[Callable[[Dataset], object], str, str]] = [
    (lambda dataset: dataset, "datasets/animals/versions/2", ""),
    (lambda dataset: "dataset://animals", "datasets/animals/versions/2", ""),
    (lambda dataset: "dataset://animals/versions/1", "datasets/animals/versions/1", ""),
    (lambda dataset: dataset.versions[1], "datasets/animals/versions/1", ""),
    (lambda dataset: dataset / "cats" / "indoors", "datasets/animals/versions/2", "cats/indoors"),
    (lambda dataset: "dataset://animals/cats", "datasets/animals/versions/2", "cats"),
]


@pytest.mark.parametrize(("named", "version", "path"), NAMES)
def test_a_learner_keeps_the_version_that_it_was_made_with(
    named: Callable[[Dataset], object], version: str, path: str, server: RunningServer, client: Client, tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    a_folder(folder)
    client.datasets.upload(folder, "animals", wait=False)
    a_folder(folder / "cats" / "indoors")
    a_folder(folder / "cats")
    client.datasets.upload(folder, "animals", wait=False)
    job = server.training.Train(a_request(named(client.datasets.get("datasets/animals"))))
    data = data_of(server, job)
    assert (data.dataset, data.folder.path) == (version, path)
    stored = server.store.get_learner(names.parse_learner(job.learner)).spec.data
    here = Path(server.store.get_version("animals", int(version[-1]), None).path)
    assert Path(stored.path) == here / path
    assert client.learner(job.learner).info().data_path == f"dataset://{version[9:]}" + (f"/{path}" if path else "")


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ("dataset://nothing", "learner_spec.data.dataset"),
        ("dataset://animals/versions/9", "learner_spec.data.dataset"),
        ("dataset://Animals", "learner_spec.data.dataset"),
        ("dataset://animals/nowhere", "learner_spec.data.folder.path"),
        ("dataset://animals/../../..", "learner_spec.data.folder.path"),
        ("dataset://animals//etc", "learner_spec.data.folder.path"),
    ],
)
def test_a_data_set_or_path_that_is_not_there_is_named(
    named: str, field: str, server: RunningServer, client: Client, tmp_path: Path
) -> None:
    client.datasets.upload(a_folder(tmp_path / "here"), "animals", wait=False)
    told = refusal(lambda: server.training.Train(a_request(named)))
    assert told.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in told.fields


def test_nobody_trains_on_a_data_set_of_others(server: RunningServer, client: Client, tmp_path: Path) -> None:
    client.datasets.upload(a_folder(tmp_path / "here"), "animals", wait=False)
    as_them = (("learnfleet-tenant", "them"),)
    told = refusal(lambda: server.training.Train(a_request("dataset://animals"), metadata=as_them))
    assert "does not exist" in told.violations["learner_spec.data.dataset"]


def test_a_version_whose_files_have_changed_is_refused_with_their_names(
    own_server: RunningServer, own_client: Client, own_root: Path
) -> None:
    own_client.datasets.register("pets/train", "animals", wait=False)
    own_server.training.Train(a_request("dataset://animals"))
    (own_root / "pets" / "train" / "cat" / "001.png").write_bytes(b"other content")
    (own_root / "pets" / "train" / "dog" / "extra.png").write_bytes(b"more")
    told = refusal(lambda: own_server.training.Train(a_request("dataset://animals")))
    assert told.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "'cat/001.png' has 13 bytes" in told.message
    assert "'dog/extra.png' is new" in told.message
    own_client.datasets.register("pets/train", "animals", wait=False)
    own_server.training.Train(a_request("dataset://animals"))


# -- deleting


def test_a_deleted_data_set_is_gone_and_a_registered_folder_stays(own_client: Client, own_root: Path) -> None:
    own_client.datasets.register("pets", "animals", wait=False)
    own_client.datasets.delete("datasets/animals")
    with pytest.raises(NotFoundError):
        own_client.datasets.get("datasets/animals")
    assert (own_root / "pets" / "train" / "cat" / "000.png").exists()
    assert own_client.datasets.register("pets", "animals", wait=False).version.name == "datasets/animals/versions/2"


def test_copies_of_a_deleted_data_set_are_removed(server: RunningServer, client: Client, tmp_path: Path) -> None:
    client.datasets.upload(a_folder(tmp_path / "here"), "animals")
    client.datasets.delete("datasets/animals")
    assert [path for path in (server.config.data_dir / "datasets").rglob("*") if path.is_file()] == []


def test_a_data_set_in_use_is_not_deleted_until_the_job_has_ended(
    server: RunningServer, client: Client, tmp_path: Path
) -> None:
    client.datasets.upload(a_folder(tmp_path / "here"), "animals", wait=False)
    job = server.training.Train(a_request("dataset://animals"))
    with pytest.raises(FailedPreconditionError, match=job.name):
        client.datasets.delete("datasets/animals")
    server.finish(job.name)
    client.datasets.delete("datasets/animals")
    again = training_service_pb2.TrainRequest(learner=job.learner, stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=1))])
    assert "was deleted" in refusal(lambda: server.training.Train(again)).message

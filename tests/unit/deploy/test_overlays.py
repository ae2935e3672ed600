"""What `make deploy-check` runs finds nothing in what is to be installed, and it agrees with the code."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deploycheck.__main__ import manifests_of, overlay_names
from deploycheck.check import check
from deploycheck.objects import Manifests, Obj, dig, items, name_of
from deploycheck.render import renderer
from learnfleet.server.config import Config
from learnfleet.server.settings.merge import merge
from learnfleet.server.tracking.mlflow_client import SAFE
from learnfleet.v1 import job_service_pb2

pytestmark = pytest.mark.skipif(renderer() is None, reason="neither kubectl nor kustomize is installed")


@pytest.fixture(scope="module", params=["cpu", "gpu", "ha", "kueue"])
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return manifests_of(request.param)


def test_every_overlay_is_looked_at() -> None:
    assert overlay_names() == ["cpu", "gpu", "ha", "kueue"]


def test_nothing_is_found(manifests: Manifests) -> None:
    assert [str(each) for each in check(manifests)] == []


def test_the_servers_settings_are_all_in_its_environment(manifests: Manifests) -> None:
    """What is run in its pod beside it, `learnfleet doctor` and `learnfleet backup`, has no other."""
    assert _server(manifests)["args"] == ["serve"]


def test_probes_ask_for_services_that_the_server_has(manifests: Manifests) -> None:
    """`RpcServer.set_serving` tells of every service by its full name, and of all by the empty one."""
    server = _server(manifests)
    asked = {
        dig(server, probe, "grpc", "service") or "" for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }

    assert asked == {"", job_service_pb2.DESCRIPTOR.services_by_name["JobService"].full_name}


def test_servers_speak_tls_and_ask_who_calls_and_probes_have_a_listener_of_their_own(manifests: Manifests) -> None:
    server = _server(manifests)
    given = _environment(manifests)
    mounts = tuple(f"{mount['mountPath']}/" for mount in server["volumeMounts"])
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}

    assert "LEARNFLEET_INSECURE" not in given
    for option in ("LEARNFLEET_TLS_CERT", "LEARNFLEET_TLS_KEY", "LEARNFLEET_AUTH_FILE"):
        assert given[option].startswith(mounts), option
    assert given["LEARNFLEET_LISTEN"] == f"0.0.0.0:{ports['grpc']}"
    assert given["LEARNFLEET_HEALTH_LISTEN"] == f"0.0.0.0:{ports['health']}"
    probes = [dig(server, probe, "grpc", "port") for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert probes == [ports["health"]] * 3


def test_there_is_time_to_stop_in_order(manifests: Manifests) -> None:
    """The preStop pause, and all that a server does after it."""
    spec = dig(_deployment(manifests, "learnfleet-server"), "spec", "template", "spec")
    pause_s = dig(_server(manifests), "lifecycle", "preStop", "sleep", "seconds")
    drain_s = float(_environment(manifests).get("LEARNFLEET_DRAIN_S", Config().drain_s))

    assert spec["terminationGracePeriodSeconds"] >= pause_s + drain_s + 5


def test_the_server_starts_with_its_environment(manifests: Manifests) -> None:
    """As the pod has it, with a pod's name for what only a cluster knows."""
    config = merge({}, _environment(manifests)).config

    assert [str(root) for root in config.data_roots] == ["/datasets"]
    assert (config.log_format, config.audit_log, config.replica_cpus) == ("json", "-", 1.0)
    assert config.ray_address == "ray://learnfleet-head-svc:10001"
    assert config.mlflow_uri == "http://learnfleet-mlflow:5000"
    assert config.server_id == "of-the-cluster"


def test_mlflow_runs_nothing_that_it_is_sent(manifests: Manifests) -> None:
    """As any process of ours that has MLflow in it."""
    (box,) = dig(_deployment(manifests, "learnfleet-mlflow"), "spec", "template", "spec", "containers")
    given = {each["name"]: each.get("value") for each in box["env"]}

    assert given.items() >= SAFE.items()


def test_servers_know_what_the_cluster_grows_to(manifests: Manifests) -> None:
    """A GPU keeps a CPU of its node to itself."""
    most_cpus = most_gpus = 0
    for group in next(manifests.of("RayCluster"))["spec"]["workerGroupSpecs"]:
        limits = dig(group, "template", "spec")["containers"][0]["resources"]["limits"]
        gpus = int(limits.get("nvidia.com/gpu", 0))
        most_cpus += group["maxReplicas"] * (int(limits["cpu"]) - gpus)
        most_gpus += group["maxReplicas"] * gpus
    config = merge({}, _environment(manifests)).config

    assert (config.max_cpu_slots, config.max_gpu_slots) == (most_cpus, most_gpus)


def test_variables_in_arguments_are_there(manifests: Manifests) -> None:
    """Kubernetes leaves `$(NAME)` as it is where there is no NAME."""
    settings = next(each for each in manifests.of("ConfigMap") if name_of(each).startswith("learnfleet-server"))
    for deployment in manifests.of("Deployment"):
        for container in items(dig(deployment, "spec", "template", "spec", "containers")):
            there = {each["name"] for each in items(container.get("env"))} | set(settings["data"])
            assert set(re.findall(r"\$\((\w+)\)", " ".join(container["args"]))) <= there


def test_servers_and_workers_see_the_data_at_the_same_places(manifests: Manifests) -> None:
    cluster = next(manifests.of("RayCluster"))
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    boxes = [dig(group, "template", "spec")["containers"][0] for group in groups] + [_server(manifests)]
    places = [
        {each["name"]: each["mountPath"] for each in box["volumeMounts"] if each["name"] in ("data", "datasets")}
        for box in boxes
    ]

    assert places == [{"data": "/var/lib/learnfleet", "datasets": "/datasets"}] * len(boxes)


def test_only_several_servers_on_one_database_run_at_once(manifests: Manifests) -> None:
    settings = next(each for each in manifests.of("ConfigMap") if name_of(each).startswith("learnfleet-server"))
    deployment = _deployment(manifests, "learnfleet-server")
    is_alone = settings["data"]["LEARNFLEET_STORE"].startswith("sqlite:")

    assert dig(deployment, "spec", "strategy", "type") == ("Recreate" if is_alone else "RollingUpdate")
    assert (dig(deployment, "spec", "replicas") == 1) == is_alone


def test_a_migration_is_not_ended_by_the_startup_probe(manifests: Manifests) -> None:
    """It would be undone, and the next start would come as far."""
    probe = dig(_server(manifests), "startupProbe")
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 3600


def _deployment(manifests: Manifests, name: str) -> Obj:
    return next(each for each in manifests.of("Deployment") if name_of(each) == name)


def _environment(manifests: Manifests) -> dict[str, str]:
    settings = next(each for each in manifests.of("ConfigMap") if name_of(each).startswith("learnfleet-server"))
    own = {each["name"]: each.get("value", "of-the-cluster") for each in items(_server(manifests).get("env"))}
    return {**settings["data"], **own}


def _server(manifests: Manifests) -> dict[str, Any]:
    return items(dig(_deployment(manifests, "learnfleet-server"), "spec", "template", "spec", "containers"))[0]

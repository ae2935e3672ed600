"""The gRPC server."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from learnfleet.oip import inference_pb2
from learnfleet.server.access.build import build_authenticator, tls_files
from learnfleet.server.access.certificates import ServedCertificate
from learnfleet.server.access.limits import RateLimits
from learnfleet.server.access.logins import FailedLogins
from learnfleet.server.config import Config
from learnfleet.server.data.library import DatasetLibrary
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.inference.ports import Inference
from learnfleet.server.installed import installed_version
from learnfleet.server.rpc.admission import Admission
from learnfleet.server.rpc.datasets import DatasetServicer
from learnfleet.server.rpc.examining import Examining
from learnfleet.server.rpc.gate import Gate
from learnfleet.server.rpc.handlers import House, handlers_of
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.rpc.interpretation import InterpretationServicer
from learnfleet.server.rpc.job_logs import JobLogs
from learnfleet.server.rpc.jobs import JobServicer
from learnfleet.server.rpc.limits import CallLimits, channel_options
from learnfleet.server.rpc.models import ModelServicer
from learnfleet.server.rpc.oip.servicer import InferenceServicer
from learnfleet.server.rpc.oip.unsupported import unsupported_handlers
from learnfleet.server.rpc.owners import Owners
from learnfleet.server.rpc.ports import Catalog, Runtime
from learnfleet.server.rpc.prediction import PredictionServicer
from learnfleet.server.rpc.queueing import Queueing
from learnfleet.server.rpc.rules import require_rules
from learnfleet.server.rpc.server_files import ServerFiles
from learnfleet.server.rpc.source_places import SourcePlaces
from learnfleet.server.rpc.subjects import Subjects
from learnfleet.server.rpc.targets import Targets
from learnfleet.server.rpc.training import TrainingServicer
from learnfleet.server.rpc.watch import Watch
from learnfleet.server.store.base import Store
from learnfleet.server.telemetry.observed import ObservedCalls
from learnfleet.server.telemetry.telemetry import Telemetry
from learnfleet.server.tracking.registry import ModelNews, NoNews
from learnfleet.v1 import (
    dataset_service_pb2,
    interpretation_service_pb2,
    job_service_pb2,
    model_service_pb2,
    prediction_service_pb2,
    training_service_pb2,
)


def _service(module: object, name: str) -> ServiceDescriptor:
    return module.DESCRIPTOR.services_by_name[name]  # type: ignore[attr-defined]


# All that this server answers besides reflection. Methods that are not of these are no names for metrics.
SERVICES: tuple[ServiceDescriptor, ...] = (
    _service(training_service_pb2, "TrainingService"),
    _service(job_service_pb2, "JobService"),
    _service(prediction_service_pb2, "PredictionService"),
    _service(interpretation_service_pb2, "InterpretationService"),
    _service(model_service_pb2, "ModelService"),
    _service(dataset_service_pb2, "DatasetService"),
    _service(inference_pb2, "GRPCInferenceService"),
    _service(health_pb2, "Health"),
)


@dataclass
class Serving:
    """Whether the server takes requests."""

    on: bool = False


@dataclass(frozen=True)
class RpcServer:
    """A server that is bound to its port but not started."""

    grpc: grpc.aio.Server
    health: health.aio.HealthServicer
    services: tuple[str, ...]
    port: int
    library: DatasetLibrary  # to be started when the server listens, and closed when it stops
    serving: Serving
    admission: Admission
    health_grpc: grpc.aio.Server | None = None  # for probes, which need neither a certificate nor a token
    health_port: int | None = None
    certificate: ServedCertificate | None = None

    async def start(self) -> None:
        """Listen."""
        await self.grpc.start()
        if self.health_grpc is not None:
            await self.health_grpc.start()

    async def stop(self, grace_s: float | None) -> None:
        """Take no further calls, and end those that run longer. Probes are answered to the end."""
        await self.grpc.stop(grace_s)
        if self.health_grpc is not None:
            await self.health_grpc.stop(None)

    async def set_serving(self, is_serving: bool) -> None:
        """What health checks are told, of each service and of all."""
        self.serving.on = is_serving
        status = health_pb2.HealthCheckResponse.SERVING if is_serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", *self.services):
            await self.health.set(service, status)


def build_server(
    config: Config,
    store: Store,
    runtime: Runtime,
    catalog: Catalog,
    hub: EventHub,
    roots: DataRoots,
    inference: Inference,
    news: ModelNews = NoNews(),  # noqa: B008  # has no state
    telemetry: Telemetry | None = None,
) -> RpcServer:
    """Bind all services to `config.listen`.

    Raises RuntimeError if the address cannot be had, Unreadable for certificates or an access file that are wrong,
    TypeError for an RPC of which nobody has said who may call it.

    Args:
        news: is told of aliases that move.
    """
    telemetry = telemetry or Telemetry()
    observed = ObservedCalls(SERVICES, telemetry.metrics.rpc, telemetry.audit, telemetry.tracing)
    gate = Gate(build_authenticator(config), RateLimits(config.rate_limits), FailedLogins(config.auth_failed_logins))
    server = grpc.aio.server(options=channel_options(config), interceptors=(observed, gate))
    house = House(CallLimits.of(config))
    queueing, targets = Queueing(config, store, runtime, catalog), Targets(config.data_dir, store, catalog, roots)
    library = DatasetLibrary(config, store)
    owners, serving = Owners(store, inference), Serving()
    servicers: list[tuple[object, ServiceDescriptor]] = [
        (
            TrainingServicer(config, store, runtime, queueing, targets),
            _service(training_service_pb2, "TrainingService"),
        ),
        (
            JobServicer(config, store, runtime, Watch(store, hub), JobLogs(config, store, hub)),
            _service(job_service_pb2, "JobService"),
        ),
        (
            PredictionServicer(
                config,
                store,
                inference,
                Examining(store, queueing, Subjects(store, runtime, targets)),
                ServerFiles(SourcePlaces(roots, store)),
                owners,
            ),
            _service(prediction_service_pb2, "PredictionService"),
        ),
        (
            InterpretationServicer(config, store, runtime, queueing, targets),
            _service(interpretation_service_pb2, "InterpretationService"),
        ),
        (DatasetServicer(config, store, library, roots), _service(dataset_service_pb2, "DatasetService")),
    ]
    server.add_generic_rpc_handlers(tuple(handlers_of(*each, owners.check, house) for each in servicers))
    # It asks the registry, which says whose a model is, for all that it does.
    models = ModelServicer(config, store, news), _service(model_service_pb2, "ModelService")
    server.add_generic_rpc_handlers((handlers_of(*models, house=house),))
    foreign = InferenceServicer(inference, owners, installed_version(), lambda: serving.on)
    protocol = _service(inference_pb2, "GRPCInferenceService")
    # It looks after owners itself: what is another's is not ready there, and no error.
    oip = handlers_of(foreign, protocol, house=house)
    server.add_generic_rpc_handlers((oip, unsupported_handlers(protocol.full_name)))
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = (*(service.full_name for _, service in (*servicers, models)), protocol.full_name)
    shown = (*names, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(shown, server)
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(name) for name in shown]
    require_rules(f"/{service.full_name}/{method.name}" for service in services for method in service.methods)
    files = tls_files(config)
    certificate = None if files is None else ServedCertificate(files)
    port = _bind(server, config.listen, certificate)
    probes, probed = _health_server(health_servicer, config) if config.health_listen else (None, None)
    return RpcServer(
        server, health_servicer, names, port, library, serving, house.admission, probes, probed, certificate
    )


def _bind(server: grpc.aio.Server, address: str, certificate: ServedCertificate | None) -> int:
    if certificate is None:
        return int(server.add_insecure_port(address))
    return int(server.add_secure_port(address, certificate.credentials()))


def _health_server(servicer: health.aio.HealthServicer, config: Config) -> tuple[grpc.aio.Server, int]:
    """A listener that says whether the server takes calls and knows nothing else, and its port."""
    server = grpc.aio.server(options=channel_options(config))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return server, int(server.add_insecure_port(config.health_listen))

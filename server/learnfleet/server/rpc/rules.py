"""Who may call what: one line an RPC. What has none is denied to all, and a server with such an RPC does not start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from learnfleet.server.access.identity import Role
from learnfleet.server.access.limits import Kind


@dataclass(frozen=True)
class Rule:
    """The least role, and whose limit the call counts for."""

    role: Role | None  # None: everybody, known or not
    kind: Kind


_OPEN = Rule(None, Kind.READ)
_LOOK = Rule(Role.VIEWER, Kind.READ)
_ASK = Rule(Role.VIEWER, Kind.PREDICT)  # models answer, and nothing is left behind
_CHANGE = Rule(Role.USER, Kind.WRITE)
_RULE = Rule(Role.ADMIN, Kind.WRITE)  # what others notice, too

_OF_SERVICES: dict[str, dict[str, Rule]] = {
    "learnfleet.v1.TrainingService": {
        "Train": _CHANGE,
        "GetLearner": _LOOK,
        "ListLearners": _LOOK,
        "Save": _CHANGE,
        "ListCheckpoints": _LOOK,
        "Load": _CHANGE,
        "Purge": _CHANGE,
        "DeleteLearner": _CHANGE,
        "Validate": _CHANGE,
        "Describe": _CHANGE,
        "Export": _CHANGE,
    },
    "learnfleet.v1.JobService": {
        "GetJob": _LOOK,
        "ListJobs": _LOOK,
        "WatchJob": _LOOK,
        "GetPicture": _LOOK,
        "CancelJob": _CHANGE,
        "PauseJob": _CHANGE,
        "ResumeJob": _CHANGE,
        "DeleteJob": _CHANGE,
        "GetJobLogs": _LOOK,
    },
    "learnfleet.v1.PredictionService": {
        "Predict": _ASK,
        "PredictBatch": _ASK,
        "PredictStream": _ASK,
        "GetPreds": _CHANGE,
        "ReadPredictions": _LOOK,
    },
    "learnfleet.v1.InterpretationService": {
        "Interpret": _CHANGE,
        "GetInterpretation": _LOOK,
        "ListInterpretations": _LOOK,
        "CompareVersions": _CHANGE,
        "ExplainPrediction": _ASK,
        "ReadInterpretationFile": _LOOK,
        "ShowBatch": _CHANGE,
        "ShowResults": _CHANGE,
    },
    "learnfleet.v1.ModelService": {
        "GetModel": _LOOK,
        "ListModels": _LOOK,
        "GetModelVersion": _LOOK,
        "ListModelVersions": _LOOK,
        "SetModelAlias": _CHANGE,
        "DeleteModelAlias": _CHANGE,
    },
    "learnfleet.v1.DatasetService": {
        "CreateDataset": _CHANGE,
        "GetUpload": _LOOK,
        "RegisterDataset": _CHANGE,
        "GetDataset": _LOOK,
        "ListDatasets": _LOOK,
        "DeleteDataset": _CHANGE,
    },
    "inference.GRPCInferenceService": {
        "ServerLive": _OPEN,
        "ServerReady": _OPEN,
        "ServerMetadata": _LOOK,
        "ModelReady": _LOOK,
        "ModelMetadata": _ASK,  # it has the export read
        "ModelInfer": _ASK,
        "RepositoryModelLoad": _RULE,  # a pinned model takes memory that all share
        "RepositoryModelUnload": _RULE,
        # Refused to all, with a reason (rpc/oip/unsupported.py).
        "ModelStreamInfer": _LOOK,
        "ModelConfig": _LOOK,
        "ModelStatistics": _LOOK,
        "RepositoryIndex": _LOOK,
        "TraceSetting": _LOOK,
        "LogSettings": _LOOK,
        "SystemSharedMemoryStatus": _LOOK,
        "SystemSharedMemoryRegister": _LOOK,
        "SystemSharedMemoryUnregister": _LOOK,
        "CudaSharedMemoryStatus": _LOOK,
        "CudaSharedMemoryRegister": _LOOK,
        "CudaSharedMemoryUnregister": _LOOK,
    },
    "grpc.health.v1.Health": {"Check": _OPEN, "Watch": _OPEN},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": _LOOK},
}

RULES: dict[str, Rule] = {
    f"/{service}/{method}": rule for service, methods in _OF_SERVICES.items() for method, rule in methods.items()
}


def require_rules(methods: Iterable[str]) -> None:
    """Raises TypeError naming each of `methods` (`/service/method`) that nobody has said who may call."""
    missing = sorted(set(methods) - set(RULES))
    if missing:
        raise TypeError(f"rpc/rules.py does not say who may call {', '.join(missing)}")

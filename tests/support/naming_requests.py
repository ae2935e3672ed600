"""For each RPC that names something a request that names a thing of the tenant red's; the others are listed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from google.protobuf.message import Message
from support.rpc_server import RunningServer

from learnfleet.oip import inference_pb2 as oip
from learnfleet.server import names
from learnfleet.v1 import (
    dataset_service_pb2,
    interpretation_service_pb2,
    job_pb2,
    job_service_pb2,
    learner_pb2,
    model_service_pb2,
    prediction_service_pb2,
    training_service_pb2,
)

MODEL = "models/reds@newest"
DATASET = "datasets/red-pictures"
TIMEOUT_S = 20

# They make something new, list what is the caller's own, or name nothing.
NAMELESS = frozenset(
    {
        "/learnfleet.v1.TrainingService/ListLearners",
        "/learnfleet.v1.JobService/ListJobs",
        "/learnfleet.v1.InterpretationService/ListInterpretations",
        "/learnfleet.v1.ModelService/ListModels",
        "/learnfleet.v1.DatasetService/ListDatasets",
        "/learnfleet.v1.DatasetService/CreateDataset",
        "/learnfleet.v1.DatasetService/RegisterDataset",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
        "/inference.GRPCInferenceService/ServerMetadata",
        "/inference.GRPCInferenceService/ModelReady",  # its answer is false, not an error: see the test of its own
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)


def make_things_of_red(server: RunningServer, metadata: list[tuple[str, str]]) -> str:
    """The name of a job that has trained `learners/pets`. With it come an upload that is on its way, and a data set."""
    data = learner_pb2.DataSpec(folder=learner_pb2.FolderSource(path="pets"), batch_size=4)
    request = training_service_pb2.TrainRequest(
        learner_id="pets",
        learner_spec=learner_pb2.LearnerSpec(data=data, architecture="resnet18"),
        stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=1))],
    )
    job: str = server.training.Train(request, timeout=TIMEOUT_S, metadata=metadata).name
    server.train_to_a_checkpoint(job)
    register = dataset_service_pb2.RegisterDatasetRequest(dataset_id=names.parse_dataset(DATASET), uri="pets")
    server.datasets.RegisterDataset(register, timeout=TIMEOUT_S, metadata=metadata)
    return job


def naming_requests(job: str) -> Mapping[str, Message]:
    """By method. `job` as `make_things_of_red` gives it."""
    learner, job_id = "learners/pets", names.parse_job(job)
    training, jobs, prediction = training_service_pb2, job_service_pb2, prediction_service_pb2
    examining, models, datasets = interpretation_service_pb2, model_service_pb2, dataset_service_pb2
    of_services: dict[str, dict[str, Message]] = {
        "learnfleet.v1.TrainingService": {
            "Train": training.TrainRequest(learner=learner, stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=1))]),
            "GetLearner": training.GetLearnerRequest(name=learner),
            "Save": training.SaveRequest(learner=learner, checkpoint_id="mine"),
            "ListCheckpoints": training.ListCheckpointsRequest(learner=learner),
            "Load": training.LoadRequest(checkpoint=f"{learner}/checkpoints/{job_id}"),
            "Purge": training.PurgeRequest(learner=learner),
            "DeleteLearner": training.DeleteLearnerRequest(name=learner),
            "Validate": training.ValidateRequest(learner=learner),
            "Describe": training.DescribeRequest(learner=learner),
            "Export": training.ExportRequest(learner=learner),
        },
        "learnfleet.v1.JobService": {
            "GetJob": jobs.GetJobRequest(name=job),
            "WatchJob": jobs.WatchJobRequest(name=job),
            "GetPicture": jobs.GetPictureRequest(name=f"{job}/pictures/losses"),
            "CancelJob": jobs.CancelJobRequest(name=job),
            "PauseJob": jobs.PauseJobRequest(name=job),
            "ResumeJob": jobs.ResumeJobRequest(name=job),
            "DeleteJob": jobs.DeleteJobRequest(name=job),
            "GetJobLogs": jobs.GetJobLogsRequest(name=job),
        },
        "learnfleet.v1.PredictionService": {
            "Predict": prediction.PredictRequest(model=MODEL, image=b"x"),
            "PredictBatch": prediction.PredictBatchRequest(model=MODEL, inputs=[prediction.Input(image=b"x")]),
            "PredictStream": prediction.PredictStreamRequest(settings=prediction.PredictStreamSettings(model=MODEL)),
            "GetPreds": prediction.GetPredsRequest(model=MODEL),
            "ReadPredictions": prediction.ReadPredictionsRequest(job=job),
        },
        "learnfleet.v1.InterpretationService": {
            "Interpret": examining.InterpretRequest(model=MODEL),
            "GetInterpretation": examining.GetInterpretationRequest(name=f"interpretations/{job_id}"),
            "CompareVersions": examining.CompareVersionsRequest(baseline=MODEL, candidate=MODEL),
            "ExplainPrediction": examining.ExplainPredictionRequest(model=MODEL, image=b"x"),
            "ReadInterpretationFile": examining.ReadInterpretationFileRequest(name=f"interpretations/{job_id}"),
            "ShowBatch": examining.ShowBatchRequest(learner=learner),
            "ShowResults": examining.ShowResultsRequest(learner=learner),
        },
        "learnfleet.v1.ModelService": {
            "GetModel": models.GetModelRequest(name="models/reds"),
            "GetModelVersion": models.GetModelVersionRequest(name=MODEL),
            "ListModelVersions": models.ListModelVersionsRequest(model="models/reds"),
            "SetModelAlias": models.SetModelAliasRequest(name="models/reds@a", version="models/reds/versions/1"),
            "DeleteModelAlias": models.DeleteModelAliasRequest(name=MODEL),
        },
        "learnfleet.v1.DatasetService": {
            "GetUpload": datasets.GetUploadRequest(upload_id=str(uuid.UUID(int=1))),
            "GetDataset": datasets.GetDatasetRequest(name=DATASET),
            "DeleteDataset": datasets.DeleteDatasetRequest(name=DATASET),
        },
        "inference.GRPCInferenceService": {
            "ModelMetadata": oip.ModelMetadataRequest(name="reds"),
            "ModelInfer": oip.ModelInferRequest(model_name="reds"),
            "RepositoryModelLoad": oip.RepositoryModelLoadRequest(model_name="reds"),
            "RepositoryModelUnload": oip.RepositoryModelUnloadRequest(model_name="reds"),
        },
    }
    return {f"/{service}/{name}": request for service, calls in of_services.items() for name, request in calls.items()}

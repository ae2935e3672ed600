"""learnfleet's client: the remote Learner and all that goes with it. Needs no torch."""

from learnfleet.client.client import Client
from learnfleet.client.errors import (
    AlreadyExistsError,
    CancelledError,
    DeadlineExceededError,
    FailedPreconditionError,
    FieldViolation,
    InternalError,
    InvalidArgumentError,
    JobCancelledError,
    JobFailedError,
    LearnfleetError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
)
from learnfleet.client.events import Event
from learnfleet.client.interpretation import Interpretation, Picture
from learnfleet.client.job import Job
from learnfleet.client.learner import RemoteLearner, RunSettings
from learnfleet.client.predictions import Predictions
from learnfleet.client.remote import KeepBest
from learnfleet.client.results import JobInfo, LearnerInfo, LrFinding, ModelVersion, Prediction
from learnfleet.client.specs import DatasetType, Fit, FitOneCycle, FreezeTo, ImageDataBunch, LearnerSpec, get_transforms

__all__ = [
    "AlreadyExistsError",
    "CancelledError",
    "Client",
    "DatasetType",
    "DeadlineExceededError",
    "Event",
    "FailedPreconditionError",
    "FieldViolation",
    "Fit",
    "FitOneCycle",
    "FreezeTo",
    "ImageDataBunch",
    "InternalError",
    "Interpretation",
    "InvalidArgumentError",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "JobInfo",
    "KeepBest",
    "LearnerInfo",
    "LearnerSpec",
    "LearnfleetError",
    "LrFinding",
    "ModelVersion",
    "NotFoundError",
    "Picture",
    "Prediction",
    "Predictions",
    "RemoteLearner",
    "ResourceExhaustedError",
    "RunSettings",
    "UnavailableError",
    "UnimplementedError",
    "get_transforms",
]

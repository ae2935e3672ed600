"""learnfleet's client: the Learner on a server, and all that goes with it. Needs no torch.

`from learnfleet.client import *` gives the names of `from learnfleet.trainer import *`, as far as the service offers
what they stand for: a notebook runs with either line. Names that a service cannot have say why when they are used.
`connect("host:port")` says which server is used.

Names are imported when they are first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from learnfleet.client.named import entries, find
from learnfleet.client.public_names import HOME
from learnfleet.client.refused import REFUSED, Refused

if TYPE_CHECKING:
    from learnfleet.client.client import Client as Client
    from learnfleet.client.data_block import ImageImageList as ImageImageList
    from learnfleet.client.data_block import ImageList as ImageList
    from learnfleet.client.data_block import PointsItemList as PointsItemList
    from learnfleet.client.data_block import SegmentationItemList as SegmentationItemList
    from learnfleet.client.data_options import ResizeMethod as ResizeMethod
    from learnfleet.client.data_options import cifar_stats as cifar_stats
    from learnfleet.client.data_options import imagenet_stats as imagenet_stats
    from learnfleet.client.data_options import mnist_stats as mnist_stats
    from learnfleet.client.data_specs import ImageDataBunch as ImageDataBunch
    from learnfleet.client.data_specs import get_image_files as get_image_files
    from learnfleet.client.data_specs import get_transforms as get_transforms
    from learnfleet.client.dataset_paths import DatasetPath as DatasetPath
    from learnfleet.client.dataset_types import DatasetType as DatasetType
    from learnfleet.client.dataset_values import Dataset as Dataset
    from learnfleet.client.dataset_values import DatasetSummary as DatasetSummary
    from learnfleet.client.dataset_values import DatasetVersion as DatasetVersion
    from learnfleet.client.default import cnn_learner as cnn_learner
    from learnfleet.client.default import connect as connect
    from learnfleet.client.default import default_client as default_client
    from learnfleet.client.default import load_learner as load_learner
    from learnfleet.client.default import unet_learner as unet_learner
    from learnfleet.client.detached import Detached as Detached
    from learnfleet.client.errors import AlreadyExistsError as AlreadyExistsError
    from learnfleet.client.errors import CancelledError as CancelledError
    from learnfleet.client.errors import DeadlineExceededError as DeadlineExceededError
    from learnfleet.client.errors import FailedPreconditionError as FailedPreconditionError
    from learnfleet.client.errors import FieldViolation as FieldViolation
    from learnfleet.client.errors import InternalError as InternalError
    from learnfleet.client.errors import InvalidArgumentError as InvalidArgumentError
    from learnfleet.client.errors import JobCancelledError as JobCancelledError
    from learnfleet.client.errors import JobFailedError as JobFailedError
    from learnfleet.client.errors import LearnfleetError as LearnfleetError
    from learnfleet.client.errors import NotFoundError as NotFoundError
    from learnfleet.client.errors import PermissionDeniedError as PermissionDeniedError
    from learnfleet.client.errors import PictureError as PictureError
    from learnfleet.client.errors import ResourceExhaustedError as ResourceExhaustedError
    from learnfleet.client.errors import UnauthenticatedError as UnauthenticatedError
    from learnfleet.client.errors import UnavailableError as UnavailableError
    from learnfleet.client.errors import UnimplementedError as UnimplementedError
    from learnfleet.client.events import Event as Event
    from learnfleet.client.explanation import Explanation as Explanation
    from learnfleet.client.figures import Picture as Picture
    from learnfleet.client.interpretation import Interpretation as Interpretation
    from learnfleet.client.job import Job as Job
    from learnfleet.client.learner import RemoteLearner as RemoteLearner
    from learnfleet.client.model_values import Model as Model
    from learnfleet.client.model_values import ModelVersion as ModelVersion
    from learnfleet.client.model_values import OnnxModel as OnnxModel
    from learnfleet.client.placement import Placement as Placement
    from learnfleet.client.predictions import Predictions as Predictions
    from learnfleet.client.results import JobInfo as JobInfo
    from learnfleet.client.results import LearnerInfo as LearnerInfo
    from learnfleet.client.run_settings import KeepBest as KeepBest
    from learnfleet.client.run_settings import RunSettings as RunSettings
    from learnfleet.client.specs import LearnerSpec as LearnerSpec
    from learnfleet.client.stage_specs import Fit as Fit
    from learnfleet.client.stage_specs import FitOneCycle as FitOneCycle
    from learnfleet.client.stage_specs import FreezeTo as FreezeTo
    from learnfleet.client.values import LrFinding as LrFinding
    from learnfleet.client.values import Prediction as Prediction

# The names for asyncio are asked for by those who use it: to others they are 0.1 s of imports.
__all__ = sorted({*(name for name, module in HOME.items() if module != "aio"), *entries(), *REFUSED})


def __getattr__(name: str) -> Any:
    if name in HOME:
        value = getattr(import_module(f"{__name__}.{HOME[name]}"), name)
    elif name in entries():
        value = find(name)
    elif name in REFUSED:
        value = Refused(name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *HOME})

"""The Learner, alone or on a cluster: `from learnfleet.trainer import ImageDataBunch, cnn_learner, accuracy`.

Names are imported when they are first used (PEP 562), so that a process which needs only the values in `spec` or the
files in `manifest` does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learnfleet.trainer.architecture_info import describe_architecture
    from learnfleet.trainer.architectures import available_architectures
    from learnfleet.trainer.build import build_learner
    from learnfleet.trainer.callback import Callback, LearnerCallback
    from learnfleet.trainer.data import DatasetType, EvalTransform, ImageDataBunch
    from learnfleet.trainer.export import export_from_checkpoint
    from learnfleet.trainer.exported_learner import load_learner
    from learnfleet.trainer.head import create_head
    from learnfleet.trainer.images import BadImage
    from learnfleet.trainer.interpret import Interpretation
    from learnfleet.trainer.interpret_classes import ClassificationInterpretation
    from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
    from learnfleet.trainer.interpret_masks import SegmentationInterpretation
    from learnfleet.trainer.label_items import Category, FloatItem, ImageSegment, MultiCategory
    from learnfleet.trainer.layer_groups import split_model
    from learnfleet.trainer.learner import Learner
    from learnfleet.trainer.metric_functions import accuracy, error_rate, top_k_accuracy
    from learnfleet.trainer.models import (
        DynamicUnet,
        apply_init,
        cnn_config,
        cnn_learner,
        create_body,
        create_cnn,
        create_cnn_model,
        has_pool_type,
        num_features_model,
        unet_learner,
    )
    from learnfleet.trainer.opt_funcs import SGD, Adam, RAdam, RMSprop
    from learnfleet.trainer.predictor import Prediction, Predictor, load_predictor
    from learnfleet.trainer.schedules import OneCycleScheduler
    from learnfleet.trainer.spec import LearnerSpec, ResizeMethod
    from learnfleet.trainer.state import CancelEpoch, CancelStep, CancelTraining, TrainState
    from learnfleet.trainer.transforms import get_transforms
    from learnfleet.trainer.unet_blocks import NormType

_MODULES = {
    "layer_groups": ("split_model",),
    "unet_blocks": ("NormType",),
    "architecture_info": ("describe_architecture",),
    "architectures": ("available_architectures",),
    "build": ("build_learner",),
    "callback": ("Callback", "LearnerCallback"),
    "data": ("DatasetType", "EvalTransform", "ImageDataBunch"),
    "export": ("export_from_checkpoint",),
    "exported_learner": ("load_learner",),
    "head": ("create_head",),
    "images": ("BadImage",),
    "interpret": ("Interpretation",),
    "interpret_classes": ("ClassificationInterpretation",),
    "interpret_labels": ("MultiLabelClassificationInterpretation",),
    "interpret_masks": ("SegmentationInterpretation",),
    "label_items": ("Category", "FloatItem", "ImageSegment", "MultiCategory"),
    "learner": ("Learner",),
    "metric_functions": ("accuracy", "error_rate", "top_k_accuracy"),
    "models": (
        "DynamicUnet",
        "apply_init",
        "cnn_config",
        "cnn_learner",
        "create_body",
        "create_cnn",
        "create_cnn_model",
        "has_pool_type",
        "num_features_model",
        "unet_learner",
    ),
    "opt_funcs": ("SGD", "Adam", "RAdam", "RMSprop"),
    "predictor": ("Prediction", "Predictor", "load_predictor"),
    "schedules": ("OneCycleScheduler",),
    "spec": ("LearnerSpec", "ResizeMethod"),
    "state": ("CancelEpoch", "CancelStep", "CancelTraining", "TrainState"),
    "transforms": ("get_transforms",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "SGD",
    "Adam",
    "BadImage",
    "Callback",
    "CancelEpoch",
    "CancelStep",
    "CancelTraining",
    "Category",
    "ClassificationInterpretation",
    "DatasetType",
    "DynamicUnet",
    "EvalTransform",
    "FloatItem",
    "ImageDataBunch",
    "ImageSegment",
    "Interpretation",
    "Learner",
    "LearnerCallback",
    "LearnerSpec",
    "MultiCategory",
    "MultiLabelClassificationInterpretation",
    "NormType",
    "OneCycleScheduler",
    "Prediction",
    "Predictor",
    "RAdam",
    "RMSprop",
    "ResizeMethod",
    "SegmentationInterpretation",
    "TrainState",
    "accuracy",
    "apply_init",
    "available_architectures",
    "build_learner",
    "cnn_config",
    "cnn_learner",
    "create_body",
    "create_cnn",
    "create_cnn_model",
    "create_head",
    "describe_architecture",
    "error_rate",
    "export_from_checkpoint",
    "get_transforms",
    "has_pool_type",
    "load_learner",
    "load_predictor",
    "num_features_model",
    "split_model",
    "top_k_accuracy",
    "unet_learner",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

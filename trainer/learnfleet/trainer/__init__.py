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
    from learnfleet.trainer.data_bunch import DataBunch
    from learnfleet.trainer.export import export_from_checkpoint
    from learnfleet.trainer.exported_learner import load_learner
    from learnfleet.trainer.head import create_head
    from learnfleet.trainer.images import BadImage
    from learnfleet.trainer.interpret import Interpretation
    from learnfleet.trainer.interpret_classes import ClassificationInterpretation
    from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
    from learnfleet.trainer.interpret_masks import SegmentationInterpretation
    from learnfleet.trainer.item_list import ImageList, PointsItemList, SegmentationItemList, get_image_files
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
    from learnfleet.trainer.normalization import cifar_stats, imagenet_stats, mnist_stats
    from learnfleet.trainer.opt_funcs import SGD, Adam, RAdam, RMSprop
    from learnfleet.trainer.picture_tools import download_images, verify_images
    from learnfleet.trainer.predictor import Prediction, Predictor, load_predictor
    from learnfleet.trainer.sampling import OverSamplingCallback, UnderSamplingCallback
    from learnfleet.trainer.schedules import OneCycleScheduler
    from learnfleet.trainer.spec import LearnerSpec, ResizeMethod
    from learnfleet.trainer.split_lists import (
        CategoryList,
        EmptyLabelList,
        FloatList,
        MultiCategoryList,
        SegmentationLabelList,
    )
    from learnfleet.trainer.state import CancelEpoch, CancelStep, CancelTraining, TrainState
    from learnfleet.trainer.transform_components import (
        brightness,
        contrast,
        cutout,
        dihedral,
        flip_lr,
        jitter,
        perspective_warp,
        rand_pad,
        rand_resize_crop,
        rand_zoom,
        rgb_randomize,
        rotate,
        skew,
        squish,
        symmetric_warp,
        tilt,
        zoom,
    )
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
    "data_bunch": ("DataBunch",),
    "item_list": ("ImageList", "PointsItemList", "SegmentationItemList", "get_image_files"),
    "normalization": ("cifar_stats", "imagenet_stats", "mnist_stats"),
    "picture_tools": ("download_images", "verify_images"),
    "sampling": ("OverSamplingCallback", "UnderSamplingCallback"),
    "split_lists": ("CategoryList", "EmptyLabelList", "FloatList", "MultiCategoryList", "SegmentationLabelList"),
    "transform_components": (
        "brightness",
        "contrast",
        "cutout",
        "dihedral",
        "flip_lr",
        "jitter",
        "perspective_warp",
        "rand_pad",
        "rand_resize_crop",
        "rand_zoom",
        "rgb_randomize",
        "rotate",
        "skew",
        "squish",
        "symmetric_warp",
        "tilt",
        "zoom",
    ),
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
    "CategoryList",
    "ClassificationInterpretation",
    "DataBunch",
    "DatasetType",
    "DynamicUnet",
    "EmptyLabelList",
    "EvalTransform",
    "FloatItem",
    "FloatList",
    "ImageDataBunch",
    "ImageList",
    "ImageSegment",
    "Interpretation",
    "Learner",
    "LearnerCallback",
    "LearnerSpec",
    "MultiCategory",
    "MultiCategoryList",
    "MultiLabelClassificationInterpretation",
    "NormType",
    "OneCycleScheduler",
    "OverSamplingCallback",
    "PointsItemList",
    "Prediction",
    "Predictor",
    "RAdam",
    "RMSprop",
    "ResizeMethod",
    "SegmentationInterpretation",
    "SegmentationItemList",
    "SegmentationLabelList",
    "TrainState",
    "UnderSamplingCallback",
    "accuracy",
    "apply_init",
    "available_architectures",
    "brightness",
    "build_learner",
    "cifar_stats",
    "cnn_config",
    "cnn_learner",
    "contrast",
    "create_body",
    "create_cnn",
    "create_cnn_model",
    "create_head",
    "cutout",
    "describe_architecture",
    "dihedral",
    "download_images",
    "error_rate",
    "export_from_checkpoint",
    "flip_lr",
    "get_image_files",
    "get_transforms",
    "has_pool_type",
    "imagenet_stats",
    "jitter",
    "load_learner",
    "load_predictor",
    "mnist_stats",
    "num_features_model",
    "perspective_warp",
    "rand_pad",
    "rand_resize_crop",
    "rand_zoom",
    "rgb_randomize",
    "rotate",
    "skew",
    "split_model",
    "squish",
    "symmetric_warp",
    "tilt",
    "top_k_accuracy",
    "unet_learner",
    "verify_images",
    "zoom",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

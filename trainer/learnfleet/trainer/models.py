"""Networks, and learners made of them. `models.resnet18` and the like are architectures for `cnn_learner`.

Every torchvision classification network is an attribute here, made when it is first asked for; networks of timm,
pytorchcv and of installed packages go by their names alone.
"""

from __future__ import annotations

from learnfleet.trainer import zoo_torchvision
from learnfleet.trainer.architectures import NamedArchitecture
from learnfleet.trainer.bodies import (
    Body,
    build_body,
    cnn_config,
    create_body,
    has_pool_type,
    num_features_model,
)
from learnfleet.trainer.cnn import cnn_learner, create_cnn, create_cnn_model
from learnfleet.trainer.head import apply_init, create_head
from learnfleet.trainer.segmentation import unet_learner
from learnfleet.trainer.small_cnn import simple_cnn
from learnfleet.trainer.unet import DynamicUnet

__all__ = [
    "Body",
    "DynamicUnet",
    "apply_init",
    "build_body",
    "cnn_config",
    "cnn_learner",
    "create_body",
    "create_cnn",
    "create_cnn_model",
    "create_head",
    "has_pool_type",
    "num_features_model",
    "simple_cnn",
    "unet_learner",
]


def __getattr__(name: str) -> NamedArchitecture:
    if name not in zoo_torchvision.names():
        raise AttributeError(f"module {__name__!r} has no architecture {name!r}")
    return NamedArchitecture(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *zoo_torchvision.names()})

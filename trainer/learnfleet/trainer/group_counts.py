"""How many layer groups a specification gives, where that is known without building the network. Imports no torch."""

from __future__ import annotations

import re

from learnfleet.trainer.spec import LearnerSpec

# torchvision's names, by the number of groups that `cnn_learner` and `unet_learner` make of them (model_meta.py).
_KNOWN = (
    (re.compile(r"squeezenet1_[01]"), 4),
    (
        re.compile(
            r"resnet\d+|resnext\d+_\d+x\d+d|wide_resnet\d+_2|densenet\d+|vgg\d+(_bn)?|alexnet|mobilenet_v2"
            r"|mobilenet_v3_(large|small)|mnasnet\d_\d+|shufflenet_v2_x\d_\d|efficientnet_(b\d|v2_[sml])"
            r"|convnext_(tiny|small|base|large)|googlenet|inception_v3"
        ),
        3,
    ),
)


def known_group_count(spec: LearnerSpec) -> int | None:
    """None where it takes the network to know: a cut or split of one's own, other libraries' architectures."""
    if spec.split is not None or spec.cut is not None:
        return None
    return next((count for names, count in _KNOWN if names.fullmatch(spec.architecture)), None)

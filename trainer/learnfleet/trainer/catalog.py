"""What this installation can train with, as JSON-able data: for a server that does not import torch itself."""

from __future__ import annotations

from typing import Any

import timm
import torch
import torchvision

from learnfleet.trainer import zoo_timm
from learnfleet.trainer.architectures import available_architectures
from learnfleet.trainer.callback_registry import available_callbacks
from learnfleet.trainer.export import installed_version
from learnfleet.trainer.losses import available_losses
from learnfleet.trainer.metrics import available_metrics
from learnfleet.trainer.opt_funcs import OPT_FUNCS, describe_opt_funcs
from learnfleet.trainer.transform_components import available_transforms


def available_catalog() -> dict[str, Any]:
    """Names that a LearnerSpec may hold, with the arguments they take, and the versions they come from."""
    return {
        "architectures": sorted({*available_architectures(), *zoo_timm.tagged_names()}),
        "metrics": available_metrics(),
        "losses": available_losses(),
        "optimizers": sorted(OPT_FUNCS),
        "optimizer_arguments": describe_opt_funcs(),
        "callbacks": available_callbacks(),
        "transforms": available_transforms(),
        "versions": {
            "learnfleet": installed_version(),
            "torch": str(torch.__version__),  # a class of torch's, which the control server does not have
            "torchvision": str(torchvision.__version__),
            "timm": timm.__version__,
        },
    }

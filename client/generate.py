"""Write `learnfleet/client/registered.json`: what the trainer has registered by name, for a client that has no torch.

Run `python client/generate.py` after a change to a registry of the trainer; a contract test says when that is due.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import learnfleet.trainer
from learnfleet.trainer import public_names
from learnfleet.trainer.callback_registry import available_callbacks
from learnfleet.trainer.losses import available_losses
from learnfleet.trainer.metrics import available_metrics, build_metric
from learnfleet.trainer.opt_funcs import describe_opt_funcs
from learnfleet.trainer.transform_components import available_transforms
from learnfleet.trainer.zoo_torchvision import names as torchvision_names

TABLE = Path(__file__).parent / "learnfleet" / "client" / "registered.json"

_REGISTRIES: dict[str, Callable[[], dict[str, list[dict[str, Any]]]]] = {
    "callbacks": available_callbacks,
    "losses": available_losses,
    "metrics": available_metrics,
    "optimizers": describe_opt_funcs,
    "transforms": available_transforms,
}

# What the trainer calls in Python what is registered under another name.
_REGISTERED_AS = {
    "AccumulateScheduler": "accumulate",
    "ActivationStats": "activation_stats",
    "Adam": "adam",
    "BCEFlat": "bce",
    "BCEWithLogitsFlat": "bce_with_logits",
    "BnFreeze": "bn_freeze",
    "CSVLogger": "csv_logger",
    "CrossEntropyFlat": "cross_entropy",
    "CutMixCallback": "cutmix",
    "DiceLoss": "dice",
    "EMACallback": "ema",
    "EarlyStoppingCallback": "early_stopping",
    "FlatCosAnnealScheduler": "flat_cos",
    "FocalLoss": "focal",
    "GeneralScheduler": "general_scheduler",
    "GradientAccumulation": "gradient_accumulation",
    "GradientClipping": "gradient_clipping",
    "L1LossFlat": "l1",
    "LabelSmoothingCrossEntropy": "label_smoothing",
    "LearnerTensorboardWriter": "tensorboard",
    "MSELossFlat": "mse",
    "MixUpCallback": "mixup",
    "MixedPrecision": "mixed_precision",
    "OneCycleScheduler": "one_cycle",
    "OverSamplingCallback": "over_sampling",
    "PeakMemMetric": "peak_mem",
    "RAdam": "radam",
    "RMSprop": "rmsprop",
    "RNNTrainer": "rnn_trainer",
    "ReduceLROnPlateauCallback": "reduce_lr_on_plateau",
    "SGD": "sgd",
    "SaveModelCallback": "save_model",
    "StopAfterNBatches": "stop_after_n_batches",
    "TerminateOnNaNCallback": "terminate_on_nan",
    "TrackEpochCallback": "track_epoch",
    "UnderSamplingCallback": "under_sampling",
}
_KIND_OF_MODULE = {"loss_functions": "losses", "opt_funcs": "optimizers", "transform_components": "transforms"}


def table() -> dict[str, Any]:
    """The registered components that have a public name in Python, and torchvision's architectures."""
    built_in = {kind: _of_this_package(kind, registry()) for kind, registry in _REGISTRIES.items()}
    found = [_entry(name, built_in) for name in sorted(public_names.HOME)]
    return {
        "components": [entry for entry in found if entry is not None],
        "architectures": sorted(torchvision_names()),
    }


def _of_this_package(kind: str, registry: dict[str, Any]) -> dict[str, Any]:
    """Without what other packages have added here."""
    from importlib.metadata import entry_points

    return {
        name: value for name, value in registry.items() if name not in entry_points(group=f"learnfleet.{kind}").names
    }


def _entry(name: str, registries: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    module = public_names.HOME[name]
    value = getattr(learnfleet.trainer, name)
    kind = _kind(module, name, value)
    registered = _REGISTERED_AS.get(name, name)
    if kind is None or registered not in registries[kind]:
        return None
    is_class = inspect.isclass(value)
    documented = is_class or inspect.isfunction(value)
    column = {"column": build_metric(registered).name} if kind == "metrics" else {}
    return {
        "name": name,
        "kind": kind,
        "registered": registered,
        "is_class": is_class,
        "doc": (inspect.getdoc(value) or "") if documented else f"The optimiser `{registered}`.",
        "arguments": registries[kind][registered],
        **column,
    }


def _kind(module: str, name: str, value: object) -> str | None:
    if module in _KIND_OF_MODULE:
        return _KIND_OF_MODULE[module]
    if module.startswith("metric_"):
        return "metrics"
    from learnfleet.trainer.callback import Callback

    return "callbacks" if inspect.isclass(value) and issubclass(value, Callback) else None


def text() -> str:
    """The table as the file holds it."""
    return json.dumps(table(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TABLE.write_text(text(), encoding="utf-8")

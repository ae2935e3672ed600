"""What raw outputs become, and over what they are averaged, as messages."""

from __future__ import annotations

from learnfleet.v1 import prediction_service_pb2 as pb

_ACTIVATIONS = {
    "none": pb.ACTIVATION_NONE,
    "softmax": pb.ACTIVATION_SOFTMAX,
    "sigmoid": pb.ACTIVATION_SIGMOID,
}


def activation(name: str | None) -> pb.Activation:
    """None: what suits the loss. Raises TypeError for a function, ValueError for another name."""
    if name is None:
        return pb.ACTIVATION_UNSPECIFIED
    known = ", ".join(map(repr, _ACTIVATIONS))
    if not isinstance(name, str):
        raise TypeError(f"activ is {name!r}, but no code travels: give one of {known}")
    if name not in _ACTIVATIONS:
        raise ValueError(f"activ is {name!r}; must be one of {known}")
    return _ACTIVATIONS[name]


def of_variants(beta: float | None, scale: float) -> pb.TestTimeAugmentation:
    """fastai v1 `TTA`; plain predictions and mean of the variants apart under `beta=None`."""
    return pb.TestTimeAugmentation(beta=beta, scale=scale, apart=beta is None)


def of_passes(n: int, beta: float, use_max: bool) -> pb.TestTimeAugmentation:
    """fastai v2 `tta`. Raises ValueError for less than one pass."""
    if n < 1:
        raise ValueError(f"n is {n}; must be at least 1")
    return pb.TestTimeAugmentation(passes=n, beta=beta, use_max=use_max)

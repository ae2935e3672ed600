"""Transforms by name, for `ds_tfms` and for `xtra_tfms` of `get_transforms` (fastai v1's names). Imports no torch.

Each is a value: a name and its arguments. Where an argument may be a range, (low, high), it is drawn for each picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from learnfleet.trainer.data_spec import DataSpec, TransformSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec_base import Component

Range: TypeAlias = "float | Sequence[float]"

# Least and greatest value of each argument, whatever the transform.
_BOUNDS: dict[str, tuple[float, float]] = {
    "p": (0.0, 1.0),
    "row_pct": (0.0, 1.0),
    "col_pct": (0.0, 1.0),
    "thresh": (0.0, 1.0),
    "change": (1e-6, 1 - 1e-6),
    "scale": (1e-3, 1e3),
    "degrees": (-360.0, 360.0),
    "magnitude": (-0.9, 0.9),
    "direction": (0, 7),
    "channel": (0, 2),
    "n_holes": (0, 100),
    "length": (0, 4096),
    "padding": (0, 1024),
    "max_scale": (1.0, 100.0),
    "ratios": (1e-2, 1e2),
    "size": (1, 4096),
}
_ONE_NUMBER = ("p", "max_scale", "padding", "size")


def flip_lr(p: float = 1.0) -> Component:
    """Left becomes right."""
    return _component("flip_lr", p=p)


def dihedral(p: float = 1.0) -> Component:
    """One of the eight symmetries of a square."""
    return _component("dihedral", p=p)


def rotate(degrees: Range = (-10.0, 10.0), p: float = 1.0) -> Component:
    """Turned about the middle."""
    return _component("rotate", degrees=degrees, p=p)


def zoom(scale: Range = 1.0, row_pct: Range = 0.5, col_pct: Range = 0.5, p: float = 1.0) -> Component:
    """Enlarged by `scale`; the part that is kept lies at these shares of what is left free."""
    return _component("zoom", scale=scale, row_pct=row_pct, col_pct=col_pct, p=p)


def rand_zoom(scale: Range = (1.0, 1.5), p: float = 1.0) -> Component:
    """As `zoom`, to a part anywhere in the picture."""
    return zoom(scale, (0.0, 1.0), (0.0, 1.0), p)


def symmetric_warp(magnitude: Range = (-0.2, 0.2), p: float = 1.0) -> Component:
    """Each edge is lengthened by a share of its own, evenly at both ends."""
    return _component("symmetric_warp", magnitude=magnitude, p=p)


def brightness(change: Range = (0.4, 0.6), p: float = 1.0) -> Component:
    """logit(change) is added to each pixel's logit: 0.5 changes nothing, 1 would be white."""
    return _component("brightness", change=change, p=p)


def contrast(scale: Range = (0.8, 1.25), p: float = 1.0) -> Component:
    """Each pixel's logit is multiplied by `scale`, which is drawn evenly by its logarithm."""
    return _component("contrast", scale=scale, p=p)


def squish(scale: Range = 1.0, row_pct: Range = 0.5, col_pct: Range = 0.5, p: float = 1.0) -> Component:
    """Another aspect ratio: below 1 that share of the width fills it, above 1 the share 1 / scale of the height."""
    return _component("squish", scale=scale, row_pct=row_pct, col_pct=col_pct, p=p)


def skew(direction: Range = (0, 7), magnitude: Range = 0.2, p: float = 1.0) -> Component:
    """One corner is pulled along one of its two edges: eight directions."""
    return _component("skew", direction=direction, magnitude=magnitude, p=p)


def tilt(direction: Range = (0, 3), magnitude: Range = 0.2, p: float = 1.0) -> Component:
    """As if leaned back over one of the four edges."""
    return _component("tilt", direction=direction, magnitude=magnitude, p=p)


def perspective_warp(magnitude: Range = (-0.2, 0.2), p: float = 1.0) -> Component:
    """Each corner moves by itself, across and down."""
    return _component("perspective_warp", magnitude=magnitude, p=p)


def jitter(magnitude: Range = 0.02, p: float = 1.0) -> Component:
    """Each pixel is taken from a place up to `magnitude` of the picture away."""
    return _component("jitter", magnitude=magnitude, p=p)


def cutout(n_holes: Range = 1, length: Range = 40, p: float = 1.0) -> Component:
    """Square holes of `length` pixels, black. Source: DeVries & Taylor 2017, arXiv:1708.04552."""
    return _component("cutout", n_holes=n_holes, length=length, p=p)


def rgb_randomize(channel: Range = (0, 2), thresh: Range = 0.3, p: float = 1.0) -> Component:
    """One channel becomes noise in [0, thresh)."""
    return _component("rgb_randomize", channel=channel, thresh=thresh, p=p)


def rand_resize_crop(
    size: int | None = None, max_scale: float = 2.0, ratios: Sequence[float] = (0.75, 1.33), p: float = 1.0
) -> Component:
    """A window of at least 1 / max_scale of each side and of a ratio (width / height) in `ratios`, scaled to the size.

    With max_scale 3.54 and ratios (3/4, 4/3) it is the crop that ImageNet models are trained with.

    Args:
        size: pixels of the square; None: the size that the data is given.
    """
    return _sized("rand_resize_crop", size, max_scale=max_scale, ratios=ratios, p=p)


def rand_pad(padding: int = 4, size: int | None = None, p: float = 1.0) -> list[Component]:
    """The picture with `padding` pixels around it, of which a part of its old size is taken anywhere (CIFAR's recipe).

    A list of one, as in fastai: `[*rand_pad(4, 32), flip_lr(p=0.5)]`. What the pixels around it are is the data's
    `padding_mode`.
    """
    return [_sized("rand_pad", size, padding=padding, p=p)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _component(name: str, **arguments: Range) -> Component:
    # Lists and not tuples: this is what comes back from JSON, and the two must be equal.
    return Component(
        name, {key: value if isinstance(value, int | float) else list(value) for key, value in arguments.items()}
    )


def _sized(name: str, size: int | None, **arguments: Range) -> Component:
    return _component(name, **arguments) if size is None else _component(name, size=size, **arguments)


_MAKERS: tuple[Callable[[], Component], ...] = (
    *(brightness, contrast, cutout, dihedral, flip_lr, jitter, perspective_warp, rand_resize_crop, rgb_randomize),
    *(rotate, skew, squish, symmetric_warp, tilt, zoom, lambda: rand_pad()[0]),
)
_DEFAULTS = {made.name: made.arguments for make in _MAKERS for made in [make()]}
_WITH_SIZE = ("rand_resize_crop", "rand_pad")


def transform_names() -> list[str]:
    """All that can be asked for by name."""
    return sorted(_DEFAULTS)


def available_transforms() -> dict[str, list[dict[str, Any]]]:
    """Each transform's arguments, as JSON-able data: `many` where a number may also be a range of two."""
    return {name: [_described(*item) for item in _DEFAULTS[name].items()] for name in transform_names()}


def _described(name: str, default: Any) -> dict[str, Any]:
    is_list = isinstance(default, list)
    return {
        "name": name,
        "type": "floats" if is_list else "float",
        "default": default,
        "many": not is_list and name not in _ONE_NUMBER,
    }


def checked(component: Component, field: str) -> Component:
    """With all its arguments. Raises LearnerError for a name, an argument or a value that is not possible."""
    defaults = _DEFAULTS.get(component.name)
    if defaults is None:
        known = ", ".join(transform_names())
        raise LearnerError(f"{field}.name", f"there is no transform {component.name!r}; known: {known}")
    known_names = [*defaults, *(["size"] if component.name in _WITH_SIZE else [])]
    unknown = sorted(set(component.arguments) - set(known_names))
    if unknown:
        takes = ", ".join(known_names)
        raise LearnerError(f"{field}.{unknown[0]}", f"{component.name} has no such argument; it has {takes}")
    for name, value in component.arguments.items():
        _check_value(value, name, f"{field}.{name}")
    return Component(component.name, {**defaults, **component.arguments})


def check_transforms(spec: DataSpec) -> None:
    """Raises LearnerError for transforms by name that are not possible with these data."""
    for number, item in enumerate(spec.transforms.extra if spec.transforms is not None else ()):
        checked(item, f"data.transforms.extra[{number}]")
        if item.name == "rand_resize_crop" and not spec.size:
            raise LearnerError("data.size", "is missing: rand_resize_crop needs one")


def _check_value(value: object, name: str, field: str) -> None:
    least, most = _BOUNDS[name]
    may_be_range = name not in _ONE_NUMBER
    numbers: Sequence[Any] = value if isinstance(value, list | tuple) and may_be_range else [value]
    if len(numbers) not in (1, 2) or not all(_is_number(number) for number in numbers):
        raise LearnerError(field, f"{value!r} is not a number" + " or (low, high)" * may_be_range)
    if not all(least <= number <= most for number in numbers) or numbers[0] > numbers[-1]:
        raise LearnerError(field, f"{value!r} is not in [{least:g}, {most:g}]" + ", low before high" * may_be_range)


def check_ranges(spec: TransformSpec) -> None:
    """Raises LearnerError for arguments of `get_transforms` that are out of range."""
    if spec.max_rotate < 0:
        raise LearnerError("data.transforms.max_rotate", f"{spec.max_rotate} is below 0: it turns pictures both ways")
    for name in ("max_lighting", "max_warp"):
        if not 0 <= getattr(spec, name) < 1:
            raise LearnerError(f"data.transforms.{name}", f"{getattr(spec, name)} is not in [0, 1)")
    for name in ("p_affine", "p_lighting"):
        if not 0 <= getattr(spec, name) <= 1:
            raise LearnerError(f"data.transforms.{name}", f"{getattr(spec, name)} is not a probability in [0, 1]")


def further(components: object) -> tuple[Component, ...]:
    """What a user gives as `xtra_tfms`: none, one or several. Raises LearnerError for what is no transform."""
    listed = () if components is None else components
    listed = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else (listed,)
    wrong = [item for item in listed if not isinstance(item, Component)]
    if wrong:
        raise LearnerError("xtra_tfms", f"{wrong[0]!r} is no transform as cutout() is")
    return tuple(listed)

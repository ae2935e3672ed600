"""Data specifications from protobuf, with everything that is wrong with them."""

from __future__ import annotations

import dataclasses

from learnfleet.server.rpc.read_component import Names, read_components
from learnfleet.server.rpc.read_source import read_labels, read_source
from learnfleet.server.rpc.source_places import SourcePlaces
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.data_spec import (
    BadImagePolicy,
    DataSpec,
    Normalization,
    PaddingMode,
    ResizeMethod,
    TransformSpec,
)
from learnfleet.v1 import learner_pb2 as pb

RESIZE_METHODS = {
    ResizeMethod.CROP: pb.RESIZE_METHOD_CROP,
    ResizeMethod.PAD: pb.RESIZE_METHOD_PAD,
    ResizeMethod.SQUISH: pb.RESIZE_METHOD_SQUISH,
    ResizeMethod.NO: pb.RESIZE_METHOD_NO,
}
_RESIZE = {number: method for method, number in RESIZE_METHODS.items()} | {
    pb.RESIZE_METHOD_UNSPECIFIED: ResizeMethod.CROP
}
PADDING_MODES: dict[int, PaddingMode] = {
    pb.PADDING_MODE_UNSPECIFIED: "reflection",
    pb.PADDING_MODE_REFLECTION: "reflection",
    pb.PADDING_MODE_BORDER: "border",
    pb.PADDING_MODE_ZEROS: "zeros",
}
_BAD_IMAGE = {
    pb.BAD_IMAGE_POLICY_UNSPECIFIED: BadImagePolicy.SKIP,
    pb.BAD_IMAGE_POLICY_SKIP: BadImagePolicy.SKIP,
    pb.BAD_IMAGE_POLICY_FAIL: BadImagePolicy.FAIL,
}
_PRESETS = ("auto", "imagenet", "cifar", "mnist", "none")
_MIN_SIDE, _MAX_SIDE = 8, 1024
_MAX_BATCH = 65536
# Least, greatest and default value of the numbers in Transforms.
_TRANSFORM_NUMBERS = {
    "max_rotate": (0.0, 180.0, 10.0),
    "max_zoom": (1.0, 10.0, 1.1),
    "max_lighting": (0.0, 0.99, 0.2),
    "max_warp": (0.0, 0.9, 0.2),
    "p_affine": (0.0, 1.0, 0.75),
    "p_lighting": (0.0, 1.0, 0.75),
}


def read_data(
    message: pb.DataSpec, field: str, found: Violations, places: SourcePlaces, names: Names
) -> DataSpec | None:
    """The specification, or None where there is no source to speak of. The source's content is not looked at."""
    resize = _RESIZE.get(message.resize_method)
    found.check(resize is not None, f"{field}.resize_method", f"{message.resize_method} is no ResizeMethod")
    size = _read_size(message, field, found, is_free=resize is ResizeMethod.NO)
    bs = message.batch_size or 64
    found.number(f"{field}.batch_size", bs, 1, _MAX_BATCH)
    found.number(f"{field}.validation_batch_size", message.validation_batch_size, 0, _MAX_BATCH)
    found.number(f"{field}.validation_margin", message.validation_margin, 0, _MAX_SIDE)
    transforms = _read_transforms(message, field, found, names)
    normalization = _read_normalization(message.normalization, f"{field}.normalization", found)
    policy = _BAD_IMAGE.get(message.bad_image_policy)
    padding = PADDING_MODES.get(message.padding_mode)
    found.check(policy is not None, f"{field}.bad_image_policy", f"{message.bad_image_policy} is no BadImagePolicy")
    found.check(padding is not None, f"{field}.padding_mode", f"{message.padding_mode} is no PaddingMode")
    version = None
    if message.dataset:
        version = found.attempt(lambda: places.version(message.dataset, f"{field}.dataset"))
        source = None if version is None else read_source(message, field, found, version)
    else:
        source = read_source(message, field, found, places)
    labels = read_labels(message, field, found)
    if source is None or resize is None or policy is None or padding is None or labels is None:
        return None
    return dataclasses.replace(
        source,
        size=size,
        resize_method=resize,
        bs=bs,
        val_bs=message.validation_batch_size or None,
        transforms=transforms,
        normalization=normalization,
        bad_image=policy,
        labels=labels,
        classes=tuple(message.classes) or None,
        test=message.test or None,
        log=message.log,
        padding_mode=padding,
        valid_margin=message.validation_margin,
        dataset=None if version is None else version.ref(source.path),
        normalizes_targets=message.normalizes_targets,
    )


def _read_size(message: pb.DataSpec, field: str, found: Violations, *, is_free: bool) -> tuple[int, ...]:
    if is_free:
        found.check(not message.HasField("size"), f"{field}.size", "must be absent where pictures stay as they are")
        return ()
    if not message.HasField("size"):
        return 224, 224
    found.number(f"{field}.size.rows", message.size.rows, _MIN_SIDE, _MAX_SIDE)
    found.number(f"{field}.size.columns", message.size.columns, _MIN_SIDE, _MAX_SIDE)
    return message.size.rows, message.size.columns


def _read_transforms(message: pb.DataSpec, field: str, found: Violations, names: Names) -> TransformSpec | None:
    if not message.HasField("transforms"):
        return None
    given = message.transforms
    numbers: dict[str, float] = {}
    for name, (least, most, default) in _TRANSFORM_NUMBERS.items():
        numbers[name] = getattr(given, name) if given.HasField(name) else default
        found.number(f"{field}.transforms.{name}", numbers[name], least, most)
    return TransformSpec(
        do_flip=given.do_flip if given.HasField("do_flip") else True,
        flip_vert=given.flip_vert,
        max_rotate=numbers["max_rotate"],
        max_zoom=numbers["max_zoom"],
        max_lighting=numbers["max_lighting"],
        max_warp=numbers["max_warp"],
        p_affine=numbers["p_affine"],
        p_lighting=numbers["p_lighting"],
        extra=read_components(given.extra, f"{field}.transforms.extra", found, names.transforms, "transform"),
    )


def _read_normalization(message: pb.Normalization, field: str, found: Violations) -> Normalization:
    kind = message.WhichOneof("kind")
    if kind is None:
        return Normalization()
    if kind == "preset":
        known = ", ".join(_PRESETS)
        fits = found.check(message.preset in _PRESETS, f"{field}.preset", f"'{message.preset[:40]}' must be of {known}")
        return Normalization(message.preset) if fits else Normalization()  # type: ignore[arg-type]  # checked
    mean, std = tuple(message.stats.mean), tuple(message.stats.std)
    for name, values in (("mean", mean), ("std", std)):
        found.check(len(values) == 3, f"{field}.stats.{name}", f"has {len(values)} values; must have 3")
    for index, value in enumerate(mean[:3]):
        found.number(f"{field}.stats.mean[{index}]", value, 0, 1)
    for index, value in enumerate(std[:3]):
        found.number(f"{field}.stats.std[{index}]", value, 0, 10, open_ends=True)
    return Normalization("explicit", mean, std)

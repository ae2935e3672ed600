"""Data specifications from protobuf, with everything that is wrong with them."""

from __future__ import annotations

from pathlib import PurePosixPath

from learnfleet.server.data.roots import DataRoots
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.spec import BadImagePolicy, DataSpec, Normalization, ResizeMethod, TransformSpec
from learnfleet.v1 import learner_pb2 as pb

RESIZE_METHODS = {
    ResizeMethod.CROP: pb.RESIZE_METHOD_CROP,
    ResizeMethod.PAD: pb.RESIZE_METHOD_PAD,
    ResizeMethod.SQUISH: pb.RESIZE_METHOD_SQUISH,
}
_RESIZE = {number: method for method, number in RESIZE_METHODS.items()} | {
    pb.RESIZE_METHOD_UNSPECIFIED: ResizeMethod.CROP
}
_BAD_IMAGE = {
    pb.BAD_IMAGE_POLICY_UNSPECIFIED: BadImagePolicy.SKIP,
    pb.BAD_IMAGE_POLICY_SKIP: BadImagePolicy.SKIP,
    pb.BAD_IMAGE_POLICY_FAIL: BadImagePolicy.FAIL,
}
_PRESETS = ("auto", "imagenet", "cifar", "mnist", "none")
_MIN_SIDE, _MAX_SIDE = 8, 1024
_MAX_BATCH = 65536
_DEFAULT_SPLIT_SEED = 42
_MAX_SPLIT_SEED = 2**32 - 1  # of numpy's legacy generator, which fastai splits with
# Least, greatest and default value of the numbers in Transforms.
_TRANSFORM_NUMBERS = {
    "max_rotate": (0.0, 180.0, 10.0),
    "max_zoom": (1.0, 10.0, 1.1),
    "max_lighting": (0.0, 0.99, 0.2),
    "max_warp": (0.0, 0.9, 0.2),
    "p_affine": (0.0, 1.0, 0.75),
    "p_lighting": (0.0, 1.0, 0.75),
}


def read_data(message: pb.DataSpec, field: str, found: Violations, roots: DataRoots) -> DataSpec | None:
    """The specification, or None where there is no folder to speak of. The folder's content is not looked at."""
    size = _read_size(message, field, found)
    bs = message.batch_size or 64
    found.number(f"{field}.batch_size", bs, 1, _MAX_BATCH)
    found.number(f"{field}.validation_batch_size", message.validation_batch_size, 0, _MAX_BATCH)
    transforms = _read_transforms(message, field, found)
    normalization = _read_normalization(message.normalization, f"{field}.normalization", found)
    resize = _RESIZE.get(message.resize_method)
    policy = _BAD_IMAGE.get(message.bad_image_policy)
    found.check(resize is not None, f"{field}.resize_method", f"{message.resize_method} is no ResizeMethod")
    found.check(policy is not None, f"{field}.bad_image_policy", f"{message.bad_image_policy} is no BadImagePolicy")
    if message.WhichOneof("source") is None:
        found.add(f"{field}.folder", "is missing; must say where the pictures are")
        return None
    path = _read_folder(message.folder, f"{field}.folder", found, roots)
    if path is None or resize is None or policy is None:
        return None
    folder = message.folder
    return DataSpec(
        path=path,
        train=folder.train or "train",
        valid=folder.valid or "valid",
        valid_pct=folder.valid_pct if folder.HasField("valid_pct") else None,
        split_seed=folder.split_seed if folder.HasField("split_seed") else _DEFAULT_SPLIT_SEED,
        size=size,
        resize_method=resize,
        bs=bs,
        val_bs=message.validation_batch_size or None,
        transforms=transforms,
        normalization=normalization,
        bad_image=policy,
    )


def _read_folder(message: pb.FolderSource, field: str, found: Violations, roots: DataRoots) -> str | None:
    for name in ("train", "valid"):
        value = getattr(message, name)
        parts = PurePosixPath(value).parts
        is_inside = not value.startswith("/") and ".." not in parts and "\0" not in value
        found.check(is_inside, f"{field}.{name}", f"'{value[:80]}' must be the name of a folder inside path")
    if message.HasField("valid_pct"):
        found.number(f"{field}.valid_pct", message.valid_pct, 0, 1, open_ends=True)
    if message.HasField("split_seed"):
        found.number(f"{field}.split_seed", message.split_seed, 0, _MAX_SPLIT_SEED)
    path = found.attempt(lambda: roots.resolve(message.path, f"{field}.path"))
    return str(path) if path is not None else None


def _read_size(message: pb.DataSpec, field: str, found: Violations) -> tuple[int, int]:
    if not message.HasField("size"):
        return 224, 224
    found.number(f"{field}.size.rows", message.size.rows, _MIN_SIDE, _MAX_SIDE)
    found.number(f"{field}.size.columns", message.size.columns, _MIN_SIDE, _MAX_SIDE)
    return message.size.rows, message.size.columns


def _read_transforms(message: pb.DataSpec, field: str, found: Violations) -> TransformSpec | None:
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

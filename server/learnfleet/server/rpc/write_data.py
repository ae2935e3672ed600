"""Data specifications as protobuf."""

from __future__ import annotations

from learnfleet.server.rpc.read_data import RESIZE_METHODS
from learnfleet.server.rpc.read_source import LABEL_KINDS
from learnfleet.trainer.data_spec import (
    BadImagePolicy,
    DataSpec,
    LabelKind,
    ListedItem,
    Normalization,
    PaddingMode,
    TableSpec,
    TransformSpec,
)
from learnfleet.v1 import learner_pb2

_PADDING: dict[PaddingMode, learner_pb2.PaddingMode] = {
    "reflection": learner_pb2.PADDING_MODE_REFLECTION,
    "border": learner_pb2.PADDING_MODE_BORDER,
    "zeros": learner_pb2.PADDING_MODE_ZEROS,
}
_PARTS = {
    "train": learner_pb2.DATASET_TYPE_TRAIN,
    "valid": learner_pb2.DATASET_TYPE_VALID,
    "test": learner_pb2.DATASET_TYPE_TEST,
}


def data_to_proto(data: DataSpec) -> learner_pb2.DataSpec:
    message = learner_pb2.DataSpec(
        resize_method=RESIZE_METHODS[data.resize_method],
        batch_size=data.bs,
        validation_batch_size=data.val_bs or data.bs,
        transforms=_transforms_to_proto(data.transforms) if data.transforms is not None else None,
        normalization=_normalization_to_proto(data.normalization),
        bad_image_policy=bad_image_policy_to_proto(data.bad_image),
        labels=label_kind_to_proto(data.labels),
        classes=data.classes or (),
        test=data.test or "",
        padding_mode=_PADDING[data.padding_mode],
        log=data.log,
        validation_margin=data.valid_margin,
        dataset=data.dataset.name if data.dataset else "",
        normalizes_targets=data.normalizes_targets,
    )
    if data.size:
        message.size.rows, message.size.columns = data.size
    _put_source(message, data)
    return message


def label_kind_to_proto(kind: LabelKind) -> learner_pb2.LabelKind:
    return LABEL_KINDS.get(kind, learner_pb2.LABEL_KIND_CATEGORY)


def _put_source(message: learner_pb2.DataSpec, data: DataSpec) -> None:
    path = data.dataset.path if data.dataset else data.path
    split = learner_pb2.RandomSplit(valid_pct=data.valid_pct, seed=data.split_seed)
    if data.source == "table":
        message.table.CopyFrom(_table_to_proto(path, data.table or TableSpec(), split))
    elif data.source == "names":
        message.names.CopyFrom(learner_pb2.NamesSource(path=path, pattern=data.pattern or "", split=split))
    elif data.source == "list":
        items = [_item_to_proto(item) for item in data.items or ()]
        message.list.CopyFrom(learner_pb2.ListSource(path=path, items=items))
    elif data.source == "masks" and data.masks is not None:
        masks = data.masks
        message.masks.CopyFrom(
            learner_pb2.MasksSource(
                path=path,
                pictures=masks.pictures,
                masks=masks.masks,
                suffix=masks.suffix,
                extension=masks.extension,
                split=split,
            )
        )
    else:
        message.folder.CopyFrom(learner_pb2.FolderSource(path=path, train=data.train, valid=data.valid))
        if data.valid_pct is not None:
            message.folder.valid_pct, message.folder.split_seed = data.valid_pct, data.split_seed


def _table_to_proto(path: str, table: TableSpec, split: learner_pb2.RandomSplit) -> learner_pb2.TableSource:
    # Columns by number are the defaults: no name in a message says so.
    return learner_pb2.TableSource(
        path=path,
        file=table.file,
        folder=table.folder,
        suffix=table.suffix,
        fn_col=table.fn_col if isinstance(table.fn_col, str) else "",
        label_cols=[name for name in table.label_cols if isinstance(name, str)],
        label_delim=table.label_delim or "",
        delimiter=table.delimiter,
        valid_col=table.valid_col if isinstance(table.valid_col, str) else "",
        split=split,
        no_header=not table.header,
    )


def _item_to_proto(item: ListedItem) -> learner_pb2.ListedItem:
    return learner_pb2.ListedItem(
        file=item.file, labels=item.labels, values=item.values, mask=item.mask, part=_PARTS[item.part]
    )


def _transforms_to_proto(transforms: TransformSpec) -> learner_pb2.Transforms:
    numbers = {name: value for name, value in transforms.to_json().items() if name != "extra"}
    message = learner_pb2.Transforms(**numbers)
    for component in transforms.extra:
        message.extra.add(name=component.name).arguments.update(component.arguments)
    return message


def _normalization_to_proto(normalization: Normalization) -> learner_pb2.Normalization:
    if normalization.kind != "explicit":
        return learner_pb2.Normalization(preset=normalization.kind)
    stats = learner_pb2.ChannelStats(mean=normalization.mean or (), std=normalization.std or ())
    return learner_pb2.Normalization(stats=stats)


def bad_image_policy_to_proto(policy: str) -> learner_pb2.BadImagePolicy:
    if policy == BadImagePolicy.FAIL:
        return learner_pb2.BAD_IMAGE_POLICY_FAIL
    return learner_pb2.BAD_IMAGE_POLICY_SKIP

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Precision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRECISION_UNSPECIFIED: _ClassVar[Precision]
    PRECISION_FP32: _ClassVar[Precision]
    PRECISION_FP16: _ClassVar[Precision]
    PRECISION_BF16: _ClassVar[Precision]

class LabelKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_KIND_UNSPECIFIED: _ClassVar[LabelKind]
    LABEL_KIND_CATEGORY: _ClassVar[LabelKind]
    LABEL_KIND_MULTI_CATEGORY: _ClassVar[LabelKind]
    LABEL_KIND_FLOAT: _ClassVar[LabelKind]
    LABEL_KIND_MASK: _ClassVar[LabelKind]
    LABEL_KIND_POINTS: _ClassVar[LabelKind]
    LABEL_KIND_IMAGE: _ClassVar[LabelKind]

class PaddingMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PADDING_MODE_UNSPECIFIED: _ClassVar[PaddingMode]
    PADDING_MODE_REFLECTION: _ClassVar[PaddingMode]
    PADDING_MODE_BORDER: _ClassVar[PaddingMode]
    PADDING_MODE_ZEROS: _ClassVar[PaddingMode]

class ResizeMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESIZE_METHOD_UNSPECIFIED: _ClassVar[ResizeMethod]
    RESIZE_METHOD_CROP: _ClassVar[ResizeMethod]
    RESIZE_METHOD_PAD: _ClassVar[ResizeMethod]
    RESIZE_METHOD_SQUISH: _ClassVar[ResizeMethod]
    RESIZE_METHOD_NO: _ClassVar[ResizeMethod]

class BadImagePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BAD_IMAGE_POLICY_UNSPECIFIED: _ClassVar[BadImagePolicy]
    BAD_IMAGE_POLICY_SKIP: _ClassVar[BadImagePolicy]
    BAD_IMAGE_POLICY_FAIL: _ClassVar[BadImagePolicy]

class DatasetType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATASET_TYPE_UNSPECIFIED: _ClassVar[DatasetType]
    DATASET_TYPE_TRAIN: _ClassVar[DatasetType]
    DATASET_TYPE_VALID: _ClassVar[DatasetType]
    DATASET_TYPE_TEST: _ClassVar[DatasetType]
    DATASET_TYPE_FIX: _ClassVar[DatasetType]
PRECISION_UNSPECIFIED: Precision
PRECISION_FP32: Precision
PRECISION_FP16: Precision
PRECISION_BF16: Precision
LABEL_KIND_UNSPECIFIED: LabelKind
LABEL_KIND_CATEGORY: LabelKind
LABEL_KIND_MULTI_CATEGORY: LabelKind
LABEL_KIND_FLOAT: LabelKind
LABEL_KIND_MASK: LabelKind
LABEL_KIND_POINTS: LabelKind
LABEL_KIND_IMAGE: LabelKind
PADDING_MODE_UNSPECIFIED: PaddingMode
PADDING_MODE_REFLECTION: PaddingMode
PADDING_MODE_BORDER: PaddingMode
PADDING_MODE_ZEROS: PaddingMode
RESIZE_METHOD_UNSPECIFIED: ResizeMethod
RESIZE_METHOD_CROP: ResizeMethod
RESIZE_METHOD_PAD: ResizeMethod
RESIZE_METHOD_SQUISH: ResizeMethod
RESIZE_METHOD_NO: ResizeMethod
BAD_IMAGE_POLICY_UNSPECIFIED: BadImagePolicy
BAD_IMAGE_POLICY_SKIP: BadImagePolicy
BAD_IMAGE_POLICY_FAIL: BadImagePolicy
DATASET_TYPE_UNSPECIFIED: DatasetType
DATASET_TYPE_TRAIN: DatasetType
DATASET_TYPE_VALID: DatasetType
DATASET_TYPE_TEST: DatasetType
DATASET_TYPE_FIX: DatasetType

class Learner(_message.Message):
    __slots__ = ("name", "spec", "classes", "frozen_to", "checkpoint", "epochs_trained", "steps_trained", "warm", "active_job", "create_time", "update_time", "etag", "tenant")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    FROZEN_TO_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_TRAINED_FIELD_NUMBER: _ClassVar[int]
    STEPS_TRAINED_FIELD_NUMBER: _ClassVar[int]
    WARM_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_JOB_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: LearnerSpec
    classes: _containers.RepeatedScalarFieldContainer[str]
    frozen_to: int
    checkpoint: str
    epochs_trained: int
    steps_trained: int
    warm: bool
    active_job: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    tenant: str
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[LearnerSpec, _Mapping]] = ..., classes: _Optional[_Iterable[str]] = ..., frozen_to: _Optional[int] = ..., checkpoint: _Optional[str] = ..., epochs_trained: _Optional[int] = ..., steps_trained: _Optional[int] = ..., warm: bool = ..., active_job: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class LearnerSpec(_message.Message):
    __slots__ = ("data", "architecture", "weights", "head", "metrics", "loss", "optimizer", "train_bn", "seed", "callbacks", "unet", "cut", "split", "precision", "clip_grad", "accumulate", "channels_last", "compiled")
    DATA_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_FIELD_NUMBER: _ClassVar[int]
    TRAIN_BN_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    UNET_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    CLIP_GRAD_FIELD_NUMBER: _ClassVar[int]
    ACCUMULATE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_LAST_FIELD_NUMBER: _ClassVar[int]
    COMPILED_FIELD_NUMBER: _ClassVar[int]
    data: DataSpec
    architecture: str
    weights: Weights
    head: Head
    metrics: _containers.RepeatedCompositeFieldContainer[Component]
    loss: Component
    optimizer: Optimizer
    train_bn: bool
    seed: int
    callbacks: _containers.RepeatedCompositeFieldContainer[Component]
    unet: Unet
    cut: int
    split: _containers.RepeatedScalarFieldContainer[str]
    precision: Precision
    clip_grad: float
    accumulate: int
    channels_last: bool
    compiled: bool
    def __init__(self, data: _Optional[_Union[DataSpec, _Mapping]] = ..., architecture: _Optional[str] = ..., weights: _Optional[_Union[Weights, _Mapping]] = ..., head: _Optional[_Union[Head, _Mapping]] = ..., metrics: _Optional[_Iterable[_Union[Component, _Mapping]]] = ..., loss: _Optional[_Union[Component, _Mapping]] = ..., optimizer: _Optional[_Union[Optimizer, _Mapping]] = ..., train_bn: bool = ..., seed: _Optional[int] = ..., callbacks: _Optional[_Iterable[_Union[Component, _Mapping]]] = ..., unet: _Optional[_Union[Unet, _Mapping]] = ..., cut: _Optional[int] = ..., split: _Optional[_Iterable[str]] = ..., precision: _Optional[_Union[Precision, str]] = ..., clip_grad: _Optional[float] = ..., accumulate: _Optional[int] = ..., channels_last: bool = ..., compiled: bool = ...) -> None: ...

class Unet(_message.Message):
    __slots__ = ("blur_final", "norm_type", "blur", "self_attention", "y_range", "last_cross", "bottle")
    BLUR_FINAL_FIELD_NUMBER: _ClassVar[int]
    NORM_TYPE_FIELD_NUMBER: _ClassVar[int]
    BLUR_FIELD_NUMBER: _ClassVar[int]
    SELF_ATTENTION_FIELD_NUMBER: _ClassVar[int]
    Y_RANGE_FIELD_NUMBER: _ClassVar[int]
    LAST_CROSS_FIELD_NUMBER: _ClassVar[int]
    BOTTLE_FIELD_NUMBER: _ClassVar[int]
    blur_final: bool
    norm_type: str
    blur: bool
    self_attention: bool
    y_range: _containers.RepeatedScalarFieldContainer[float]
    last_cross: bool
    bottle: bool
    def __init__(self, blur_final: bool = ..., norm_type: _Optional[str] = ..., blur: bool = ..., self_attention: bool = ..., y_range: _Optional[_Iterable[float]] = ..., last_cross: bool = ..., bottle: bool = ...) -> None: ...

class Component(_message.Message):
    __slots__ = ("name", "arguments")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    arguments: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., arguments: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class DataSpec(_message.Message):
    __slots__ = ("folder", "table", "names", "list", "masks", "size", "resize_method", "batch_size", "validation_batch_size", "transforms", "normalization", "bad_image_policy", "labels", "classes", "test", "padding_mode", "log", "validation_margin", "dataset", "normalizes_targets")
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    RESIZE_METHOD_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    TRANSFORMS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    BAD_IMAGE_POLICY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    PADDING_MODE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_MARGIN_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    NORMALIZES_TARGETS_FIELD_NUMBER: _ClassVar[int]
    folder: FolderSource
    table: TableSource
    names: NamesSource
    list: ListSource
    masks: MasksSource
    size: Size
    resize_method: ResizeMethod
    batch_size: int
    validation_batch_size: int
    transforms: Transforms
    normalization: Normalization
    bad_image_policy: BadImagePolicy
    labels: LabelKind
    classes: _containers.RepeatedScalarFieldContainer[str]
    test: str
    padding_mode: PaddingMode
    log: bool
    validation_margin: int
    dataset: str
    normalizes_targets: bool
    def __init__(self, folder: _Optional[_Union[FolderSource, _Mapping]] = ..., table: _Optional[_Union[TableSource, _Mapping]] = ..., names: _Optional[_Union[NamesSource, _Mapping]] = ..., list: _Optional[_Union[ListSource, _Mapping]] = ..., masks: _Optional[_Union[MasksSource, _Mapping]] = ..., size: _Optional[_Union[Size, _Mapping]] = ..., resize_method: _Optional[_Union[ResizeMethod, str]] = ..., batch_size: _Optional[int] = ..., validation_batch_size: _Optional[int] = ..., transforms: _Optional[_Union[Transforms, _Mapping]] = ..., normalization: _Optional[_Union[Normalization, _Mapping]] = ..., bad_image_policy: _Optional[_Union[BadImagePolicy, str]] = ..., labels: _Optional[_Union[LabelKind, str]] = ..., classes: _Optional[_Iterable[str]] = ..., test: _Optional[str] = ..., padding_mode: _Optional[_Union[PaddingMode, str]] = ..., log: bool = ..., validation_margin: _Optional[int] = ..., dataset: _Optional[str] = ..., normalizes_targets: bool = ...) -> None: ...

class RandomSplit(_message.Message):
    __slots__ = ("valid_pct", "seed")
    VALID_PCT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    valid_pct: float
    seed: int
    def __init__(self, valid_pct: _Optional[float] = ..., seed: _Optional[int] = ...) -> None: ...

class TableSource(_message.Message):
    __slots__ = ("path", "file", "folder", "suffix", "fn_col", "label_cols", "label_delim", "delimiter", "valid_col", "split", "no_header")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    SUFFIX_FIELD_NUMBER: _ClassVar[int]
    FN_COL_FIELD_NUMBER: _ClassVar[int]
    LABEL_COLS_FIELD_NUMBER: _ClassVar[int]
    LABEL_DELIM_FIELD_NUMBER: _ClassVar[int]
    DELIMITER_FIELD_NUMBER: _ClassVar[int]
    VALID_COL_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    NO_HEADER_FIELD_NUMBER: _ClassVar[int]
    path: str
    file: str
    folder: str
    suffix: str
    fn_col: str
    label_cols: _containers.RepeatedScalarFieldContainer[str]
    label_delim: str
    delimiter: str
    valid_col: str
    split: RandomSplit
    no_header: bool
    def __init__(self, path: _Optional[str] = ..., file: _Optional[str] = ..., folder: _Optional[str] = ..., suffix: _Optional[str] = ..., fn_col: _Optional[str] = ..., label_cols: _Optional[_Iterable[str]] = ..., label_delim: _Optional[str] = ..., delimiter: _Optional[str] = ..., valid_col: _Optional[str] = ..., split: _Optional[_Union[RandomSplit, _Mapping]] = ..., no_header: bool = ...) -> None: ...

class NamesSource(_message.Message):
    __slots__ = ("path", "pattern", "split")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    path: str
    pattern: str
    split: RandomSplit
    def __init__(self, path: _Optional[str] = ..., pattern: _Optional[str] = ..., split: _Optional[_Union[RandomSplit, _Mapping]] = ...) -> None: ...

class ListSource(_message.Message):
    __slots__ = ("path", "items")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    path: str
    items: _containers.RepeatedCompositeFieldContainer[ListedItem]
    def __init__(self, path: _Optional[str] = ..., items: _Optional[_Iterable[_Union[ListedItem, _Mapping]]] = ...) -> None: ...

class ListedItem(_message.Message):
    __slots__ = ("file", "labels", "values", "mask", "part")
    FILE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    file: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    values: _containers.RepeatedScalarFieldContainer[float]
    mask: str
    part: DatasetType
    def __init__(self, file: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., values: _Optional[_Iterable[float]] = ..., mask: _Optional[str] = ..., part: _Optional[_Union[DatasetType, str]] = ...) -> None: ...

class MasksSource(_message.Message):
    __slots__ = ("path", "pictures", "masks", "suffix", "extension", "split")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    SUFFIX_FIELD_NUMBER: _ClassVar[int]
    EXTENSION_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    path: str
    pictures: str
    masks: str
    suffix: str
    extension: str
    split: RandomSplit
    def __init__(self, path: _Optional[str] = ..., pictures: _Optional[str] = ..., masks: _Optional[str] = ..., suffix: _Optional[str] = ..., extension: _Optional[str] = ..., split: _Optional[_Union[RandomSplit, _Mapping]] = ...) -> None: ...

class FolderSource(_message.Message):
    __slots__ = ("path", "train", "valid", "valid_pct", "split_seed")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TRAIN_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    VALID_PCT_FIELD_NUMBER: _ClassVar[int]
    SPLIT_SEED_FIELD_NUMBER: _ClassVar[int]
    path: str
    train: str
    valid: str
    valid_pct: float
    split_seed: int
    def __init__(self, path: _Optional[str] = ..., train: _Optional[str] = ..., valid: _Optional[str] = ..., valid_pct: _Optional[float] = ..., split_seed: _Optional[int] = ...) -> None: ...

class Size(_message.Message):
    __slots__ = ("rows", "columns")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    rows: int
    columns: int
    def __init__(self, rows: _Optional[int] = ..., columns: _Optional[int] = ...) -> None: ...

class Transforms(_message.Message):
    __slots__ = ("do_flip", "flip_vert", "max_rotate", "max_zoom", "max_lighting", "max_warp", "p_affine", "p_lighting", "extra")
    DO_FLIP_FIELD_NUMBER: _ClassVar[int]
    FLIP_VERT_FIELD_NUMBER: _ClassVar[int]
    MAX_ROTATE_FIELD_NUMBER: _ClassVar[int]
    MAX_ZOOM_FIELD_NUMBER: _ClassVar[int]
    MAX_LIGHTING_FIELD_NUMBER: _ClassVar[int]
    MAX_WARP_FIELD_NUMBER: _ClassVar[int]
    P_AFFINE_FIELD_NUMBER: _ClassVar[int]
    P_LIGHTING_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    do_flip: bool
    flip_vert: bool
    max_rotate: float
    max_zoom: float
    max_lighting: float
    max_warp: float
    p_affine: float
    p_lighting: float
    extra: _containers.RepeatedCompositeFieldContainer[Component]
    def __init__(self, do_flip: bool = ..., flip_vert: bool = ..., max_rotate: _Optional[float] = ..., max_zoom: _Optional[float] = ..., max_lighting: _Optional[float] = ..., max_warp: _Optional[float] = ..., p_affine: _Optional[float] = ..., p_lighting: _Optional[float] = ..., extra: _Optional[_Iterable[_Union[Component, _Mapping]]] = ...) -> None: ...

class Normalization(_message.Message):
    __slots__ = ("preset", "stats")
    PRESET_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    preset: str
    stats: ChannelStats
    def __init__(self, preset: _Optional[str] = ..., stats: _Optional[_Union[ChannelStats, _Mapping]] = ...) -> None: ...

class ChannelStats(_message.Message):
    __slots__ = ("mean", "std")
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    mean: _containers.RepeatedScalarFieldContainer[float]
    std: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, mean: _Optional[_Iterable[float]] = ..., std: _Optional[_Iterable[float]] = ...) -> None: ...

class Weights(_message.Message):
    __slots__ = ("pretrained", "file")
    PRETRAINED_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    pretrained: bool
    file: str
    def __init__(self, pretrained: bool = ..., file: _Optional[str] = ...) -> None: ...

class Head(_message.Message):
    __slots__ = ("lin_ftrs", "ps", "concat_pool", "bn_final", "linear_only", "init")
    LIN_FTRS_FIELD_NUMBER: _ClassVar[int]
    PS_FIELD_NUMBER: _ClassVar[int]
    CONCAT_POOL_FIELD_NUMBER: _ClassVar[int]
    BN_FINAL_FIELD_NUMBER: _ClassVar[int]
    LINEAR_ONLY_FIELD_NUMBER: _ClassVar[int]
    INIT_FIELD_NUMBER: _ClassVar[int]
    lin_ftrs: _containers.RepeatedScalarFieldContainer[int]
    ps: _containers.RepeatedScalarFieldContainer[float]
    concat_pool: bool
    bn_final: bool
    linear_only: bool
    init: str
    def __init__(self, lin_ftrs: _Optional[_Iterable[int]] = ..., ps: _Optional[_Iterable[float]] = ..., concat_pool: bool = ..., bn_final: bool = ..., linear_only: bool = ..., init: _Optional[str] = ...) -> None: ...

class Optimizer(_message.Message):
    __slots__ = ("name", "wd", "true_wd", "bn_wd", "arguments", "wd_per_group")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WD_FIELD_NUMBER: _ClassVar[int]
    TRUE_WD_FIELD_NUMBER: _ClassVar[int]
    BN_WD_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    WD_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    name: str
    wd: float
    true_wd: bool
    bn_wd: bool
    arguments: _struct_pb2.Struct
    wd_per_group: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, name: _Optional[str] = ..., wd: _Optional[float] = ..., true_wd: bool = ..., bn_wd: bool = ..., arguments: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., wd_per_group: _Optional[_Iterable[float]] = ...) -> None: ...

class LearningRate(_message.Message):
    __slots__ = ("value", "slice", "values")
    class Slice(_message.Message):
        __slots__ = ("start", "stop")
        START_FIELD_NUMBER: _ClassVar[int]
        STOP_FIELD_NUMBER: _ClassVar[int]
        start: float
        stop: float
        def __init__(self, start: _Optional[float] = ..., stop: _Optional[float] = ...) -> None: ...
    class Values(_message.Message):
        __slots__ = ("values",)
        VALUES_FIELD_NUMBER: _ClassVar[int]
        values: _containers.RepeatedScalarFieldContainer[float]
        def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    value: float
    slice: LearningRate.Slice
    values: LearningRate.Values
    def __init__(self, value: _Optional[float] = ..., slice: _Optional[_Union[LearningRate.Slice, _Mapping]] = ..., values: _Optional[_Union[LearningRate.Values, _Mapping]] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("name", "step", "epoch", "model_sha256", "optimizer_sha256", "size_bytes", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    step: int
    epoch: int
    model_sha256: str
    optimizer_sha256: str
    size_bytes: int
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., step: _Optional[int] = ..., epoch: _Optional[int] = ..., model_sha256: _Optional[str] = ..., optimizer_sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from learnfleet.v1 import job_pb2 as _job_pb2
from learnfleet.v1 import learner_pb2 as _learner_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InterpretRequest(_message.Message):
    __slots__ = ("learner", "top_losses", "min_confused", "resources", "request_id", "dataset", "tta")
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    TOP_LOSSES_FIELD_NUMBER: _ClassVar[int]
    MIN_CONFUSED_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    TTA_FIELD_NUMBER: _ClassVar[int]
    learner: str
    top_losses: int
    min_confused: int
    resources: _job_pb2.Resources
    request_id: str
    dataset: _learner_pb2.DatasetType
    tta: bool
    def __init__(self, learner: _Optional[str] = ..., top_losses: _Optional[int] = ..., min_confused: _Optional[int] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., request_id: _Optional[str] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., tta: bool = ...) -> None: ...

class GetInterpretationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Interpretation(_message.Message):
    __slots__ = ("name", "learner", "checkpoint", "job", "classes", "examples", "accuracy", "loss", "confusion_matrix", "most_confused", "top_losses", "pictures", "skipped_images", "create_time", "kind", "class_report", "label_confusion", "dataset", "misclassified_count", "misclassified", "intersection")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    CONFUSION_MATRIX_FIELD_NUMBER: _ClassVar[int]
    MOST_CONFUSED_FIELD_NUMBER: _ClassVar[int]
    TOP_LOSSES_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_IMAGES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CLASS_REPORT_FIELD_NUMBER: _ClassVar[int]
    LABEL_CONFUSION_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    MISCLASSIFIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISCLASSIFIED_FIELD_NUMBER: _ClassVar[int]
    INTERSECTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    learner: str
    checkpoint: str
    job: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    examples: int
    accuracy: float
    loss: float
    confusion_matrix: ConfusionMatrix
    most_confused: _containers.RepeatedCompositeFieldContainer[ConfusedPair]
    top_losses: _containers.RepeatedCompositeFieldContainer[TopLoss]
    pictures: _containers.RepeatedCompositeFieldContainer[_job_pb2.Picture]
    skipped_images: int
    create_time: _timestamp_pb2.Timestamp
    kind: _learner_pb2.LabelKind
    class_report: _containers.RepeatedCompositeFieldContainer[ClassReport]
    label_confusion: _containers.RepeatedCompositeFieldContainer[ConfusionMatrix]
    dataset: _learner_pb2.DatasetType
    misclassified_count: int
    misclassified: _containers.RepeatedCompositeFieldContainer[TopLoss]
    intersection: _containers.RepeatedCompositeFieldContainer[Shares]
    def __init__(self, name: _Optional[str] = ..., learner: _Optional[str] = ..., checkpoint: _Optional[str] = ..., job: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., examples: _Optional[int] = ..., accuracy: _Optional[float] = ..., loss: _Optional[float] = ..., confusion_matrix: _Optional[_Union[ConfusionMatrix, _Mapping]] = ..., most_confused: _Optional[_Iterable[_Union[ConfusedPair, _Mapping]]] = ..., top_losses: _Optional[_Iterable[_Union[TopLoss, _Mapping]]] = ..., pictures: _Optional[_Iterable[_Union[_job_pb2.Picture, _Mapping]]] = ..., skipped_images: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[_learner_pb2.LabelKind, str]] = ..., class_report: _Optional[_Iterable[_Union[ClassReport, _Mapping]]] = ..., label_confusion: _Optional[_Iterable[_Union[ConfusionMatrix, _Mapping]]] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., misclassified_count: _Optional[int] = ..., misclassified: _Optional[_Iterable[_Union[TopLoss, _Mapping]]] = ..., intersection: _Optional[_Iterable[_Union[Shares, _Mapping]]] = ...) -> None: ...

class ClassReport(_message.Message):
    __slots__ = ("class_name", "precision", "recall", "f1", "iou", "support")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    F1_FIELD_NUMBER: _ClassVar[int]
    IOU_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    precision: float
    recall: float
    f1: float
    iou: float
    support: int
    def __init__(self, class_name: _Optional[str] = ..., precision: _Optional[float] = ..., recall: _Optional[float] = ..., f1: _Optional[float] = ..., iou: _Optional[float] = ..., support: _Optional[int] = ...) -> None: ...

class Shares(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class ConfusionMatrix(_message.Message):
    __slots__ = ("rows",)
    class Row(_message.Message):
        __slots__ = ("counts",)
        COUNTS_FIELD_NUMBER: _ClassVar[int]
        counts: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, counts: _Optional[_Iterable[int]] = ...) -> None: ...
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[ConfusionMatrix.Row]
    def __init__(self, rows: _Optional[_Iterable[_Union[ConfusionMatrix.Row, _Mapping]]] = ...) -> None: ...

class ConfusedPair(_message.Message):
    __slots__ = ("actual", "predicted", "count")
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    actual: str
    predicted: str
    count: int
    def __init__(self, actual: _Optional[str] = ..., predicted: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class TopLoss(_message.Message):
    __slots__ = ("index", "path", "predicted", "actual", "loss", "probability")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    index: int
    path: str
    predicted: str
    actual: str
    loss: float
    probability: float
    def __init__(self, index: _Optional[int] = ..., path: _Optional[str] = ..., predicted: _Optional[str] = ..., actual: _Optional[str] = ..., loss: _Optional[float] = ..., probability: _Optional[float] = ...) -> None: ...

class ShowBatchRequest(_message.Message):
    __slots__ = ("learner_spec", "learner", "learner_id", "dataset", "rows", "resources", "request_id")
    LEARNER_SPEC_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    LEARNER_ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    learner_spec: _learner_pb2.LearnerSpec
    learner: str
    learner_id: str
    dataset: _learner_pb2.DatasetType
    rows: int
    resources: _job_pb2.Resources
    request_id: str
    def __init__(self, learner_spec: _Optional[_Union[_learner_pb2.LearnerSpec, _Mapping]] = ..., learner: _Optional[str] = ..., learner_id: _Optional[str] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., rows: _Optional[int] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ShowResultsRequest(_message.Message):
    __slots__ = ("learner", "dataset", "rows", "resources", "request_id")
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    learner: str
    dataset: _learner_pb2.DatasetType
    rows: int
    resources: _job_pb2.Resources
    request_id: str
    def __init__(self, learner: _Optional[str] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., rows: _Optional[int] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

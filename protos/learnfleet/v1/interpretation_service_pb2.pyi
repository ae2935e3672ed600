from google.protobuf import timestamp_pb2 as _timestamp_pb2
from learnfleet.v1 import job_pb2 as _job_pb2
from learnfleet.v1 import learner_pb2 as _learner_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InterpretationPart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTERPRETATION_PART_UNSPECIFIED: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_TOP_LOSSES: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_HEAT_MAPS: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_CONFUSION: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_CLASS_REPORT: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_CALIBRATION: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_CURVES: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_LABEL_ISSUES: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_DUPLICATES: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_OUTLIERS: _ClassVar[InterpretationPart]
    INTERPRETATION_PART_REPORT: _ClassVar[InterpretationPart]

class ExplanationMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPLANATION_METHOD_UNSPECIFIED: _ClassVar[ExplanationMethod]
    EXPLANATION_METHOD_GRAD_CAM: _ClassVar[ExplanationMethod]
    EXPLANATION_METHOD_INTEGRATED_GRADIENTS: _ClassVar[ExplanationMethod]
    EXPLANATION_METHOD_OCCLUSION: _ClassVar[ExplanationMethod]
INTERPRETATION_PART_UNSPECIFIED: InterpretationPart
INTERPRETATION_PART_TOP_LOSSES: InterpretationPart
INTERPRETATION_PART_HEAT_MAPS: InterpretationPart
INTERPRETATION_PART_CONFUSION: InterpretationPart
INTERPRETATION_PART_CLASS_REPORT: InterpretationPart
INTERPRETATION_PART_CALIBRATION: InterpretationPart
INTERPRETATION_PART_CURVES: InterpretationPart
INTERPRETATION_PART_LABEL_ISSUES: InterpretationPart
INTERPRETATION_PART_DUPLICATES: InterpretationPart
INTERPRETATION_PART_OUTLIERS: InterpretationPart
INTERPRETATION_PART_REPORT: InterpretationPart
EXPLANATION_METHOD_UNSPECIFIED: ExplanationMethod
EXPLANATION_METHOD_GRAD_CAM: ExplanationMethod
EXPLANATION_METHOD_INTEGRATED_GRADIENTS: ExplanationMethod
EXPLANATION_METHOD_OCCLUSION: ExplanationMethod

class InterpretRequest(_message.Message):
    __slots__ = ("learner", "top_losses", "min_confused", "resources", "request_id", "dataset", "tta", "model", "data", "parts", "slice_columns", "metadata", "void_class", "least_losses")
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    TOP_LOSSES_FIELD_NUMBER: _ClassVar[int]
    MIN_CONFUSED_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    TTA_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    SLICE_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    VOID_CLASS_FIELD_NUMBER: _ClassVar[int]
    LEAST_LOSSES_FIELD_NUMBER: _ClassVar[int]
    learner: str
    top_losses: int
    min_confused: int
    resources: _job_pb2.Resources
    request_id: str
    dataset: _learner_pb2.DatasetType
    tta: bool
    model: str
    data: _learner_pb2.DataSpec
    parts: _containers.RepeatedScalarFieldContainer[InterpretationPart]
    slice_columns: _containers.RepeatedScalarFieldContainer[str]
    metadata: str
    void_class: str
    least_losses: int
    def __init__(self, learner: _Optional[str] = ..., top_losses: _Optional[int] = ..., min_confused: _Optional[int] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., request_id: _Optional[str] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., tta: bool = ..., model: _Optional[str] = ..., data: _Optional[_Union[_learner_pb2.DataSpec, _Mapping]] = ..., parts: _Optional[_Iterable[_Union[InterpretationPart, str]]] = ..., slice_columns: _Optional[_Iterable[str]] = ..., metadata: _Optional[str] = ..., void_class: _Optional[str] = ..., least_losses: _Optional[int] = ...) -> None: ...

class CompareVersionsRequest(_message.Message):
    __slots__ = ("baseline", "candidate", "data", "dataset", "examples", "resources", "request_id")
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    baseline: str
    candidate: str
    data: _learner_pb2.DataSpec
    dataset: _learner_pb2.DatasetType
    examples: int
    resources: _job_pb2.Resources
    request_id: str
    def __init__(self, baseline: _Optional[str] = ..., candidate: _Optional[str] = ..., data: _Optional[_Union[_learner_pb2.DataSpec, _Mapping]] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., examples: _Optional[int] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetInterpretationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Interpretation(_message.Message):
    __slots__ = ("name", "learner", "checkpoint", "job", "classes", "examples", "accuracy", "loss", "confusion_matrix", "most_confused", "top_losses", "pictures", "skipped_images", "create_time", "kind", "class_report", "label_confusion", "dataset", "misclassified_count", "misclassified", "intersection", "model", "calibration", "curves", "label_issues", "label_issues_caveat", "duplicates", "outliers", "slices", "comparison", "void_class", "parts", "files", "least_losses")
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
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    CURVES_FIELD_NUMBER: _ClassVar[int]
    LABEL_ISSUES_FIELD_NUMBER: _ClassVar[int]
    LABEL_ISSUES_CAVEAT_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    OUTLIERS_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    VOID_CLASS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    LEAST_LOSSES_FIELD_NUMBER: _ClassVar[int]
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
    model: str
    calibration: Calibration
    curves: _containers.RepeatedCompositeFieldContainer[Curves]
    label_issues: _containers.RepeatedCompositeFieldContainer[LabelIssue]
    label_issues_caveat: str
    duplicates: _containers.RepeatedCompositeFieldContainer[DuplicateGroup]
    outliers: _containers.RepeatedCompositeFieldContainer[Outlier]
    slices: _containers.RepeatedCompositeFieldContainer[SlicesOfColumn]
    comparison: Comparison
    void_class: str
    parts: _containers.RepeatedScalarFieldContainer[InterpretationPart]
    files: _containers.RepeatedCompositeFieldContainer[InterpretationFile]
    least_losses: _containers.RepeatedCompositeFieldContainer[TopLoss]
    def __init__(self, name: _Optional[str] = ..., learner: _Optional[str] = ..., checkpoint: _Optional[str] = ..., job: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., examples: _Optional[int] = ..., accuracy: _Optional[float] = ..., loss: _Optional[float] = ..., confusion_matrix: _Optional[_Union[ConfusionMatrix, _Mapping]] = ..., most_confused: _Optional[_Iterable[_Union[ConfusedPair, _Mapping]]] = ..., top_losses: _Optional[_Iterable[_Union[TopLoss, _Mapping]]] = ..., pictures: _Optional[_Iterable[_Union[_job_pb2.Picture, _Mapping]]] = ..., skipped_images: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[_learner_pb2.LabelKind, str]] = ..., class_report: _Optional[_Iterable[_Union[ClassReport, _Mapping]]] = ..., label_confusion: _Optional[_Iterable[_Union[ConfusionMatrix, _Mapping]]] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., misclassified_count: _Optional[int] = ..., misclassified: _Optional[_Iterable[_Union[TopLoss, _Mapping]]] = ..., intersection: _Optional[_Iterable[_Union[Shares, _Mapping]]] = ..., model: _Optional[str] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., curves: _Optional[_Iterable[_Union[Curves, _Mapping]]] = ..., label_issues: _Optional[_Iterable[_Union[LabelIssue, _Mapping]]] = ..., label_issues_caveat: _Optional[str] = ..., duplicates: _Optional[_Iterable[_Union[DuplicateGroup, _Mapping]]] = ..., outliers: _Optional[_Iterable[_Union[Outlier, _Mapping]]] = ..., slices: _Optional[_Iterable[_Union[SlicesOfColumn, _Mapping]]] = ..., comparison: _Optional[_Union[Comparison, _Mapping]] = ..., void_class: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[InterpretationPart, str]]] = ..., files: _Optional[_Iterable[_Union[InterpretationFile, _Mapping]]] = ..., least_losses: _Optional[_Iterable[_Union[TopLoss, _Mapping]]] = ...) -> None: ...

class InterpretationFile(_message.Message):
    __slots__ = ("name", "media_type", "size_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    media_type: str
    size_bytes: int
    def __init__(self, name: _Optional[str] = ..., media_type: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("ece", "mce", "brier", "temperature", "ece_at_temperature", "bins")
    ECE_FIELD_NUMBER: _ClassVar[int]
    MCE_FIELD_NUMBER: _ClassVar[int]
    BRIER_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    ECE_AT_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    BINS_FIELD_NUMBER: _ClassVar[int]
    ece: float
    mce: float
    brier: float
    temperature: float
    ece_at_temperature: float
    bins: _containers.RepeatedCompositeFieldContainer[CalibrationBin]
    def __init__(self, ece: _Optional[float] = ..., mce: _Optional[float] = ..., brier: _Optional[float] = ..., temperature: _Optional[float] = ..., ece_at_temperature: _Optional[float] = ..., bins: _Optional[_Iterable[_Union[CalibrationBin, _Mapping]]] = ...) -> None: ...

class CalibrationBin(_message.Message):
    __slots__ = ("lower", "upper", "confidence", "accuracy", "count")
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    lower: float
    upper: float
    confidence: float
    accuracy: float
    count: int
    def __init__(self, lower: _Optional[float] = ..., upper: _Optional[float] = ..., confidence: _Optional[float] = ..., accuracy: _Optional[float] = ..., count: _Optional[int] = ...) -> None: ...

class Curves(_message.Message):
    __slots__ = ("class_name", "auroc", "average_precision", "false_positive_rates", "true_positive_rates", "recalls", "precisions")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    AUROC_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_PRECISION_FIELD_NUMBER: _ClassVar[int]
    FALSE_POSITIVE_RATES_FIELD_NUMBER: _ClassVar[int]
    TRUE_POSITIVE_RATES_FIELD_NUMBER: _ClassVar[int]
    RECALLS_FIELD_NUMBER: _ClassVar[int]
    PRECISIONS_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    auroc: float
    average_precision: float
    false_positive_rates: _containers.RepeatedScalarFieldContainer[float]
    true_positive_rates: _containers.RepeatedScalarFieldContainer[float]
    recalls: _containers.RepeatedScalarFieldContainer[float]
    precisions: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, class_name: _Optional[str] = ..., auroc: _Optional[float] = ..., average_precision: _Optional[float] = ..., false_positive_rates: _Optional[_Iterable[float]] = ..., true_positive_rates: _Optional[_Iterable[float]] = ..., recalls: _Optional[_Iterable[float]] = ..., precisions: _Optional[_Iterable[float]] = ...) -> None: ...

class LabelIssue(_message.Message):
    __slots__ = ("index", "path", "given", "suggested", "score", "picture")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    index: int
    path: str
    given: str
    suggested: str
    score: float
    picture: str
    def __init__(self, index: _Optional[int] = ..., path: _Optional[str] = ..., given: _Optional[str] = ..., suggested: _Optional[str] = ..., score: _Optional[float] = ..., picture: _Optional[str] = ...) -> None: ...

class DuplicateGroup(_message.Message):
    __slots__ = ("items", "similarity")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[NamedItem]
    similarity: float
    def __init__(self, items: _Optional[_Iterable[_Union[NamedItem, _Mapping]]] = ..., similarity: _Optional[float] = ...) -> None: ...

class NamedItem(_message.Message):
    __slots__ = ("index", "path", "label", "picture")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    index: int
    path: str
    label: str
    picture: str
    def __init__(self, index: _Optional[int] = ..., path: _Optional[str] = ..., label: _Optional[str] = ..., picture: _Optional[str] = ...) -> None: ...

class Outlier(_message.Message):
    __slots__ = ("item", "score")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    item: NamedItem
    score: float
    def __init__(self, item: _Optional[_Union[NamedItem, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...

class SlicesOfColumn(_message.Message):
    __slots__ = ("column", "slices")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    column: str
    slices: _containers.RepeatedCompositeFieldContainer[SliceOfValue]
    def __init__(self, column: _Optional[str] = ..., slices: _Optional[_Iterable[_Union[SliceOfValue, _Mapping]]] = ...) -> None: ...

class SliceOfValue(_message.Message):
    __slots__ = ("value", "examples", "accuracy", "accuracy_low", "accuracy_high", "loss", "f1")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_LOW_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_HIGH_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    F1_FIELD_NUMBER: _ClassVar[int]
    value: str
    examples: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    loss: float
    f1: float
    def __init__(self, value: _Optional[str] = ..., examples: _Optional[int] = ..., accuracy: _Optional[float] = ..., accuracy_low: _Optional[float] = ..., accuracy_high: _Optional[float] = ..., loss: _Optional[float] = ..., f1: _Optional[float] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("baseline", "candidate", "both_right", "fixed", "broken", "both_wrong", "p_value", "baseline_accuracy", "candidate_accuracy", "baseline_loss", "candidate_loss", "fixed_items", "broken_items")
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    BOTH_RIGHT_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIELD_NUMBER: _ClassVar[int]
    BROKEN_FIELD_NUMBER: _ClassVar[int]
    BOTH_WRONG_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    BASELINE_LOSS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_LOSS_FIELD_NUMBER: _ClassVar[int]
    FIXED_ITEMS_FIELD_NUMBER: _ClassVar[int]
    BROKEN_ITEMS_FIELD_NUMBER: _ClassVar[int]
    baseline: str
    candidate: str
    both_right: int
    fixed: int
    broken: int
    both_wrong: int
    p_value: float
    baseline_accuracy: float
    candidate_accuracy: float
    baseline_loss: float
    candidate_loss: float
    fixed_items: _containers.RepeatedCompositeFieldContainer[ComparedItem]
    broken_items: _containers.RepeatedCompositeFieldContainer[ComparedItem]
    def __init__(self, baseline: _Optional[str] = ..., candidate: _Optional[str] = ..., both_right: _Optional[int] = ..., fixed: _Optional[int] = ..., broken: _Optional[int] = ..., both_wrong: _Optional[int] = ..., p_value: _Optional[float] = ..., baseline_accuracy: _Optional[float] = ..., candidate_accuracy: _Optional[float] = ..., baseline_loss: _Optional[float] = ..., candidate_loss: _Optional[float] = ..., fixed_items: _Optional[_Iterable[_Union[ComparedItem, _Mapping]]] = ..., broken_items: _Optional[_Iterable[_Union[ComparedItem, _Mapping]]] = ...) -> None: ...

class ComparedItem(_message.Message):
    __slots__ = ("item", "baseline", "candidate")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    item: NamedItem
    baseline: str
    candidate: str
    def __init__(self, item: _Optional[_Union[NamedItem, _Mapping]] = ..., baseline: _Optional[str] = ..., candidate: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("index", "path", "predicted", "actual", "loss", "probability", "picture", "heat_map")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    HEAT_MAP_FIELD_NUMBER: _ClassVar[int]
    index: int
    path: str
    predicted: str
    actual: str
    loss: float
    probability: float
    picture: str
    heat_map: str
    def __init__(self, index: _Optional[int] = ..., path: _Optional[str] = ..., predicted: _Optional[str] = ..., actual: _Optional[str] = ..., loss: _Optional[float] = ..., probability: _Optional[float] = ..., picture: _Optional[str] = ..., heat_map: _Optional[str] = ...) -> None: ...

class ListInterpretationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "learner")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    learner: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., learner: _Optional[str] = ...) -> None: ...

class ListInterpretationsResponse(_message.Message):
    __slots__ = ("interpretations", "next_page_token")
    INTERPRETATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    interpretations: _containers.RepeatedCompositeFieldContainer[Interpretation]
    next_page_token: str
    def __init__(self, interpretations: _Optional[_Iterable[_Union[Interpretation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExplainPredictionRequest(_message.Message):
    __slots__ = ("model", "image", "method", "class_name")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    model: str
    image: bytes
    method: ExplanationMethod
    class_name: str
    def __init__(self, model: _Optional[str] = ..., image: _Optional[bytes] = ..., method: _Optional[_Union[ExplanationMethod, str]] = ..., class_name: _Optional[str] = ...) -> None: ...

class ExplainPredictionResponse(_message.Message):
    __slots__ = ("overlay", "map", "rows", "columns", "class_name", "probability", "predicted", "method", "model_used")
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    MODEL_USED_FIELD_NUMBER: _ClassVar[int]
    overlay: bytes
    map: bytes
    rows: int
    columns: int
    class_name: str
    probability: float
    predicted: str
    method: ExplanationMethod
    model_used: str
    def __init__(self, overlay: _Optional[bytes] = ..., map: _Optional[bytes] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., class_name: _Optional[str] = ..., probability: _Optional[float] = ..., predicted: _Optional[str] = ..., method: _Optional[_Union[ExplanationMethod, str]] = ..., model_used: _Optional[str] = ...) -> None: ...

class ReadInterpretationFileRequest(_message.Message):
    __slots__ = ("name", "file")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    name: str
    file: str
    def __init__(self, name: _Optional[str] = ..., file: _Optional[str] = ...) -> None: ...

class ReadInterpretationFileResponse(_message.Message):
    __slots__ = ("content", "media_type", "size_bytes")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    media_type: str
    size_bytes: int
    def __init__(self, content: _Optional[bytes] = ..., media_type: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

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

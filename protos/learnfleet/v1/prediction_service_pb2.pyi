from google.protobuf import duration_pb2 as _duration_pb2
from learnfleet.v1 import job_pb2 as _job_pb2
from learnfleet.v1 import learner_pb2 as _learner_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Output(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_UNSPECIFIED: _ClassVar[Output]
    OUTPUT_LOGITS: _ClassVar[Output]
    OUTPUT_EMBEDDING: _ClassVar[Output]
    OUTPUT_ACTIVATED: _ClassVar[Output]

class TensorType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENSOR_TYPE_UNSPECIFIED: _ClassVar[TensorType]
    TENSOR_TYPE_UINT8: _ClassVar[TensorType]
    TENSOR_TYPE_FLOAT32: _ClassVar[TensorType]

class Activation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTIVATION_UNSPECIFIED: _ClassVar[Activation]
    ACTIVATION_NONE: _ClassVar[Activation]
    ACTIVATION_SOFTMAX: _ClassVar[Activation]
    ACTIVATION_SIGMOID: _ClassVar[Activation]
OUTPUT_UNSPECIFIED: Output
OUTPUT_LOGITS: Output
OUTPUT_EMBEDDING: Output
OUTPUT_ACTIVATED: Output
TENSOR_TYPE_UNSPECIFIED: TensorType
TENSOR_TYPE_UINT8: TensorType
TENSOR_TYPE_FLOAT32: TensorType
ACTIVATION_UNSPECIFIED: Activation
ACTIVATION_NONE: Activation
ACTIVATION_SOFTMAX: Activation
ACTIVATION_SIGMOID: Activation

class PredictRequest(_message.Message):
    __slots__ = ("model", "image", "tensor", "file", "top_k", "thresh", "tta", "outputs", "dropout_samples")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    THRESH_FIELD_NUMBER: _ClassVar[int]
    TTA_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    DROPOUT_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    model: str
    image: bytes
    tensor: Tensor
    file: ServerFile
    top_k: int
    thresh: float
    tta: bool
    outputs: _containers.RepeatedScalarFieldContainer[Output]
    dropout_samples: int
    def __init__(self, model: _Optional[str] = ..., image: _Optional[bytes] = ..., tensor: _Optional[_Union[Tensor, _Mapping]] = ..., file: _Optional[_Union[ServerFile, _Mapping]] = ..., top_k: _Optional[int] = ..., thresh: _Optional[float] = ..., tta: bool = ..., outputs: _Optional[_Iterable[_Union[Output, str]]] = ..., dropout_samples: _Optional[int] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("type", "shape", "content")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    type: TensorType
    shape: _containers.RepeatedScalarFieldContainer[int]
    content: bytes
    def __init__(self, type: _Optional[_Union[TensorType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., content: _Optional[bytes] = ...) -> None: ...

class ServerFile(_message.Message):
    __slots__ = ("dataset", "path")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    path: str
    def __init__(self, dataset: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("image", "tensor", "file")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    tensor: Tensor
    file: ServerFile
    def __init__(self, image: _Optional[bytes] = ..., tensor: _Optional[_Union[Tensor, _Mapping]] = ..., file: _Optional[_Union[ServerFile, _Mapping]] = ...) -> None: ...

class PredictBatchRequest(_message.Message):
    __slots__ = ("model", "inputs", "top_k", "thresh", "tta", "outputs")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    THRESH_FIELD_NUMBER: _ClassVar[int]
    TTA_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    top_k: int
    thresh: float
    tta: bool
    outputs: _containers.RepeatedScalarFieldContainer[Output]
    def __init__(self, model: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., top_k: _Optional[int] = ..., thresh: _Optional[float] = ..., tta: bool = ..., outputs: _Optional[_Iterable[_Union[Output, str]]] = ...) -> None: ...

class PredictBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ItemResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ItemResult, _Mapping]]] = ...) -> None: ...

class ItemResult(_message.Message):
    __slots__ = ("prediction", "error", "timings", "model_used")
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    MODEL_USED_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    error: ItemError
    timings: Timings
    model_used: str
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ..., error: _Optional[_Union[ItemError, _Mapping]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., model_used: _Optional[str] = ...) -> None: ...

class ItemError(_message.Message):
    __slots__ = ("code", "field", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    field: str
    message: str
    def __init__(self, code: _Optional[int] = ..., field: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class PredictStreamRequest(_message.Message):
    __slots__ = ("settings", "item")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    settings: PredictStreamSettings
    item: StreamItem
    def __init__(self, settings: _Optional[_Union[PredictStreamSettings, _Mapping]] = ..., item: _Optional[_Union[StreamItem, _Mapping]] = ...) -> None: ...

class PredictStreamSettings(_message.Message):
    __slots__ = ("model", "top_k", "thresh", "tta", "outputs")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    THRESH_FIELD_NUMBER: _ClassVar[int]
    TTA_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    top_k: int
    thresh: float
    tta: bool
    outputs: _containers.RepeatedScalarFieldContainer[Output]
    def __init__(self, model: _Optional[str] = ..., top_k: _Optional[int] = ..., thresh: _Optional[float] = ..., tta: bool = ..., outputs: _Optional[_Iterable[_Union[Output, str]]] = ...) -> None: ...

class StreamItem(_message.Message):
    __slots__ = ("id", "input")
    ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    id: str
    input: Input
    def __init__(self, id: _Optional[str] = ..., input: _Optional[_Union[Input, _Mapping]] = ...) -> None: ...

class PredictStreamResponse(_message.Message):
    __slots__ = ("id", "result")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    id: str
    result: ItemResult
    def __init__(self, id: _Optional[str] = ..., result: _Optional[_Union[ItemResult, _Mapping]] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("prediction", "model_used", "timings")
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    MODEL_USED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    model_used: str
    timings: Timings
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ..., model_used: _Optional[str] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("class_name", "class_index", "probabilities", "top", "kind", "labels", "values", "mask", "picture", "logits", "embedding", "activated", "samples")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    ACTIVATED_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    class_index: int
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    top: _containers.RepeatedCompositeFieldContainer[ClassProbability]
    kind: _learner_pb2.LabelKind
    labels: _containers.RepeatedScalarFieldContainer[str]
    values: _containers.RepeatedScalarFieldContainer[float]
    mask: bytes
    picture: bytes
    logits: FloatArray
    embedding: FloatArray
    activated: FloatArray
    samples: _containers.RepeatedCompositeFieldContainer[Prediction]
    def __init__(self, class_name: _Optional[str] = ..., class_index: _Optional[int] = ..., probabilities: _Optional[_Iterable[float]] = ..., top: _Optional[_Iterable[_Union[ClassProbability, _Mapping]]] = ..., kind: _Optional[_Union[_learner_pb2.LabelKind, str]] = ..., labels: _Optional[_Iterable[str]] = ..., values: _Optional[_Iterable[float]] = ..., mask: _Optional[bytes] = ..., picture: _Optional[bytes] = ..., logits: _Optional[_Union[FloatArray, _Mapping]] = ..., embedding: _Optional[_Union[FloatArray, _Mapping]] = ..., activated: _Optional[_Union[FloatArray, _Mapping]] = ..., samples: _Optional[_Iterable[_Union[Prediction, _Mapping]]] = ...) -> None: ...

class FloatArray(_message.Message):
    __slots__ = ("shape", "content")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    content: bytes
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., content: _Optional[bytes] = ...) -> None: ...

class ClassProbability(_message.Message):
    __slots__ = ("class_name", "class_index", "probability")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    class_index: int
    probability: float
    def __init__(self, class_name: _Optional[str] = ..., class_index: _Optional[int] = ..., probability: _Optional[float] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue", "decode", "infer", "batch_size")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    INFER_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    queue: _duration_pb2.Duration
    decode: _duration_pb2.Duration
    infer: _duration_pb2.Duration
    batch_size: int
    def __init__(self, queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., decode: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., infer: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., batch_size: _Optional[int] = ...) -> None: ...

class GetPredsRequest(_message.Message):
    __slots__ = ("learner", "dataset", "with_loss", "n_batch", "tta", "resources", "request_id", "model", "data", "activation")
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    WITH_LOSS_FIELD_NUMBER: _ClassVar[int]
    N_BATCH_FIELD_NUMBER: _ClassVar[int]
    TTA_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_FIELD_NUMBER: _ClassVar[int]
    learner: str
    dataset: _learner_pb2.DatasetType
    with_loss: bool
    n_batch: int
    tta: TestTimeAugmentation
    resources: _job_pb2.Resources
    request_id: str
    model: str
    data: _learner_pb2.DataSpec
    activation: Activation
    def __init__(self, learner: _Optional[str] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., with_loss: bool = ..., n_batch: _Optional[int] = ..., tta: _Optional[_Union[TestTimeAugmentation, _Mapping]] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., request_id: _Optional[str] = ..., model: _Optional[str] = ..., data: _Optional[_Union[_learner_pb2.DataSpec, _Mapping]] = ..., activation: _Optional[_Union[Activation, str]] = ...) -> None: ...

class TestTimeAugmentation(_message.Message):
    __slots__ = ("beta", "scale", "passes", "use_max", "apart")
    BETA_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    PASSES_FIELD_NUMBER: _ClassVar[int]
    USE_MAX_FIELD_NUMBER: _ClassVar[int]
    APART_FIELD_NUMBER: _ClassVar[int]
    beta: float
    scale: float
    passes: int
    use_max: bool
    apart: bool
    def __init__(self, beta: _Optional[float] = ..., scale: _Optional[float] = ..., passes: _Optional[int] = ..., use_max: bool = ..., apart: bool = ...) -> None: ...

class ReadPredictionsRequest(_message.Message):
    __slots__ = ("job", "first_row", "rows")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    job: str
    first_row: int
    rows: int
    def __init__(self, job: _Optional[str] = ..., first_row: _Optional[int] = ..., rows: _Optional[int] = ...) -> None: ...

class ReadPredictionsResponse(_message.Message):
    __slots__ = ("first_row", "rows", "shape", "predictions", "target_shape", "targets", "losses", "indices", "variants")
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    TARGET_SHAPE_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    first_row: int
    rows: int
    shape: _containers.RepeatedScalarFieldContainer[int]
    predictions: bytes
    target_shape: _containers.RepeatedScalarFieldContainer[int]
    targets: bytes
    losses: bytes
    indices: _containers.RepeatedScalarFieldContainer[int]
    variants: bytes
    def __init__(self, first_row: _Optional[int] = ..., rows: _Optional[int] = ..., shape: _Optional[_Iterable[int]] = ..., predictions: _Optional[bytes] = ..., target_shape: _Optional[_Iterable[int]] = ..., targets: _Optional[bytes] = ..., losses: _Optional[bytes] = ..., indices: _Optional[_Iterable[int]] = ..., variants: _Optional[bytes] = ...) -> None: ...

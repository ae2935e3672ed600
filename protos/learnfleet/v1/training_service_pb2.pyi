from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from learnfleet.v1 import job_pb2 as _job_pb2
from learnfleet.v1 import learner_pb2 as _learner_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrainRequest(_message.Message):
    __slots__ = ("learner_spec", "learner", "learner_id", "stages", "resources", "checkpoint_policy", "request_id", "validate_only", "priority", "retry_policy", "timeout")
    LEARNER_SPEC_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    LEARNER_ID_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_POLICY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    learner_spec: _learner_pb2.LearnerSpec
    learner: str
    learner_id: str
    stages: _containers.RepeatedCompositeFieldContainer[_job_pb2.Stage]
    resources: _job_pb2.Resources
    checkpoint_policy: _job_pb2.CheckpointPolicy
    request_id: str
    validate_only: bool
    priority: int
    retry_policy: _job_pb2.RetryPolicy
    timeout: _duration_pb2.Duration
    def __init__(self, learner_spec: _Optional[_Union[_learner_pb2.LearnerSpec, _Mapping]] = ..., learner: _Optional[str] = ..., learner_id: _Optional[str] = ..., stages: _Optional[_Iterable[_Union[_job_pb2.Stage, _Mapping]]] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., checkpoint_policy: _Optional[_Union[_job_pb2.CheckpointPolicy, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: bool = ..., priority: _Optional[int] = ..., retry_policy: _Optional[_Union[_job_pb2.RetryPolicy, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetLearnerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListLearnersRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLearnersResponse(_message.Message):
    __slots__ = ("learners", "next_page_token")
    LEARNERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    learners: _containers.RepeatedCompositeFieldContainer[_learner_pb2.Learner]
    next_page_token: str
    def __init__(self, learners: _Optional[_Iterable[_Union[_learner_pb2.Learner, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SaveRequest(_message.Message):
    __slots__ = ("learner", "checkpoint_id", "with_opt")
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    WITH_OPT_FIELD_NUMBER: _ClassVar[int]
    learner: str
    checkpoint_id: str
    with_opt: bool
    def __init__(self, learner: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., with_opt: bool = ...) -> None: ...

class ListCheckpointsRequest(_message.Message):
    __slots__ = ("learner",)
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    learner: str
    def __init__(self, learner: _Optional[str] = ...) -> None: ...

class ListCheckpointsResponse(_message.Message):
    __slots__ = ("checkpoints",)
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[_learner_pb2.Checkpoint]
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[_learner_pb2.Checkpoint, _Mapping]]] = ...) -> None: ...

class LoadRequest(_message.Message):
    __slots__ = ("checkpoint", "with_opt")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    WITH_OPT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    with_opt: bool
    def __init__(self, checkpoint: _Optional[str] = ..., with_opt: bool = ...) -> None: ...

class PurgeRequest(_message.Message):
    __slots__ = ("learner",)
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    learner: str
    def __init__(self, learner: _Optional[str] = ...) -> None: ...

class DeleteLearnerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ValidateRequest(_message.Message):
    __slots__ = ("learner", "dataset", "metrics", "resources", "request_id")
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    learner: str
    dataset: _learner_pb2.DatasetType
    metrics: _containers.RepeatedCompositeFieldContainer[_learner_pb2.Component]
    resources: _job_pb2.Resources
    request_id: str
    def __init__(self, learner: _Optional[str] = ..., dataset: _Optional[_Union[_learner_pb2.DatasetType, str]] = ..., metrics: _Optional[_Iterable[_Union[_learner_pb2.Component, _Mapping]]] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ("learner_spec", "learner", "learner_id", "resources", "request_id", "freeze_to")
    LEARNER_SPEC_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    LEARNER_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FREEZE_TO_FIELD_NUMBER: _ClassVar[int]
    learner_spec: _learner_pb2.LearnerSpec
    learner: str
    learner_id: str
    resources: _job_pb2.Resources
    request_id: str
    freeze_to: _job_pb2.FreezeTo
    def __init__(self, learner_spec: _Optional[_Union[_learner_pb2.LearnerSpec, _Mapping]] = ..., learner: _Optional[str] = ..., learner_id: _Optional[str] = ..., resources: _Optional[_Union[_job_pb2.Resources, _Mapping]] = ..., request_id: _Optional[str] = ..., freeze_to: _Optional[_Union[_job_pb2.FreezeTo, _Mapping]] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("learner", "model_id", "aliases", "request_id", "onnx")
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ONNX_FIELD_NUMBER: _ClassVar[int]
    learner: str
    model_id: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    onnx: bool
    def __init__(self, learner: _Optional[str] = ..., model_id: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ..., onnx: bool = ...) -> None: ...

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from learnfleet.v1 import learner_pb2 as _learner_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_KIND_UNSPECIFIED: _ClassVar[JobKind]
    JOB_KIND_TRAIN: _ClassVar[JobKind]
    JOB_KIND_INTERPRET: _ClassVar[JobKind]
    JOB_KIND_EXPORT: _ClassVar[JobKind]
    JOB_KIND_VALIDATE: _ClassVar[JobKind]
    JOB_KIND_GET_PREDS: _ClassVar[JobKind]
    JOB_KIND_SHOW: _ClassVar[JobKind]

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_STARTING: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_RESTARTING: _ClassVar[JobState]
    JOB_STATE_CANCELLING: _ClassVar[JobState]
    JOB_STATE_SUCCEEDED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
    JOB_STATE_PAUSING: _ClassVar[JobState]
    JOB_STATE_PAUSED: _ClassVar[JobState]

class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAUSE_UNSPECIFIED: _ClassVar[Cause]
    CAUSE_WORKER_LOST: _ClassVar[Cause]
    CAUSE_OUT_OF_MEMORY: _ClassVar[Cause]
    CAUSE_HANG: _ClassVar[Cause]
    CAUSE_PREEMPTED: _ClassVar[Cause]
    CAUSE_SERVER: _ClassVar[Cause]
    CAUSE_USER: _ClassVar[Cause]
    CAUSE_DEADLINE: _ClassVar[Cause]
JOB_KIND_UNSPECIFIED: JobKind
JOB_KIND_TRAIN: JobKind
JOB_KIND_INTERPRET: JobKind
JOB_KIND_EXPORT: JobKind
JOB_KIND_VALIDATE: JobKind
JOB_KIND_GET_PREDS: JobKind
JOB_KIND_SHOW: JobKind
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_STARTING: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_RESTARTING: JobState
JOB_STATE_CANCELLING: JobState
JOB_STATE_SUCCEEDED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState
JOB_STATE_PAUSING: JobState
JOB_STATE_PAUSED: JobState
CAUSE_UNSPECIFIED: Cause
CAUSE_WORKER_LOST: Cause
CAUSE_OUT_OF_MEMORY: Cause
CAUSE_HANG: Cause
CAUSE_PREEMPTED: Cause
CAUSE_SERVER: Cause
CAUSE_USER: Cause
CAUSE_DEADLINE: Cause

class Job(_message.Message):
    __slots__ = ("name", "kind", "learner", "state", "state_reason", "stages", "resources", "progress", "result", "attempt", "last_sequence", "tracking_run", "create_time", "start_time", "end_time", "update_time", "request_id", "tenant", "priority", "retry_policy", "deadline", "retries_used", "workers", "placement", "cause")
    class RetriesUsedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TRACKING_RUN_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    RETRIES_USED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: JobKind
    learner: str
    state: JobState
    state_reason: str
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    resources: Resources
    progress: Progress
    result: JobResult
    attempt: int
    last_sequence: int
    tracking_run: TrackingRun
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    request_id: str
    tenant: str
    priority: int
    retry_policy: RetryPolicy
    deadline: _timestamp_pb2.Timestamp
    retries_used: _containers.ScalarMap[str, int]
    workers: int
    placement: Placement
    cause: Cause
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[JobKind, str]] = ..., learner: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., state_reason: _Optional[str] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., resources: _Optional[_Union[Resources, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., result: _Optional[_Union[JobResult, _Mapping]] = ..., attempt: _Optional[int] = ..., last_sequence: _Optional[int] = ..., tracking_run: _Optional[_Union[TrackingRun, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ..., tenant: _Optional[str] = ..., priority: _Optional[int] = ..., retry_policy: _Optional[_Union[RetryPolicy, _Mapping]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retries_used: _Optional[_Mapping[str, int]] = ..., workers: _Optional[int] = ..., placement: _Optional[_Union[Placement, _Mapping]] = ..., cause: _Optional[_Union[Cause, str]] = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("worker_lost", "out_of_memory", "hang", "server")
    WORKER_LOST_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_MEMORY_FIELD_NUMBER: _ClassVar[int]
    HANG_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    worker_lost: int
    out_of_memory: int
    hang: int
    server: int
    def __init__(self, worker_lost: _Optional[int] = ..., out_of_memory: _Optional[int] = ..., hang: _Optional[int] = ..., server: _Optional[int] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("workers", "gives_up", "preempts", "waits_for")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    GIVES_UP_FIELD_NUMBER: _ClassVar[int]
    PREEMPTS_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerPlacement]
    gives_up: _containers.RepeatedScalarFieldContainer[str]
    preempts: _containers.RepeatedScalarFieldContainer[str]
    waits_for: str
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerPlacement, _Mapping]]] = ..., gives_up: _Optional[_Iterable[str]] = ..., preempts: _Optional[_Iterable[str]] = ..., waits_for: _Optional[str] = ...) -> None: ...

class WorkerPlacement(_message.Message):
    __slots__ = ("rank", "node", "gpus")
    RANK_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    rank: int
    node: str
    gpus: int
    def __init__(self, rank: _Optional[int] = ..., node: _Optional[str] = ..., gpus: _Optional[int] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("fit", "fit_one_cycle", "freeze", "unfreeze", "freeze_to", "fit_flat_cos", "fit_sgdr", "lr_find")
    FIT_FIELD_NUMBER: _ClassVar[int]
    FIT_ONE_CYCLE_FIELD_NUMBER: _ClassVar[int]
    FREEZE_FIELD_NUMBER: _ClassVar[int]
    UNFREEZE_FIELD_NUMBER: _ClassVar[int]
    FREEZE_TO_FIELD_NUMBER: _ClassVar[int]
    FIT_FLAT_COS_FIELD_NUMBER: _ClassVar[int]
    FIT_SGDR_FIELD_NUMBER: _ClassVar[int]
    LR_FIND_FIELD_NUMBER: _ClassVar[int]
    fit: Fit
    fit_one_cycle: FitOneCycle
    freeze: Freeze
    unfreeze: Unfreeze
    freeze_to: FreezeTo
    fit_flat_cos: FitFlatCos
    fit_sgdr: FitSgdr
    lr_find: LrFind
    def __init__(self, fit: _Optional[_Union[Fit, _Mapping]] = ..., fit_one_cycle: _Optional[_Union[FitOneCycle, _Mapping]] = ..., freeze: _Optional[_Union[Freeze, _Mapping]] = ..., unfreeze: _Optional[_Union[Unfreeze, _Mapping]] = ..., freeze_to: _Optional[_Union[FreezeTo, _Mapping]] = ..., fit_flat_cos: _Optional[_Union[FitFlatCos, _Mapping]] = ..., fit_sgdr: _Optional[_Union[FitSgdr, _Mapping]] = ..., lr_find: _Optional[_Union[LrFind, _Mapping]] = ...) -> None: ...

class Fit(_message.Message):
    __slots__ = ("epochs", "lr", "wd", "callbacks", "wd_per_group")
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    LR_FIELD_NUMBER: _ClassVar[int]
    WD_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    WD_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    epochs: int
    lr: _learner_pb2.LearningRate
    wd: float
    callbacks: _containers.RepeatedCompositeFieldContainer[_learner_pb2.Component]
    wd_per_group: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, epochs: _Optional[int] = ..., lr: _Optional[_Union[_learner_pb2.LearningRate, _Mapping]] = ..., wd: _Optional[float] = ..., callbacks: _Optional[_Iterable[_Union[_learner_pb2.Component, _Mapping]]] = ..., wd_per_group: _Optional[_Iterable[float]] = ...) -> None: ...

class FitOneCycle(_message.Message):
    __slots__ = ("epochs", "max_lr", "moms", "div_factor", "pct_start", "final_div", "wd", "callbacks", "wd_per_group", "tot_epochs", "start_epoch")
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    MAX_LR_FIELD_NUMBER: _ClassVar[int]
    MOMS_FIELD_NUMBER: _ClassVar[int]
    DIV_FACTOR_FIELD_NUMBER: _ClassVar[int]
    PCT_START_FIELD_NUMBER: _ClassVar[int]
    FINAL_DIV_FIELD_NUMBER: _ClassVar[int]
    WD_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    WD_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    TOT_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    START_EPOCH_FIELD_NUMBER: _ClassVar[int]
    epochs: int
    max_lr: _learner_pb2.LearningRate
    moms: _containers.RepeatedScalarFieldContainer[float]
    div_factor: float
    pct_start: float
    final_div: float
    wd: float
    callbacks: _containers.RepeatedCompositeFieldContainer[_learner_pb2.Component]
    wd_per_group: _containers.RepeatedScalarFieldContainer[float]
    tot_epochs: int
    start_epoch: int
    def __init__(self, epochs: _Optional[int] = ..., max_lr: _Optional[_Union[_learner_pb2.LearningRate, _Mapping]] = ..., moms: _Optional[_Iterable[float]] = ..., div_factor: _Optional[float] = ..., pct_start: _Optional[float] = ..., final_div: _Optional[float] = ..., wd: _Optional[float] = ..., callbacks: _Optional[_Iterable[_Union[_learner_pb2.Component, _Mapping]]] = ..., wd_per_group: _Optional[_Iterable[float]] = ..., tot_epochs: _Optional[int] = ..., start_epoch: _Optional[int] = ...) -> None: ...

class FitFlatCos(_message.Message):
    __slots__ = ("epochs", "lr", "moms", "start_pct", "curve", "wd", "callbacks", "wd_per_group")
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    LR_FIELD_NUMBER: _ClassVar[int]
    MOMS_FIELD_NUMBER: _ClassVar[int]
    START_PCT_FIELD_NUMBER: _ClassVar[int]
    CURVE_FIELD_NUMBER: _ClassVar[int]
    WD_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    WD_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    epochs: int
    lr: _learner_pb2.LearningRate
    moms: _containers.RepeatedScalarFieldContainer[float]
    start_pct: float
    curve: str
    wd: float
    callbacks: _containers.RepeatedCompositeFieldContainer[_learner_pb2.Component]
    wd_per_group: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, epochs: _Optional[int] = ..., lr: _Optional[_Union[_learner_pb2.LearningRate, _Mapping]] = ..., moms: _Optional[_Iterable[float]] = ..., start_pct: _Optional[float] = ..., curve: _Optional[str] = ..., wd: _Optional[float] = ..., callbacks: _Optional[_Iterable[_Union[_learner_pb2.Component, _Mapping]]] = ..., wd_per_group: _Optional[_Iterable[float]] = ...) -> None: ...

class FitSgdr(_message.Message):
    __slots__ = ("n_cycles", "cycle_len", "lr_max", "cycle_mult", "wd", "callbacks", "wd_per_group")
    N_CYCLES_FIELD_NUMBER: _ClassVar[int]
    CYCLE_LEN_FIELD_NUMBER: _ClassVar[int]
    LR_MAX_FIELD_NUMBER: _ClassVar[int]
    CYCLE_MULT_FIELD_NUMBER: _ClassVar[int]
    WD_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    WD_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    n_cycles: int
    cycle_len: int
    lr_max: _learner_pb2.LearningRate
    cycle_mult: int
    wd: float
    callbacks: _containers.RepeatedCompositeFieldContainer[_learner_pb2.Component]
    wd_per_group: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, n_cycles: _Optional[int] = ..., cycle_len: _Optional[int] = ..., lr_max: _Optional[_Union[_learner_pb2.LearningRate, _Mapping]] = ..., cycle_mult: _Optional[int] = ..., wd: _Optional[float] = ..., callbacks: _Optional[_Iterable[_Union[_learner_pb2.Component, _Mapping]]] = ..., wd_per_group: _Optional[_Iterable[float]] = ...) -> None: ...

class LrFind(_message.Message):
    __slots__ = ("start_lr", "end_lr", "num_it", "stop_div", "wd", "wd_per_group")
    START_LR_FIELD_NUMBER: _ClassVar[int]
    END_LR_FIELD_NUMBER: _ClassVar[int]
    NUM_IT_FIELD_NUMBER: _ClassVar[int]
    STOP_DIV_FIELD_NUMBER: _ClassVar[int]
    WD_FIELD_NUMBER: _ClassVar[int]
    WD_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    start_lr: _learner_pb2.LearningRate
    end_lr: _learner_pb2.LearningRate
    num_it: int
    stop_div: bool
    wd: float
    wd_per_group: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, start_lr: _Optional[_Union[_learner_pb2.LearningRate, _Mapping]] = ..., end_lr: _Optional[_Union[_learner_pb2.LearningRate, _Mapping]] = ..., num_it: _Optional[int] = ..., stop_div: bool = ..., wd: _Optional[float] = ..., wd_per_group: _Optional[_Iterable[float]] = ...) -> None: ...

class Freeze(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Unfreeze(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FreezeTo(_message.Message):
    __slots__ = ("n",)
    N_FIELD_NUMBER: _ClassVar[int]
    n: int
    def __init__(self, n: _Optional[int] = ...) -> None: ...

class Resources(_message.Message):
    __slots__ = ("num_workers", "gpus_per_worker", "min_workers", "max_workers")
    NUM_WORKERS_FIELD_NUMBER: _ClassVar[int]
    GPUS_PER_WORKER_FIELD_NUMBER: _ClassVar[int]
    MIN_WORKERS_FIELD_NUMBER: _ClassVar[int]
    MAX_WORKERS_FIELD_NUMBER: _ClassVar[int]
    num_workers: int
    gpus_per_worker: int
    min_workers: int
    max_workers: int
    def __init__(self, num_workers: _Optional[int] = ..., gpus_per_worker: _Optional[int] = ..., min_workers: _Optional[int] = ..., max_workers: _Optional[int] = ...) -> None: ...

class CheckpointPolicy(_message.Message):
    __slots__ = ("every", "every_steps", "keep_last", "keep_best", "keep_every")
    EVERY_FIELD_NUMBER: _ClassVar[int]
    EVERY_STEPS_FIELD_NUMBER: _ClassVar[int]
    KEEP_LAST_FIELD_NUMBER: _ClassVar[int]
    KEEP_BEST_FIELD_NUMBER: _ClassVar[int]
    KEEP_EVERY_FIELD_NUMBER: _ClassVar[int]
    every: _duration_pb2.Duration
    every_steps: int
    keep_last: int
    keep_best: KeepBest
    keep_every: int
    def __init__(self, every: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., every_steps: _Optional[int] = ..., keep_last: _Optional[int] = ..., keep_best: _Optional[_Union[KeepBest, _Mapping]] = ..., keep_every: _Optional[int] = ...) -> None: ...

class KeepBest(_message.Message):
    __slots__ = ("monitor", "mode", "count")
    MONITOR_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    monitor: str
    mode: str
    count: int
    def __init__(self, monitor: _Optional[str] = ..., mode: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("stage", "epoch", "epochs", "batch", "batches", "samples_per_second", "eta")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    stage: int
    epoch: int
    epochs: int
    batch: int
    batches: int
    samples_per_second: float
    eta: _duration_pb2.Duration
    def __init__(self, stage: _Optional[int] = ..., epoch: _Optional[int] = ..., epochs: _Optional[int] = ..., batch: _Optional[int] = ..., batches: _Optional[int] = ..., samples_per_second: _Optional[float] = ..., eta: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class JobResult(_message.Message):
    __slots__ = ("metrics", "checkpoint", "interpretation", "model_version", "skipped_images", "exact", "predictions", "lr_findings", "pictures", "kept_checkpoints", "onnx", "description")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    METRICS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    INTERPRETATION_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_IMAGES_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    LR_FINDINGS_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    KEPT_CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    ONNX_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.ScalarMap[str, float]
    checkpoint: _learner_pb2.Checkpoint
    interpretation: str
    model_version: str
    skipped_images: int
    exact: bool
    predictions: int
    lr_findings: _containers.RepeatedCompositeFieldContainer[LrFinding]
    pictures: _containers.RepeatedScalarFieldContainer[str]
    kept_checkpoints: _containers.RepeatedScalarFieldContainer[str]
    onnx: OnnxModel
    description: Description
    def __init__(self, metrics: _Optional[_Mapping[str, float]] = ..., checkpoint: _Optional[_Union[_learner_pb2.Checkpoint, _Mapping]] = ..., interpretation: _Optional[str] = ..., model_version: _Optional[str] = ..., skipped_images: _Optional[int] = ..., exact: bool = ..., predictions: _Optional[int] = ..., lr_findings: _Optional[_Iterable[_Union[LrFinding, _Mapping]]] = ..., pictures: _Optional[_Iterable[str]] = ..., kept_checkpoints: _Optional[_Iterable[str]] = ..., onnx: _Optional[_Union[OnnxModel, _Mapping]] = ..., description: _Optional[_Union[Description, _Mapping]] = ...) -> None: ...

class Description(_message.Message):
    __slots__ = ("network", "channel_means", "channel_stds")
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_MEANS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_STDS_FIELD_NUMBER: _ClassVar[int]
    network: str
    channel_means: _containers.RepeatedScalarFieldContainer[float]
    channel_stds: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, network: _Optional[str] = ..., channel_means: _Optional[_Iterable[float]] = ..., channel_stds: _Optional[_Iterable[float]] = ...) -> None: ...

class LrFinding(_message.Message):
    __slots__ = ("stage", "lrs", "losses", "suggestions")
    class SuggestionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    STAGE_FIELD_NUMBER: _ClassVar[int]
    LRS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    SUGGESTIONS_FIELD_NUMBER: _ClassVar[int]
    stage: int
    lrs: _containers.RepeatedScalarFieldContainer[float]
    losses: _containers.RepeatedScalarFieldContainer[float]
    suggestions: _containers.ScalarMap[str, float]
    def __init__(self, stage: _Optional[int] = ..., lrs: _Optional[_Iterable[float]] = ..., losses: _Optional[_Iterable[float]] = ..., suggestions: _Optional[_Mapping[str, float]] = ...) -> None: ...

class OnnxModel(_message.Message):
    __slots__ = ("opset", "max_abs_difference", "not_made")
    OPSET_FIELD_NUMBER: _ClassVar[int]
    MAX_ABS_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    NOT_MADE_FIELD_NUMBER: _ClassVar[int]
    opset: int
    max_abs_difference: float
    not_made: str
    def __init__(self, opset: _Optional[int] = ..., max_abs_difference: _Optional[float] = ..., not_made: _Optional[str] = ...) -> None: ...

class Picture(_message.Message):
    __slots__ = ("name", "media_type", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    media_type: str
    content: bytes
    def __init__(self, name: _Optional[str] = ..., media_type: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class TrackingRun(_message.Message):
    __slots__ = ("tracking_uri", "experiment_id", "run_id")
    TRACKING_URI_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    tracking_uri: str
    experiment_id: str
    run_id: str
    def __init__(self, tracking_uri: _Optional[str] = ..., experiment_id: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("sequence", "time", "attempt", "state_changed", "data_read", "stage_started", "batch_finished", "epoch_finished", "checkpoint_saved", "bad_image", "picture_drawn", "log", "lr_found", "system_sample")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STATE_CHANGED_FIELD_NUMBER: _ClassVar[int]
    DATA_READ_FIELD_NUMBER: _ClassVar[int]
    STAGE_STARTED_FIELD_NUMBER: _ClassVar[int]
    BATCH_FINISHED_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FINISHED_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_SAVED_FIELD_NUMBER: _ClassVar[int]
    BAD_IMAGE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_DRAWN_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    LR_FOUND_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: _timestamp_pb2.Timestamp
    attempt: int
    state_changed: StateChanged
    data_read: DataRead
    stage_started: StageStarted
    batch_finished: BatchFinished
    epoch_finished: EpochFinished
    checkpoint_saved: CheckpointSaved
    bad_image: BadImage
    picture_drawn: PictureDrawn
    log: LogLine
    lr_found: LrFinding
    system_sample: SystemSample
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempt: _Optional[int] = ..., state_changed: _Optional[_Union[StateChanged, _Mapping]] = ..., data_read: _Optional[_Union[DataRead, _Mapping]] = ..., stage_started: _Optional[_Union[StageStarted, _Mapping]] = ..., batch_finished: _Optional[_Union[BatchFinished, _Mapping]] = ..., epoch_finished: _Optional[_Union[EpochFinished, _Mapping]] = ..., checkpoint_saved: _Optional[_Union[CheckpointSaved, _Mapping]] = ..., bad_image: _Optional[_Union[BadImage, _Mapping]] = ..., picture_drawn: _Optional[_Union[PictureDrawn, _Mapping]] = ..., log: _Optional[_Union[LogLine, _Mapping]] = ..., lr_found: _Optional[_Union[LrFinding, _Mapping]] = ..., system_sample: _Optional[_Union[SystemSample, _Mapping]] = ...) -> None: ...

class StateChanged(_message.Message):
    __slots__ = ("state", "reason", "cause")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    state: JobState
    reason: str
    cause: Cause
    def __init__(self, state: _Optional[_Union[JobState, str]] = ..., reason: _Optional[str] = ..., cause: _Optional[_Union[Cause, str]] = ...) -> None: ...

class DataRead(_message.Message):
    __slots__ = ("classes", "train_images", "valid_images")
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    TRAIN_IMAGES_FIELD_NUMBER: _ClassVar[int]
    VALID_IMAGES_FIELD_NUMBER: _ClassVar[int]
    classes: _containers.RepeatedScalarFieldContainer[str]
    train_images: int
    valid_images: int
    def __init__(self, classes: _Optional[_Iterable[str]] = ..., train_images: _Optional[int] = ..., valid_images: _Optional[int] = ...) -> None: ...

class StageStarted(_message.Message):
    __slots__ = ("stage", "description", "epochs")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    stage: int
    description: str
    epochs: int
    def __init__(self, stage: _Optional[int] = ..., description: _Optional[str] = ..., epochs: _Optional[int] = ...) -> None: ...

class BatchFinished(_message.Message):
    __slots__ = ("stage", "epoch", "epochs", "batch", "batches", "step", "loss", "lr", "momentum", "samples_per_second", "eta")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    LR_FIELD_NUMBER: _ClassVar[int]
    MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    stage: int
    epoch: int
    epochs: int
    batch: int
    batches: int
    step: int
    loss: float
    lr: float
    momentum: float
    samples_per_second: float
    eta: _duration_pb2.Duration
    def __init__(self, stage: _Optional[int] = ..., epoch: _Optional[int] = ..., epochs: _Optional[int] = ..., batch: _Optional[int] = ..., batches: _Optional[int] = ..., step: _Optional[int] = ..., loss: _Optional[float] = ..., lr: _Optional[float] = ..., momentum: _Optional[float] = ..., samples_per_second: _Optional[float] = ..., eta: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class EpochFinished(_message.Message):
    __slots__ = ("stage", "epoch", "step", "train_loss", "valid_loss", "metrics", "duration")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TRAIN_LOSS_FIELD_NUMBER: _ClassVar[int]
    VALID_LOSS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    stage: int
    epoch: int
    step: int
    train_loss: float
    valid_loss: float
    metrics: _containers.RepeatedCompositeFieldContainer[MetricValue]
    duration: _duration_pb2.Duration
    def __init__(self, stage: _Optional[int] = ..., epoch: _Optional[int] = ..., step: _Optional[int] = ..., train_loss: _Optional[float] = ..., valid_loss: _Optional[float] = ..., metrics: _Optional[_Iterable[_Union[MetricValue, _Mapping]]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class MetricValue(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class CheckpointSaved(_message.Message):
    __slots__ = ("step", "model_sha256", "optimizer_sha256")
    STEP_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_SHA256_FIELD_NUMBER: _ClassVar[int]
    step: int
    model_sha256: str
    optimizer_sha256: str
    def __init__(self, step: _Optional[int] = ..., model_sha256: _Optional[str] = ..., optimizer_sha256: _Optional[str] = ...) -> None: ...

class BadImage(_message.Message):
    __slots__ = ("path", "reason", "policy")
    PATH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    path: str
    reason: str
    policy: _learner_pb2.BadImagePolicy
    def __init__(self, path: _Optional[str] = ..., reason: _Optional[str] = ..., policy: _Optional[_Union[_learner_pb2.BadImagePolicy, str]] = ...) -> None: ...

class PictureDrawn(_message.Message):
    __slots__ = ("name", "media_type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    media_type: str
    def __init__(self, name: _Optional[str] = ..., media_type: _Optional[str] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("severity", "message")
    class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SEVERITY_UNSPECIFIED: _ClassVar[LogLine.Severity]
        SEVERITY_INFO: _ClassVar[LogLine.Severity]
        SEVERITY_WARNING: _ClassVar[LogLine.Severity]
        SEVERITY_ERROR: _ClassVar[LogLine.Severity]
    SEVERITY_UNSPECIFIED: LogLine.Severity
    SEVERITY_INFO: LogLine.Severity
    SEVERITY_WARNING: LogLine.Severity
    SEVERITY_ERROR: LogLine.Severity
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    severity: LogLine.Severity
    message: str
    def __init__(self, severity: _Optional[_Union[LogLine.Severity, str]] = ..., message: _Optional[str] = ...) -> None: ...

class SystemSample(_message.Message):
    __slots__ = ("rank", "node", "values")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RANK_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    rank: int
    node: str
    values: _containers.ScalarMap[str, float]
    def __init__(self, rank: _Optional[int] = ..., node: _Optional[str] = ..., values: _Optional[_Mapping[str, float]] = ...) -> None: ...

"""The process that predicts: a plain class that actors.py makes a Ray actor of.

The control server speaks to it directly, by gRPC on a socket of its own: a batch of pictures that went through Ray's
object store and the process that talks to Ray would be copied and pickled four times more.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from learnfleet.server.inference import wire
from learnfleet.server.inference.computing import Computed, Computing
from learnfleet.server.inference.plan import ReplicaSettings
from learnfleet.server.inference.ports import Answered, Array, Input, Output, PictureFile
from learnfleet.server.interpreter import tune_interpreter
from learnfleet.server.telemetry.logs import log_uncaught, set_up
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.malloc import keep_free_memory, release_free_memory
from learnfleet.trainer.manifest import CorruptCheckpoint

if TYPE_CHECKING:
    import grpc

    from learnfleet.trainer.predictor import Predictor
    from learnfleet.trainer.serving import ModelInput, Numbers, PlainAnswer, ServedModel

_CONCURRENT_CALLS = 72  # more than the server sends at a time (fleet.py)
_NOTHING = Computed([], 0.0, 0, speaks_for_batch=False)


class Replica:
    """Holds models and predicts batches: while one is computed the pictures of the next are decoded."""

    def __init__(self, settings: ReplicaSettings) -> None:
        if settings.logs is not None:
            set_up(settings.logs)
            log_uncaught()
            keep_free_memory()
        self._settings = settings
        self._models: dict[str, ServedModel] = {}
        self._lock = Lock()
        self._decoding = ThreadPoolExecutor(settings.decoders, thread_name_prefix="decode", initializer=_use_one_thread)
        self._computing = Computing(self._use_threads)
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="load", initializer=_use_one_thread)
        self._server: grpc.Server | None = None
        self._importing = Thread(target=_import_torch, name="import-torch", daemon=True)
        self._importing.start()

    def listen(self, address: str) -> str:
        """Serve at `unix:<path>`, or where `address` is a host on a free port of it. Returns the address to dial."""
        import grpc

        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        server = grpc.server(ThreadPoolExecutor(_CONCURRENT_CALLS, thread_name_prefix="replica"), options=options)
        server.add_generic_rpc_handlers((_Handlers(self, self._settings.token),))
        is_unix = address.startswith("unix:")
        port = server.add_insecure_port(address if is_unix else f"{address}:0")
        server.start()
        self._server = server
        return address if is_unix else f"{address}:{port}"

    def node_address(self) -> str:
        """Of the machine it runs on, as its cluster knows it."""
        import ray

        return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]

    def place(self) -> tuple[str, float, float]:
        """The node that it is on, as Ray knows it, and the CPUs and GPUs that are set aside for it."""
        import ray

        context = ray.get_runtime_context()
        resources = context.get_assigned_resources()  # type: ignore[no-untyped-call]
        return context.get_node_id(), float(resources.get("CPU", 0)), float(resources.get("GPU", 0))

    def pid(self) -> int:
        return os.getpid()

    # -- what is asked of it

    def load(self, request: wire.LoadRequest) -> wire.LoadReply:
        """Hold a model, after a first forward pass. Others go on answering but for that pass."""
        self._importing.join()
        from learnfleet.trainer.predictor import load_predictor
        from learnfleet.trainer.serving import ServedModel

        device = "cuda" if self._settings.on_gpu else "cpu"

        def loaded() -> Predictor:
            return load_predictor(request.folder, device, request.precision, request.channels_last)

        try:
            predictor = self._loading.submit(loaded).result()
            model = self._computing.run(lambda: ServedModel(predictor))
        except (LearnerError, CorruptCheckpoint, OSError, MemoryError, RuntimeError) as error:
            return wire.LoadReply(error=f"{type(error).__name__}: {error}")
        with self._lock:
            self._models[request.key] = model
        facts = model.facts
        return wire.LoadReply("", facts.kind, facts.classes, facts.size, facts.output_shape, facts.bytes)

    def unload(self, key: str) -> bytes:
        """Forget a model. Batches that it computes are still answered. Returns an empty answer."""
        with self._lock:
            self._models.pop(key, None)
        release_free_memory()
        return b""

    def infer(self, request: wire.InferRequest) -> wire.InferReply:
        """Predict a batch. What cannot be read fails alone."""
        with self._lock:
            model = self._models.get(request.key)
        if model is None:
            return wire.InferReply(is_unknown=True)
        prepared = self._prepared(model, request.inputs)
        good = [item.tensor for item in prepared if item.tensor is not None]
        done = self._computing.compute(model, good, request.options, request.most) if good else _NOTHING
        refused = [str(one) for one in done.answers if isinstance(one, LearnerError) and one.field == "embedding"]
        if refused:
            return wire.InferReply(refused=refused[0])
        found = iter(done.answers)
        items = []
        for item in prepared:
            answer = _answered(next(found), model.facts.kind) if item.tensor is not None else Answered(error=item.error)
            items.append(replace(answer, decode_s=item.decode_s, infer_s=done.infer_s, batch_size=done.batch_size))
        return wire.InferReply(tuple(items), speaks_for_batch=done.speaks_for_batch)

    def _prepared(self, model: ServedModel, inputs: Sequence[Input]) -> list[_Prepared]:
        """By few threads, however many calls there are: they would take the core of the one that computes."""
        return list(self._decoding.map(lambda item: _prepare(model, item), inputs))

    def _use_threads(self) -> None:
        from learnfleet.trainer.threads import use_threads

        use_threads(self._settings.threads)


def _use_one_thread() -> None:
    """The cores are the computing thread's, see Computing."""
    from learnfleet.trainer.threads import use_threads

    use_threads(1)  # of MKL's, too, which fills new weights with random numbers


@dataclass(frozen=True, eq=False)
class _Prepared:
    """An input of the model, or what is wrong with it."""

    tensor: ModelInput | None
    error: str
    decode_s: float


def _prepare(model: ServedModel, item: Input) -> _Prepared:
    began = time.perf_counter()
    tensor, error = None, ""
    try:
        if isinstance(item, PictureFile):
            tensor = model.picture(item.content)
        else:
            tensor = model.tensor(item.dtype, item.shape, item.content)
    except BadImage as bad:
        error = bad.reason
    except LearnerError as wrong:
        error = str(wrong)
    except MemoryError:  # of the many that are decoded here this one is the largest
        error = "there is not enough memory to decode it"
    return _Prepared(tensor, error, time.perf_counter() - began)


def _answered(answer: PlainAnswer | LearnerError, kind: LabelKind) -> Answered:
    if isinstance(answer, LearnerError):
        return Answered(error=str(answer))
    arrays = {Output.LOGITS: answer.logits, Output.EMBEDDING: answer.embedding, Output.ACTIVATED: answer.activated}
    return Answered(
        kind=kind,
        index=answer.index,
        probabilities=answer.probabilities,
        labels=answer.labels,
        values=answer.values,
        mask_png=answer.mask_png,
        picture_png=answer.picture_png,
        arrays={output: _array(numbers) for output, numbers in arrays.items() if numbers is not None},
        samples=tuple(_answered(sample, kind) for sample in answer.samples),
    )


def _array(numbers: Numbers) -> Array:
    return Array(numbers.shape, numbers.content)


def _import_torch() -> None:
    """So that it is there when the first model is to be loaded. Models come later: they are not there for good."""
    import learnfleet.trainer.serving  # noqa: F401

    tune_interpreter()


class _Handlers:
    """The three calls, for those who know the token. A `grpc.GenericRpcHandler`."""

    def __init__(self, replica: Replica, token: str) -> None:
        self._token = token
        self._methods: dict[str, Callable[[bytes], bytes]] = {
            wire.LOAD: lambda content: replica.load(wire.LoadRequest.decode(content)).encode(),
            wire.INFER: lambda content: replica.infer(wire.InferRequest.decode(content)).encode(),
            wire.UNLOAD: lambda content: replica.unload(content.decode()),
        }

    def service(self, details: Any) -> Any:
        import grpc

        method = self._methods.get(details.method)
        if method is None:
            return None
        said = dict(details.invocation_metadata).get(wire.TOKEN_KEY, "")
        if not hmac.compare_digest(said.encode(), self._token.encode()):
            return grpc.unary_unary_rpc_method_handler(_refuse)
        return grpc.unary_unary_rpc_method_handler(lambda content, _: method(content))


def _refuse(_: bytes, context: Any) -> bytes:
    import grpc

    context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is another")
    return b""

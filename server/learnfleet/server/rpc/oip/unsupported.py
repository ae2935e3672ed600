"""RPCs of Triton that are not offered here: refused with a reason, so that their callers know what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from learnfleet.server.errors import Unimplemented
from learnfleet.server.rpc.status import message_of, status_code, trailing_metadata

_MEMORY = "shared memory is not offered, as clients may be on other machines: send the data in the message"
_KINDS = ("System", "Cuda")
UNSUPPORTED = {
    "ModelStreamInfer": "streams of ModelInfer are not offered: use learnfleet.v1.PredictionService/PredictStream",
    "ModelConfig": "models here have no configuration of Triton's: ModelMetadata says what goes in and comes out",
    "ModelStatistics": "statistics by model are not offered in this protocol",
    "RepositoryIndex": "models are listed by MLflow's registry, where they are registered",
    "TraceSetting": "tracing cannot be set by clients",
    "LogSettings": "logging is set where the server is started",
    **{
        f"{kind}SharedMemory{act}": _MEMORY
        for kind in ("System", "Cuda")
        for act in ("Status", "Register", "Unregister")
    },
}


def unsupported_handlers(service: str) -> grpc.GenericRpcHandler:
    """Handlers that refuse, for callers of any kind: nothing of what they send is read."""
    handlers = {name: grpc.stream_stream_rpc_method_handler(_refusing(name, why)) for name, why in UNSUPPORTED.items()}
    return grpc.method_handlers_generic_handler(service, handlers)


def _refusing(name: str, why: str) -> object:
    error = Unimplemented(f"{name}: {why}")

    async def refuse(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        await context.abort(status_code(error), message_of(error), trailing_metadata(error))
        yield b""  # never reached: abort raises. It makes this a generator, as the handler must be

    return refuse

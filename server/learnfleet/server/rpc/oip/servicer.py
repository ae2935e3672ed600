"""GRPCInferenceService, the Open Inference Protocol version 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from learnfleet.oip import inference_pb2 as pb
from learnfleet.server.errors import FieldViolation, InvalidArgument, NotFound, Unavailable
from learnfleet.server.inference.ports import Inference, ModelInfo
from learnfleet.server.rpc.oip.outputs import offered, put_output, read_wanted
from learnfleet.server.rpc.oip.parameters import read_options, timeout_s
from learnfleet.server.rpc.oip.references import model_reference, version_of
from learnfleet.server.rpc.oip.tensors import IMAGE, PIXELS, read_items
from learnfleet.server.rpc.owners import Owners
from learnfleet.server.rpc.prediction_batch import infer_all
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.text import utf8

PLATFORM = "learnfleet"
EXTENSIONS = ("classification",)


@dataclass(frozen=True)
class InferenceServicer:
    """Answers clients of KServe and Triton."""

    inference: Inference
    owners: Owners
    version: str
    is_serving: Callable[[], bool]

    async def server_live(self, request: pb.ServerLiveRequest) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, request: pb.ServerReadyRequest) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self.is_serving())

    async def server_metadata(self, request: pb.ServerMetadataRequest) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name=PLATFORM, version=self.version, extensions=EXTENSIONS)

    async def model_ready(self, request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        """False for whatever is no model: callers want a truth value, not an error."""
        try:
            reference = await self._reference(request.name, request.version, "name", "version")
        except (InvalidArgument, NotFound):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=await self.inference.is_ready(reference))

    async def model_metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        reference = await self._reference(request.name, request.version, "name", "version")
        model = await self.inference.describe(reference)
        side = model.size or (-1, -1)
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=request.name,
            versions=[version_of(model.name)],
            platform=PLATFORM,
            inputs=[
                tensor(name=IMAGE, datatype="BYTES", shape=[-1]),
                tensor(name=PIXELS, datatype="FP32", shape=[-1, 3, *side]),
            ],
            outputs=[
                tensor(name=output.name, datatype=output.datatype, shape=[-1, *output.shape])
                for output in offered(model).values()
            ],
            properties=_properties(model),
        )

    async def model_infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        """One bad item fails the request, as the protocol has no errors of single items: it is named."""
        reference = await self._reference(request.model_name, request.model_version)
        model = await self.inference.describe(reference)
        found = Violations()
        wanted = read_wanted(request, model, found)
        options = read_options(request, (each.output.array for each in wanted if each.output.array), found)
        found.raise_if_any()
        replies = await infer_all(self.inference, reference, read_items(request), options, timeout_s(request))
        answered = [item for _, reply in replies for item in reply.items]
        for place, item in enumerate(answered):
            if item.is_lost:
                raise Unavailable(item.error)
            found.check(not item.error, f"inputs[0][{place}]", f"cannot be predicted: {item.error}")
        found.raise_if_any()
        used = replies[0][1].model
        response = pb.ModelInferResponse(
            model_name=request.model_name, model_version=version_of(used.name), id=request.id
        )
        for each in wanted:
            put_output(response, each, answered, used)
        return response

    async def repository_model_load(self, request: pb.RepositoryModelLoadRequest) -> pb.RepositoryModelLoadResponse:
        name = _named(request)
        await self.inference.load(await self._reference(name), pin=True)
        return pb.RepositoryModelLoadResponse(model_name=name, is_loaded=True)

    async def repository_model_unload(
        self, request: pb.RepositoryModelUnloadRequest
    ) -> pb.RepositoryModelUnloadResponse:
        name = _named(request)
        await self.inference.unload(await self._reference(name))
        return pb.RepositoryModelUnloadResponse(model_name=name, is_unloaded=True)

    async def _reference(
        self, name: str, version: str = "", name_field: str = "model_name", version_field: str = "model_version"
    ) -> str:
        """What the caller's name means. Raises InvalidArgument, NotFound for what is another tenant's."""
        reference = model_reference(name, version, name_field, version_field)
        await self.owners.check_name(reference)
        return reference


def _named(request: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest) -> str:
    """The model's name: KServe's clients say it in the field that is for a repository's in Triton's."""
    unknown = sorted(set(request.parameters) - {"unload_dependents"})
    if unknown:
        raise InvalidArgument([FieldViolation(f"parameters[{unknown[0][:40]}]", "is not known here")])
    return request.model_name or request.repository_name


def _properties(model: ModelInfo) -> dict[str, str]:
    return {"kind": str(model.kind), "classes": json.dumps([utf8(name) for name in model.classes])}

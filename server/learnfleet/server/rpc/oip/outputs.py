"""What a model can be asked for in the protocol, and the tensors that it answers with."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from learnfleet.oip import inference_pb2 as pb
from learnfleet.server.inference.ports import Answered, ModelInfo, Output
from learnfleet.server.rpc.oip.parameters import refuse_parameters
from learnfleet.server.rpc.oip.tensors import framed
from learnfleet.server.rpc.read_input import refusal
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.text import utf8
from learnfleet.trainer.data_spec import LabelKind

_ONE_ROW = (LabelKind.CATEGORY, LabelKind.MULTI_CATEGORY)
_CLASSIFICATION = "classification"
_MAIN = {
    LabelKind.MASK: ("mask", "BYTES"),
    LabelKind.IMAGE: ("picture", "BYTES"),
    LabelKind.FLOAT: ("values", "FP32"),
    LabelKind.POINTS: ("values", "FP32"),
}


@dataclass(frozen=True)
class Offered:
    """An output of a model."""

    name: str
    datatype: str
    shape: tuple[int, ...]  # of one item; () of BYTES
    array: Output | None = None  # what inference has to be asked for


@dataclass(frozen=True)
class Wanted:
    """An output that a request wants."""

    output: Offered
    classes: int = 0  # so many of the likeliest as text; 0: the numbers


def offered(model: ModelInfo) -> dict[str, Offered]:
    """The outputs of a model by their names, the one first that comes unasked."""
    if model.kind in _ONE_ROW:
        first = Offered("probabilities", "FP32", (len(model.classes),))
    else:
        name, datatype = _MAIN[model.kind]
        first = Offered(name, datatype, () if datatype == "BYTES" else model.output_shape)
    found = [first, Offered("logits", "FP32", model.output_shape, Output.LOGITS)]
    if model.kind is LabelKind.MASK:
        found.append(Offered("probabilities", "FP32", model.output_shape, Output.ACTIVATED))
    found.append(Offered("embedding", "FP32", (-1,), Output.EMBEDDING))
    return {output.name: output for output in found}


def read_wanted(request: pb.ModelInferRequest, model: ModelInfo, found: Violations) -> list[Wanted]:
    """What a request wants; without a word the first output."""
    known = offered(model)
    if not request.outputs:
        return [Wanted(next(iter(known.values())))]
    wanted = []
    for place, asked in enumerate(request.outputs):
        field = f"outputs[{place}]"
        output = known.get(asked.name)
        if output is None:
            found.add(f"{field}.name", f"is '{asked.name[:40]}'; this model has {', '.join(known)}")
            continue
        others = {name: value for name, value in asked.parameters.items() if name != _CLASSIFICATION}
        refuse_parameters(others, field, found)
        wanted.append(Wanted(output, _class_count(asked, output, model, field, found)))
    return wanted


def _class_count(
    asked: pb.ModelInferRequest.InferRequestedOutputTensor,
    output: Offered,
    model: ModelInfo,
    field: str,
    found: Violations,
) -> int:
    if _CLASSIFICATION not in asked.parameters:
        return 0
    name = f"{field}.parameters[{_CLASSIFICATION}]"
    if model.kind not in _ONE_ROW or output.name not in ("probabilities", "logits"):
        found.add(name, f"is only for probabilities and logits of classes; '{output.name}' of this model has none")
        return 0
    parameter = asked.parameters[_CLASSIFICATION]
    kind = parameter.WhichOneof("parameter_choice")
    count = getattr(parameter, kind) if kind in ("int64_param", "uint64_param") else 0
    found.check(count >= 1, name, "must be a whole number of at least 1: how many of the likeliest classes")
    return min(int(count), len(model.classes))


def put_output(response: pb.ModelInferResponse, wanted: Wanted, items: Sequence[Answered], model: ModelInfo) -> None:
    """Add one output of all items to the answer. The data are always raw: some clients read nothing else."""
    output = wanted.output
    if wanted.classes:
        texts = [text for item in items for text in _likeliest(_row(output, item), wanted.classes, model)]
        _put(response, output.name, "BYTES", (len(items), wanted.classes), framed(texts))
    elif output.datatype == "BYTES":
        pictures = [item.mask_png or item.picture_png for item in items]
        _put(response, output.name, "BYTES", (len(items),), framed(pictures))
    elif output.array is not None:
        arrays = [item.arrays[output.array] for item in items]
        if len({array.shape for array in arrays}) != 1:
            several = "pictures of several sizes have outputs of several shapes; ask for one at a time"
            raise refusal("inputs[0]", f"{output.name}: {several}")
        content = b"".join(array.content for array in arrays)
        _put(response, output.name, "FP32", (len(items), *arrays[0].shape), content)
    else:
        rows = [_row(output, item) for item in items]
        content = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
        _put(response, output.name, "FP32", (len(items), len(rows[0])), content)


def _row(output: Offered, item: Answered) -> Sequence[float]:
    """The numbers of one item."""
    if output.array is not None:
        content = item.arrays[output.array].content
        return struct.unpack(f"<{len(content) // 4}f", content)
    return item.values if output.name == "values" else item.probabilities


def _likeliest(row: Sequence[float], count: int, model: ModelInfo) -> list[bytes]:
    """`score:index:label` of the greatest numbers."""
    order = sorted(range(len(row)), key=lambda index: -row[index])[:count]
    return [f"{row[index]:f}:{index}:{utf8(model.classes[index])}".encode() for index in order]


def _put(response: pb.ModelInferResponse, name: str, datatype: str, shape: tuple[int, ...], content: bytes) -> None:
    response.outputs.add(name=name, datatype=datatype, shape=shape)
    response.raw_output_contents.append(content)

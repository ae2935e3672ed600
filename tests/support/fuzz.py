"""Messages that nobody would send: built of their descriptors, of values that break things, and then damaged."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from support.nasty_names import NAMES

from learnfleet.oip import inference_pb2
from learnfleet.server.rpc.status import DETAILS_KEY
from learnfleet.v1 import (
    dataset_service_pb2,
    interpretation_service_pb2,
    job_service_pb2,
    model_service_pb2,
    prediction_service_pb2,
    training_service_pb2,
)

MODULES = (
    dataset_service_pb2,
    inference_pb2,
    interpretation_service_pb2,
    job_service_pb2,
    model_service_pb2,
    prediction_service_pb2,
    training_service_pb2,
)
METHODS: Sequence[MethodDescriptor] = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)

# What grpc.aio makes of a stream that the server has ended while it is written to: the server's own answer is lost.
_NOT_TOLD = "Internal error from Core"
_DEEPEST = 6
_AT_ONCE = 48
_PATIENCE_S = 60.0
_WHOLE = (0, 1, 2, 7, 64, 1000, 65_536, 2**31 - 1, -1, -(2**31), 2**63 - 1, -(2**63), 2**32 - 1, 2**64 - 1)
_REAL = (0.0, -0.0, 1.0, 0.5, 1e-300, 1e300, float("nan"), float("inf"), float("-inf"), -1.0, 1e9)
_PICTURES = (b"\xff\xd8\xff\xe0" + bytes(20), b"\x89PNG\r\n\x1a\n" + bytes(30), b"GIF89a" + bytes(9))
_BYTES = (b"", b"\0", bytes(5000), *_PICTURES)


class Maker:
    """Messages of one seed.

    Args:
        known: names that exist, so that some requests come further than to NOT_FOUND.
        right: requests that are right, by the full name of their type.
    """

    def __init__(self, seed: int, known: Sequence[str] = (), right: Mapping[str, Message] | None = None) -> None:
        self._chance, self._known, self._right = random.Random(seed), list(known), dict(right or {})

    def content(self, descriptor: Descriptor) -> bytes:
        """Of one message, whole or damaged."""
        chance = self._chance
        kind = chance.random()
        if kind < 0.05:
            return chance.randbytes(chance.choice((0, 1, 3, 20, 300)))
        right = self._right.get(descriptor.full_name)
        made = self.message(descriptor) if right is None or kind > 0.8 else self._changed(right)
        content = made.SerializeToString()
        return content if kind < 0.5 else self._damaged(content)

    def _changed(self, right: Message) -> Message:
        """In a few places, wherever they are."""
        made = type(right)()
        made.CopyFrom(right)
        for _ in range(self._chance.choice((0, 1, 1, 2, 3))):
            place: Message = made
            while self._chance.random() < 0.7:
                inner = [value for each, value in place.ListFields() if each.message_type and _is_single(value)]
                if not inner:
                    break
                place = self._chance.choice(inner)
            if place.DESCRIPTOR.fields:
                self._set(place, self._chance.choice(place.DESCRIPTOR.fields), _DEEPEST - 2)
        return made

    def message(self, descriptor: Descriptor, depth: int = 0) -> Message:
        made = GetMessageClass(descriptor)()
        share = self._chance.choice((0.1, 0.3, 0.9))
        for each in descriptor.fields:
            if self._chance.random() < share:
                self._set(made, each, depth)
        return made

    def _set(self, made: Message, each: FieldDescriptor, depth: int) -> None:
        if each.message_type is not None and each.message_type.GetOptions().map_entry:
            self._fill_map(made, each, depth)
        elif each.is_repeated:
            values = getattr(made, each.name)
            for _ in range(self._chance.choice((1, 1, 2, 5, 40)) if depth < _DEEPEST else 0):
                if each.message_type is None:
                    values.append(self._value(each))
                else:
                    values.add().CopyFrom(self.message(each.message_type, depth + 1))
        elif each.message_type is None:
            setattr(made, each.name, self._value(each))
        elif depth < _DEEPEST:
            getattr(made, each.name).CopyFrom(self.message(each.message_type, depth + 1))

    def _fill_map(self, made: Message, each: FieldDescriptor, depth: int) -> None:
        key, value = each.message_type.fields_by_name["key"], each.message_type.fields_by_name["value"]
        for _ in range(self._chance.choice((1, 2, 5)) if depth < _DEEPEST else 0):
            if value.message_type is None:
                getattr(made, each.name)[self._value(key)] = self._value(value)
            else:
                getattr(made, each.name)[self._value(key)].CopyFrom(self.message(value.message_type, depth + 1))

    def _value(self, each: FieldDescriptor) -> object:
        chance = self._chance
        kinds = FieldDescriptor
        if each.cpp_type == kinds.CPPTYPE_STRING:
            if each.type == kinds.TYPE_BYTES:
                return chance.choice(_BYTES)
            return chance.choice(self._known if self._known and chance.random() < 0.4 else NAMES)
        if each.cpp_type == kinds.CPPTYPE_BOOL:
            return chance.random() < 0.5
        if each.cpp_type in (kinds.CPPTYPE_DOUBLE, kinds.CPPTYPE_FLOAT):
            return chance.choice(_REAL)
        if each.cpp_type == kinds.CPPTYPE_ENUM:
            return chance.choice([*each.enum_type.values_by_number, 99])
        return _fitting(each.cpp_type, chance.choice(_WHOLE))

    def _damaged(self, content: bytes) -> bytes:
        chance, damaged = self._chance, bytearray(content)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(damaged) + 1)
            way = chance.randrange(5)
            if way == 0 and at < len(damaged):
                damaged[at] ^= 1 << chance.randrange(8)
            elif way == 1:
                damaged[at:at] = chance.randbytes(chance.randint(1, 8))
            elif way == 2:
                del damaged[at : at + chance.randint(1, 8)]
            elif way == 3:
                damaged[at:at] = damaged[at : at + chance.randint(1, 30)]
            else:
                del damaged[at:]
        return bytes(damaged)


def _is_single(value: object) -> bool:
    return isinstance(value, Message)


def _fitting(kind: int, value: int) -> int:
    bits = 32 if kind in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32) else 64
    if kind in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64):
        return value % 2**bits
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


@dataclass
class Fuzzed:
    """What came of it."""

    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # faults, and errors without details; those found first


async def fuzz(address: str, maker: Maker, count: int, most_wrong: int = 20) -> Fuzzed:
    """Send so many messages to all RPCs in turn. A client stream gets a few of them."""
    found, left = Fuzzed(), iter(range(count))
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        senders = [_send_some(channel, maker, left, found, most_wrong) for _ in range(_AT_ONCE)]
        await asyncio.gather(*senders)
    return found


async def _send_some(
    channel: grpc.aio.Channel, maker: Maker, left: Iterator[int], found: Fuzzed, most_wrong: int
) -> None:
    for number in left:
        method = METHODS[number % len(METHODS)]
        contents = [maker.content(method.input_type)]
        if method.client_streaming and number % 3:
            contents = [maker.message(method.input_type).SerializeToString(), *contents]
        code = await _send(channel, method, contents, found)
        found.codes[code] += 1
        if len(found.wrong) >= most_wrong:
            return


async def _send(channel: grpc.aio.Channel, method: MethodDescriptor, contents: list[bytes], found: Fuzzed) -> str:
    try:
        await _call(channel, method, contents)
    except grpc.aio.AioRpcError as error:
        if error.details() == _NOT_TOLD:
            return "UNTOLD"
        has_details = any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())
        if error.code() in FAULTS or not has_details:
            sent = ", ".join(content.hex() for content in contents)[:4000]
            found.wrong.append(f"{method.full_name}: {error.code().name} {error.details()!r} for {sent}")
        return str(error.code().name)
    return "OK"


async def _call(channel: grpc.aio.Channel, method: MethodDescriptor, contents: list[bytes]) -> None:
    path = f"/{method.containing_service.full_name}/{method.name}"

    async def requests() -> AsyncIterator[bytes]:
        for content in contents:
            yield content

    if method.client_streaming and method.server_streaming:
        async for _ in channel.stream_stream(path)(requests(), timeout=_PATIENCE_S):
            pass
    elif method.client_streaming:
        await channel.stream_unary(path)(requests(), timeout=_PATIENCE_S)
    elif method.server_streaming:
        async for _ in channel.unary_stream(path)(contents[0], timeout=_PATIENCE_S):
            pass
    else:
        await channel.unary_unary(path)(contents[0], timeout=_PATIENCE_S)

"""grpcurl's commands in the docs: parsed against the descriptors and called, as grpcurl does it."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_BLOCKS = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"\$\(base64 -w0 [^)]*\)")


@dataclass(frozen=True)
class Example:
    """One command."""

    path: str  # service/method
    data: str  # JSON values, one after the other

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def method(self) -> MethodDescriptor:
        service, _, name = self.path.partition("/")
        return Default().FindServiceByName(service).methods_by_name[name]

    def with_file(self, content: bytes) -> Example:
        """With this in place of the files that the shell would put in."""
        return Example(self.path, _FILE.sub(base64.b64encode(content).decode(), self.data))

    def messages(self) -> list[Message]:
        """Raises ParseError for a field, or a value, that the request does not have."""
        return [json_format.ParseDict(value, GetMessageClass(self.method.input_type)()) for value in _values(self.data)]

    def call(self, channel: grpc.Channel, timeout_s: float = 60) -> list[Message]:
        method, sent = self.method, self.messages()
        types: dict[str, Any] = {
            "request_serializer": lambda message: message.SerializeToString(),
            "response_deserializer": GetMessageClass(method.output_type).FromString,
        }
        path = f"/{self.path}"
        if method.client_streaming:
            assert method.server_streaming
            return list(channel.stream_stream(path, **types)(iter(sent), timeout=timeout_s))
        (request,) = sent
        if method.server_streaming:
            return list(channel.unary_stream(path, **types)(request, timeout=timeout_s))
        return [channel.unary_unary(path, **types)(request, timeout=timeout_s)]


def examples(page: Path) -> list[Example]:
    """All commands of a page, in its order."""
    found = []
    for block in _BLOCKS.findall(page.read_text()):
        if "grpcurl" not in block:
            continue
        words = shlex.split(block, comments=True)
        for is_command, group in itertools.groupby(words, lambda word: word != "grpcurl"):
            if is_command:
                found.append(_example(list(group)))
    return found


def _example(words: list[str]) -> Example:
    options, (_, path) = words[:-2], words[-2:]
    if options[0] != "-plaintext":
        raise ValueError(f"a server without TLS is called with -plaintext, not by {options}")
    return Example(path, options[options.index("-d") + 1])


def _values(text: str) -> list[dict[str, object]]:
    found, place, decoder = [], 0, json.JSONDecoder()
    while place < len(text):
        value, place = decoder.raw_decode(text, place)
        found.append(value)
        place += len(text[place:]) - len(text[place:].lstrip())
    return found

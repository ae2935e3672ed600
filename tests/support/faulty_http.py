"""An HTTP proxy that fails request by request: with errors before and after the deed, resets, and slowly."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_RESET = struct.pack("ii", 1, 0)  # close with RST
_NOT_HANDED_ON = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Faults:
    """Shares of all requests, and seconds that each takes more."""

    refused: float = 0.0  # 500, and nothing was done
    forgotten: float = 0.0  # done, and answered with 500
    deaf: float = 0.0  # done, and the connection is reset
    reset: float = 0.0  # reset before anything was done
    delay_s: float = 0.0
    only: str = ""  # of requests whose path has this in it


class FaultyHttp:
    """Before a local port. What it does is drawn anew for each request, from a seed."""

    def __init__(self, port: int, seed: int = 0) -> None:
        self.faults = Faults()
        self.done = Counter[str]()  # what was done how often
        self._random, self._lock = random.Random(seed), threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, port))
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def draw(self, path: str) -> str:
        if self.faults.only not in path:
            return "passed"
        with self._lock:
            at = self._random.random()
            for what in ("refused", "forgotten", "deaf", "reset"):
                at -= getattr(self.faults, what)
                if at < 0:
                    break
            else:
                what = "passed"
            self.done[what] += 1
            return what

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: FaultyHttp, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            threading.Event().wait(proxy.faults.delay_s)
            what = proxy.draw(self.path)
            if what == "reset":
                self._hang_up()
            elif what == "refused":
                self._answer(500, b"{}", [])
            else:
                self._pass(what, body)

        def _pass(self, what: str, body: bytes) -> None:
            try:
                status, answer, headers = self._asked(body)
            except OSError:  # the server is not there
                self._hang_up()
                return
            if what == "deaf":
                self._hang_up()
            elif what == "forgotten":
                self._answer(500, b"{}", [])
            else:
                self._answer(status, answer, headers)

        def _asked(self, body: bytes) -> tuple[int, bytes, list[tuple[str, str]]]:
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
            with contextlib.closing(upstream):
                headers = {key: value for key, value in self.headers.items() if key.lower() not in _NOT_HANDED_ON}
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                return answer.status, answer.read(), answer.getheaders()

        def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
            self.send_response(status)
            for key, value in headers:
                if key.lower() not in _NOT_HANDED_ON:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _hang_up(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close_connection = True
            self.connection.close()

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any  # noqa: N815

    return Handler

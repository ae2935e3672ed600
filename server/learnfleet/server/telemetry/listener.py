"""The HTTP listener of the metrics: a thread of its own, so that no scrape is in the way of a call."""

from __future__ import annotations

import logging
import socket
import socketserver
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

LOOPBACK = "127.0.0.1"
PATH = "/metrics"
_SILENCE_S = 10.0  # a connection that says nothing for so long is closed
_JOIN_S = 5.0

_log = logging.getLogger(__name__)


def read_address(value: str) -> tuple[str, int]:
    """(host, port) of `9464`, which is on loopback, or of `host:port`. Raises ValueError."""
    host, _, port = value.rpartition(":")
    host = host.strip("[]") or LOOPBACK
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"'{value}' must be a port, which is on loopback then, or host:port")
    return host, int(port)


class MetricsListener:
    """Answers GET /metrics. Raises RuntimeError if the address cannot be had."""

    def __init__(self, registry: CollectorRegistry, address: tuple[str, int]) -> None:
        try:
            self._server = _server_class(address)(address, _Handler)
        except OSError as error:
            raise RuntimeError(f"metrics cannot be told on {address[0]}:{address[1]}: {error}") from error
        self._server.set_app(_only_metrics(make_wsgi_app(registry)))
        self._thread = Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def address(self) -> str:
        """host:port, of a port that was free where 0 was asked for."""
        host, port = str(self._server.server_address[0]), self._server.server_address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(_JOIN_S)
        self._server.server_close()


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        _log.debug(format, *args)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerV6(_Server):
    address_family = socket.AF_INET6


def _server_class(address: tuple[str, int]) -> type[_Server]:
    return _ServerV6 if ":" in address[0] else _Server


App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _only_metrics(metrics: App) -> App:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == PATH:
            return metrics(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"only {PATH} is here\n".encode()]

    return app

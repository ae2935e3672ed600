"""What one connection, and one call, may take of the server."""

from __future__ import annotations

from dataclasses import dataclass

from learnfleet.server.config import Config

_PING_STRIKES = 2  # pings that came too soon before a client is cut off: one may be a delayed one


@dataclass(frozen=True)
class CallLimits:
    """How long a call may take, whatever its caller says."""

    default_s: float = 300.0  # of a call with one answer, where the caller sets no deadline
    most_s: float = 3600.0  # of one where it does
    silence_s: float = 60.0  # after which a client that streams requests is given up

    @classmethod
    def of(cls, config: Config) -> CallLimits:
        return cls(config.call_default_s, config.call_max_s, config.stream_silence_s)

    def of_call(self, remaining_s: float | None) -> float:
        """How long a call with one answer may take, of which the caller says it has so long."""
        return self.default_s if remaining_s is None else min(remaining_s, self.most_s)


def channel_options(config: Config) -> tuple[tuple[str, int], ...]:
    """What gRPC holds each connection to."""
    most_bytes = config.max_message_mb * 2**20
    options = [
        ("grpc.max_receive_message_length", most_bytes),
        ("grpc.max_send_message_length", most_bytes),
        # Further calls on a connection would wait in the client without a word. An open watch takes about 20 KiB.
        ("grpc.max_concurrent_streams", config.max_concurrent_streams),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _ms(config.min_ping_s)),
        ("grpc.http2.max_ping_strikes", _PING_STRIKES),
        ("grpc.keepalive_time_ms", _ms(config.keepalive_s)),
        ("grpc.keepalive_timeout_ms", _ms(config.keepalive_timeout_s)),
        ("grpc.http2.ping_timeout_ms", _ms(config.keepalive_timeout_s)),  # else a minute: the above is of the socket
        ("grpc.http2.max_pings_without_data", 0),  # however many: else it is asked twice, and then never again
        ("grpc.keepalive_permit_without_calls", 1),  # a dead client has none, and its connection stays
        ("grpc.so_reuseport", 0),  # two servers on one port would share its calls without a word
    ]
    if config.connection_age_s:
        options.append(("grpc.max_connection_age_ms", _ms(config.connection_age_s)))
        options.append(("grpc.max_connection_age_grace_ms", _ms(config.max_connection_age_grace_s)))
    return tuple(options)


def _ms(seconds: float) -> int:
    return max(1, min(round(seconds * 1000), 2**31 - 1))

"""W3C trace contexts, as https://www.w3.org/TR/trace-context/ has them."""

from __future__ import annotations

import pytest

from learnfleet.server.telemetry.trace_context import TraceContext, of_metadata, parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_a_context_is_read_and_written_alike() -> None:
    context = parse(GOOD)

    assert context == TraceContext(TRACE, SPAN, is_sampled=True)
    assert str(context) == GOOD


@pytest.mark.parametrize("flags", ["00", "02"])
def test_other_flags_than_the_last_say_nothing_of_sampling(flags: str) -> None:
    context = parse(f"00-{TRACE}-{SPAN}-{flags}")

    assert context is not None
    assert not context.is_sampled


def test_what_a_later_version_adds_is_left_out() -> None:
    assert parse(f"cc-{TRACE}-{SPAN}-01-what-will-be") == TraceContext(TRACE, SPAN, is_sampled=True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        GOOD + "-" + "x" * 1000,
    ],
)
def test_what_is_no_context_is_ignored(value: str) -> None:
    assert parse(value) is None


def test_of_several_the_last_counts() -> None:
    other = f"00-{'a' * 32}-{SPAN}-01"

    context = of_metadata([("traceparent", GOOD), ("x", "y"), ("traceparent", other)])

    assert context is not None
    assert context.trace_id == "a" * 32

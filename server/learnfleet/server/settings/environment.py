"""Which variables of the environment are settings, and which are somebody else's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from learnfleet.server.settings.setting import PREFIX, Setting

FILE_VARIABLE = "LEARNFLEET_CONFIG"

# Variables with our prefix that are no settings of the server. What a client reads is here as well: server and client
# are often run from one shell.
OTHERS = frozenset(
    {
        FILE_VARIABLE,
        "LEARNFLEET_ADDRESS",
        "LEARNFLEET_CA",
        "LEARNFLEET_CERT",
        "LEARNFLEET_FAILPOINTS",
        "LEARNFLEET_KEY",
        "LEARNFLEET_PLAINTEXT",
        "LEARNFLEET_TENANT",
        "LEARNFLEET_TOKEN",
        "LEARNFLEET_TOKEN_FILE",
        "LEARNFLEET_TOKEN_IN_CLEAR",
    }
)

# What Kubernetes sets for a Service of that name, where a pod does not turn it off.
_SERVICE_LINK = re.compile(r"LEARNFLEET_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")
_SERVICE_URL = re.compile(r"(tcp|udp)://\S+")


def strange_variables(settings: Sequence[Setting], environment: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with variables that look like settings and are none."""
    known = [each.variable for each in settings]
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in known or name in OTHERS:
            continue
        if _SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_URL.fullmatch(environment[name])):
            continue
        # Without what all have in common, or else all would be alike.
        near = difflib.get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1)
        hint = (
            f"did you mean {PREFIX}{near[0]}?"
            if near
            else f"unset it, as names that begin with {PREFIX} are the server's"
        )
        yield f"{name} (environment): there is no such setting; {hint}"

"""Paths, names and texts that have led somewhere else in other software, and those made of their parts."""

from __future__ import annotations

import itertools

_STEPS = (
    *("..", ".", "", "...", "..\\", "..;"),
    *("%2e%2e", "%2e%2e%2f", "..%2f", "..%5c", "..%c0%af", "%252e%252e"),
    *("\u2024\u2024", "\uff0e\uff0e"),
)
_SEPARATORS = ("/", "//", "\\", "/./", "\u2215", "\uff0f", "/\0/")
_ENDS = ("etc/passwd", "etc/shadow", "proc/self/environ", "root/.ssh/id_rsa", "windows\\win.ini", "planted.txt")
_STARTS = (
    *("", "/", "pets/", "pets/../", "./", "~/", "file://", "file:///", "s3://b/"),
    *("C:\\", "\\\\host\\share\\", "pets\0"),
)
_ODD = (
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "\r\n",
    "\t",
    "\x1b[31m",
    "\u202e\u0000",
    "\ufeff",
    "\U0001f600" * 70,
    "ä" * 255,
    "a" * 64,
    "a" * 4097,
    "A" * 100_000,
    "con",
    "nul.txt",
    "-rf",
    "--help",
    "$(id)",
    "`id`",
    "; rm -rf /",
    "' OR 1=1 --",
    "%s%s%n",
    "{0.__class__}",
    "${jndi:ldap://x}",
    "<script>",
    "__proto__",
    "learners/",
    "learners/x",
    "learners/../x",
    "learners/x/checkpoints/../../y",
    "jobs/x",
    "jobs/x/pictures/../../../y",
    "models/m@",
    "models/m@a",
    "models/m/versions/1",
    "models/m/versions/99999999999999999999",
    "models//versions/",
    "datasets/d",
    "datasets/d/versions/1",
    "datasets/d/versions/-1",
    "datasets/.new",
    "uploads/x",
    "interpretations/x",
    "resnet18",
    "squeezenet1_1",
    "timm/../x",
    "accuracy",
    "fp16",
    "0",
    "-1",
    "1e999",
    "nan",
    "true",
    "None",
    "00000000-0000-0000-0000-000000000000",
)
NAMES: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *_ODD,
            *(
                start + separator.join([step] * depth) + separator + end
                for start, step, separator, depth, end in itertools.product(
                    _STARTS, _STEPS, _SEPARATORS, (1, 3, 8), _ENDS[:2]
                )
            ),
            *(start + end for start, end in itertools.product(_STARTS, _ENDS)),
        )
    )
)

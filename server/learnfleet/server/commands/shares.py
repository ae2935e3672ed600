"""Quotas and weights of tenants as they are written on the command line."""

from __future__ import annotations

import re

import typer

_QUOTA = re.compile(r"([^=]+)=(\d{1,9})(?::(\d{1,9}))?")
_WEIGHT = re.compile(r"([^=]+)=(\d{1,6}(?:\.\d{1,6})?)")


def read_quota(value: str) -> tuple[str, int, int]:
    """(tenant, CPU slots, GPU slots) of `vision=8` (no GPUs) or `vision=8:2`. Raises typer.BadParameter."""
    match = _QUOTA.fullmatch(value)
    if match is None:
        raise typer.BadParameter(f"'{value}' must be TENANT=CPU_SLOTS or TENANT=CPU_SLOTS:GPU_SLOTS")
    return match[1], int(match[2]), int(match[3] or 0)


def read_weight(value: str) -> tuple[str, float]:
    """(tenant, weight) of `vision=2.5`. Raises typer.BadParameter."""
    match = _WEIGHT.fullmatch(value)
    if match is None or not float(match[2]):
        raise typer.BadParameter(f"'{value}' must be TENANT=WEIGHT, the weight greater than 0")
    return match[1], float(match[2])

"""How much of the cluster tenants have had lately: what fair shares are measured by, besides what they have now."""

from __future__ import annotations

import math
from collections.abc import Mapping


class Usage:
    """Seconds of the whole cluster that each tenant has had. What lies a half-life back counts half."""

    def __init__(self, half_life_s: float, known: Mapping[str, float] | None = None) -> None:
        """`known`: what a server before this one has counted, decayed until now."""
        self._half_life_s = half_life_s
        self._mean_life_s = half_life_s / math.log(2)
        self._cluster_s = dict(known or {})
        self._unsaved: dict[str, float] = {}

    def advance(self, elapsed_s: float, shares: Mapping[str, float]) -> None:
        """Let time go by in which tenants had these shares of the cluster."""
        kept = 0.5 ** (elapsed_s / self._half_life_s)
        gained_s = self._mean_life_s * (1 - kept)  # of who had all of it
        for tenant in self._cluster_s:
            self._cluster_s[tenant] *= kept
        for tenant in self._unsaved:
            self._unsaved[tenant] *= kept
        for tenant, share in shares.items():
            self._cluster_s[tenant] = self._cluster_s.get(tenant, 0.0) + share * gained_s
            self._unsaved[tenant] = self._unsaved.get(tenant, 0.0) + share * gained_s

    def past_share(self, tenant: str) -> float:
        """The share of the cluster that a tenant has had; of one that always has the same, that share."""
        return self._cluster_s.get(tenant, 0.0) / self._mean_life_s

    def unsaved(self) -> dict[str, float]:
        """What was added since `saved`, to be added to what is stored."""
        return dict(self._unsaved)

    def saved(self) -> None:
        self._unsaved.clear()

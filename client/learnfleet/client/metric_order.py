"""The order of metrics, which their names alone do not have."""

from __future__ import annotations

from collections.abc import Mapping

from learnfleet.client.components import Components, as_components, named
from learnfleet.client.named import entries

_LOSS = "_loss"  # what the name of the loss of a data set ends in


def in_order(found: Mapping[str, float], asked_for: Components) -> dict[str, float]:
    """The loss, then the metrics in the order they were asked for; others follow by name."""
    columns = {entry.registered: entry.column for entry in entries().values() if entry.kind == "metrics"}
    registered = [named(metric)[0] for metric in as_components(asked_for)]
    wanted = [columns.get(name, name) for name in registered]

    def place(name: str) -> tuple[int, int, str]:
        base = name if name in wanted else name.rpartition("_")[0]  # the second of a name is `name_2`
        return (0 if name.endswith(_LOSS) else 1, wanted.index(base) if base in wanted else len(wanted), name)

    return {name: found[name] for name in sorted(found, key=place)}

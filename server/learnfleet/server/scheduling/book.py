"""Which slots are free, on which node: kept up to date as a plan gives them away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.scheduling.situation import Held, Kind, kind_of


class Book:
    """The slots of a cluster, and the worker groups that hold some of them."""

    def __init__(self, capacity: Capacity, held: Sequence[Held]) -> None:
        nodes = capacity.machines
        self._free = {kind: Counter({node.id: kind.of(node) for node in nodes}) for kind in Kind}
        self._total = {kind: sum(kind.of(node) for node in nodes) for kind in Kind}
        self._serving = {kind: sum(kind.serving(node) for node in nodes) for kind in Kind}
        self._largest = {kind: max((kind.of(node) for node in nodes), default=0) for kind in Kind}
        self._groups = {group.learner_id: group for group in held}
        self._places: dict[str, tuple[str, ...]] = {}
        for group in sorted(held, key=lambda group: not group.nodes):  # those of which it is known come first
            self._occupy(group.learner_id, kind_of(group.resources), group.nodes, group.resources.num_workers)
        idle = sorted((group for group in held if group.is_idle), key=lambda group: -group.idle_for_s)
        self._idle = {
            kind: {g.learner_id: len(self._places[g.learner_id]) for g in idle if kind_of(g.resources) is kind}
            for kind in Kind
        }

    def _occupy(self, learner_id: str, kind: Kind, nodes: Sequence[str], workers: int) -> None:
        """What is on nodes that are gone occupies nothing."""
        free = self._free[kind]
        places = (
            tuple(node for node in nodes if node in free) if nodes else self._pack(kind, min(workers, self.free(kind)))
        )
        free.subtract(places)
        self._places[learner_id] = places

    def total(self, kind: Kind) -> int:
        return self._total[kind]

    def serving(self, kind: Kind) -> int:
        """Slots that processes that predict have, beside the total."""
        return self._serving[kind]

    def largest(self, kind: Kind) -> int:
        """Slots of the node that has most of them."""
        return self._largest[kind]

    def free(self, kind: Kind) -> int:
        return sum(number for number in self._free[kind].values() if number > 0)

    def own(self, learner_id: str) -> Held | None:
        """The group that the learner has already."""
        return self._groups.get(learner_id)

    def free_for(self, learner_id: str, kind: Kind) -> int:
        """Slots that are free, or would be without the learner's own group."""
        own = self.own(learner_id)
        return self.free(kind) + (len(self._places[learner_id]) if own and kind_of(own.resources) is kind else 0)

    def idle_for(self, learner_id: str, kind: Kind) -> int:
        """Slots of other learners' workers that have nothing to do."""
        idle = self._idle[kind]
        return sum(idle.values()) - idle.get(learner_id, 0)

    def keep(self, learner_id: str) -> tuple[str, ...]:
        """Put the learner's own workers to work as they are."""
        self._forget_idle(learner_id)
        return self._places[learner_id]

    def take(self, learner_id: str, kind: Kind, workers: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Slots for a learner: the nodes of its workers, and the learners whose idle workers are given up for them.

        There must be enough of them, see `free_for` and `idle_for`.
        """
        given_up = self._idle_to_end(learner_id, kind, workers - self.free_for(learner_id, kind))
        if self.own(learner_id) is not None:
            given_up = [learner_id, *given_up]
        for ended in given_up:
            self._end(ended)
        nodes = self._pack(kind, workers)
        self._free[kind].subtract(nodes)
        self._places[learner_id] = nodes
        return nodes, tuple(given_up)

    def claim_rest(self, kind: Kind) -> tuple[str, ...]:
        """Keep all that is free or idle for a job that needs still more. The learners whose workers are idle."""
        self._free[kind].clear()
        claimed = tuple(learner_id for learner_id, size in self._idle[kind].items() if size)
        self._idle[kind].clear()
        return claimed

    def _idle_to_end(self, learner_id: str, kind: Kind, lacking: int) -> list[str]:
        """Those idle longest, and of these none that is not needed."""
        chosen: dict[str, int] = {}
        for other, size in self._idle[kind].items():
            if lacking <= sum(chosen.values()):
                break
            if other != learner_id and size:
                chosen[other] = size
        for other in reversed(list(chosen)):
            if sum(chosen.values()) - chosen[other] >= lacking:
                del chosen[other]
        return list(chosen)

    def _end(self, learner_id: str) -> None:
        group = self._groups.pop(learner_id)
        self._free[kind_of(group.resources)].update(self._places.pop(learner_id))
        self._forget_idle(learner_id)

    def _forget_idle(self, learner_id: str) -> None:
        for idle in self._idle.values():
            idle.pop(learner_id, None)

    def _pack(self, kind: Kind, workers: int) -> tuple[str, ...]:
        """Nodes for workers that there is room for: the fullest node that has room for all, or else few nodes."""
        free = [(number, node) for node, number in self._free[kind].items() if number > 0]
        whole = min((item for item in free if item[0] >= workers), default=None)
        if whole is not None:
            return (whole[1],) * workers
        nodes: list[str] = []
        for number, node in sorted(free, key=lambda item: (-item[0], item[1])):
            nodes += [node] * min(number, workers - len(nodes))
        return tuple(nodes)

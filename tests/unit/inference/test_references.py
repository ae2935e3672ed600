"""What models are called, and how long that holds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from learnfleet.server.errors import FailedPrecondition, NotFound, Unavailable
from learnfleet.server.inference.references import CHANNELS_LAST_TAG, PRECISION_TAG, SPLIT_TAG, References
from learnfleet.server.names import ModelRef
from learnfleet.server.tracking.registry import Registered

TTL_S = 5.0


@dataclass
class Registry:
    """A registry of one model, and a clock."""

    aliases: dict[str, str] = field(default_factory=lambda: {"champion": "1"})
    tags: dict[str, str] = field(default_factory=dict)
    owner: str | None = "red"
    is_away: bool = False
    asked: int = 0
    now: float = 0.0

    def registered(self, model_id: str) -> Registered:
        self.asked += 1
        if self.is_away:
            raise ConnectionError("nobody there")
        if model_id != "m":
            raise NotFound(f"models/{model_id}")
        return Registered(dict(self.aliases), dict(self.tags), self.owner)

    def resolve(self, ref: ModelRef) -> tuple[Path, str]:
        if ref.version == "9":
            raise NotFound(str(ref))
        return Path("/exports") / str(ref.version), str(ref)


class Untrained:
    def newest(self, learner_id: str) -> tuple[str, Path]:
        raise FailedPrecondition(f"learners/{learner_id}", "has not been trained")


def references(registry: Registry, chance: float = 0.5) -> References:
    return References(
        registry,  # type: ignore[arg-type]
        Untrained(),  # type: ignore[arg-type]
        ttl_s=TTL_S,
        clock=lambda: registry.now,
        chance=lambda: chance,
    )


def version(found: References, reference: str = "models/m@champion") -> str:
    return asyncio.run(found.choose(reference)).main.name


def test_an_alias_is_looked_up_again_after_its_time() -> None:
    registry = Registry()
    found = references(registry)
    assert version(found) == "models/m/versions/1"
    registry.aliases["champion"] = "2"
    registry.now = TTL_S - 0.1
    assert version(found) == "models/m/versions/1"
    assert registry.asked == 1
    registry.now = TTL_S
    assert version(found) == "models/m/versions/2"


def test_an_alias_in_use_is_renewed_before_its_time_is_over_and_nobody_waits_for_it() -> None:
    registry = Registry()
    found = references(registry)

    async def check() -> None:
        async def name() -> str:
            return (await found.choose("models/m@champion")).main.name

        assert await name() == "models/m/versions/1"
        registry.aliases["champion"] = "2"
        registry.now = 0.9 * TTL_S
        assert [await name() for _ in range(3)] == ["models/m/versions/1"] * 3  # at once, while the registry is asked
        while await name() != "models/m/versions/2":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert registry.asked == 2
        registry.now = 1.2 * TTL_S  # it holds from when it was renewed
        assert await name() == "models/m/versions/2"
        assert registry.asked == 2

    asyncio.run(asyncio.wait_for(check(), 30))


def test_what_this_server_exports_is_known_at_once_and_is_not_asked_for_again() -> None:
    registry = Registry()
    found = references(registry)
    assert version(found) == "models/m/versions/1"
    registry.aliases |= {"champion": "2", "new": "2"}
    found.changed("m", [ModelRef("m", alias="new"), ModelRef("m", "2")])
    asked = registry.asked
    for reference in ("models/m@champion", "models/m@new", "models/m/versions/2"):
        assert version(found, reference) == "models/m/versions/2"
    assert registry.asked == asked


def test_an_alias_that_was_removed_is_not_found_at_once() -> None:
    registry = Registry()
    found = references(registry)
    version(found)
    del registry.aliases["champion"]
    found.changed("m")
    with pytest.raises(NotFound):
        version(found)


def test_a_change_while_the_registry_is_away_leaves_nothing_that_no_longer_holds() -> None:
    registry = Registry()
    found = references(registry)
    version(found)
    registry.aliases["champion"], registry.is_away = "2", True
    found.changed("m")
    with pytest.raises(Unavailable):
        version(found)
    registry.is_away = False
    assert version(found) == "models/m/versions/2"


def test_a_registry_that_is_away_costs_no_answers_of_what_is_known() -> None:
    registry = Registry()
    found = references(registry)
    assert version(found) == "models/m/versions/1"
    registry.is_away, registry.now = True, TTL_S
    assert version(found) == "models/m/versions/1"
    with pytest.raises(Unavailable, match="nobody there"):
        version(found, "models/m@other")


def test_an_alias_or_version_that_is_gone_is_not_found() -> None:
    registry = Registry()
    found = references(registry)
    version(found)
    del registry.aliases["champion"]
    registry.now = TTL_S
    for reference in ("models/m@champion", "models/m/versions/9", "models/n@champion"):
        with pytest.raises(NotFound):
            version(found, reference)
    with pytest.raises(FailedPrecondition):
        version(found, "learners/l")


def owner(found: References, reference: str = "models/m@champion") -> str | None:
    return asyncio.run(found.owner(reference))


def test_whose_a_model_is_costs_no_call_of_the_registry_beyond_that_for_its_version() -> None:
    registry = Registry()
    found = references(registry)
    assert owner(found) == "red"
    assert version(found) == "models/m/versions/1"
    assert registry.asked == 1
    registry.owner, registry.now = "blue", TTL_S
    assert owner(found) == "blue"


def test_a_model_has_an_owner_also_where_the_alias_or_version_is_missing() -> None:
    found = references(Registry())
    assert (owner(found, "models/m@other"), owner(found, "models/m/versions/9")) == ("red", "red")
    with pytest.raises(NotFound, match="models/n does not exist"):
        owner(found, "models/n@champion")


def test_while_the_registry_is_away_an_unknown_model_has_no_owner() -> None:
    registry = Registry()
    found = references(registry)
    assert owner(found) == "red"
    registry.is_away, registry.now = True, TTL_S
    assert owner(found) == "red"
    with pytest.raises(Unavailable, match="nobody there"):
        owner(found, "models/m@other")


def test_a_split_gives_its_share_of_the_calls_to_another_alias() -> None:
    registry = Registry({"champion": "1", "canary": "2"}, {f"{SPLIT_TAG}champion": "canary=10"})
    for chance, expected in ((0.05, "models/m/versions/2"), (0.1, "models/m/versions/1"), (0.9, "models/m/versions/1")):
        found = references(registry, chance)
        assert found.pick(asyncio.run(found.choose("models/m@champion"))).name == expected
    assert asyncio.run(references(registry).choose("models/m@canary")).canary is None


@pytest.mark.parametrize("said", ["canary", "canary=200", "nobody=10", "canary=ten", "gone=10"])
def test_a_split_that_is_wrong_costs_the_model_no_answers(said: str, caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry({"champion": "1", "canary": "2", "gone": "9"}, {f"{SPLIT_TAG}champion": said})
    choice = asyncio.run(references(registry).choose("models/m@champion"))
    assert (choice.main.name, choice.canary) == ("models/m/versions/1", None)
    assert "the split" in caplog.text


def test_tags_of_a_model_say_how_it_is_computed() -> None:
    registry = Registry(tags={PRECISION_TAG: "bf16", CHANNELS_LAST_TAG: "true"})
    target = asyncio.run(references(registry).choose("models/m/versions/1")).main
    assert (target.precision, target.channels_last) == ("bf16", True)
    registry.tags = {PRECISION_TAG: "half", CHANNELS_LAST_TAG: "yes"}
    target = asyncio.run(references(registry).choose("models/m/versions/1")).main
    assert (target.precision, target.channels_last) == (None, None)

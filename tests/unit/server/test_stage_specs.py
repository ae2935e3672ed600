"""Stages of the client's own making are those that the trainer makes."""

from __future__ import annotations

from learnfleet.client.stage_specs import fine_tune_stages as remote_stages
from learnfleet.server.rpc.read_component import Names
from learnfleet.server.rpc.read_stage import read_stages
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.spec import Component, fine_tune_stages

NAMES = Names(frozenset(), {}, {}, {"terminate_on_nan": ()}, {}, {})


def test_fine_tuning_over_the_service_has_the_trainers_stages_with_any_arguments() -> None:
    given = (3, 1e-2, 2, 50.0, 0.4, 4.0, 0.3)
    found = Violations()
    for stages, expected in (
        (remote_stages(2), fine_tune_stages(2)),
        (remote_stages(*given, ["terminate_on_nan"]), fine_tune_stages(*given, [Component("terminate_on_nan")])),
    ):
        assert read_stages([stage.to_proto() for stage in stages], found, NAMES) == expected
    found.raise_if_any()

"""Which waiting jobs start, which running ones make room, and what the others are told."""

from __future__ import annotations

from collections.abc import Sequence

from support.situations import a_job, at_work, group_of, situation

from learnfleet.server.domain import JobKind, JobState
from learnfleet.server.scheduling.plan import plan
from learnfleet.server.scheduling.situation import Hold, Kind, Rules, Situation, Tenant, Verdict


def by_job(asked: Situation) -> dict[str, Verdict]:
    return {verdict.job.id: verdict for verdict in plan(asked)}


def started(asked: Situation) -> list[str]:
    """In the order in which they start."""
    return [verdict.job.id for verdict in plan(asked) if verdict.starts]


def reasons(asked: Situation) -> dict[str, str]:
    return {verdict.job.id: verdict.waits_for for verdict in plan(asked) if verdict.waits_for}


def holds(asked: Situation) -> dict[str, Hold]:
    return {verdict.job.id: verdict.hold for verdict in plan(asked) if verdict.hold is not None}


def test_why_a_job_is_held_is_said_in_one_word_too() -> None:
    waiting = [
        a_job("too large", 9),
        a_job("over quota", tenant="vision"),
        a_job("too few", 4),
        a_job("behind it"),
        a_job("same learner", learner="busy"),
    ]
    tenants = {"vision": Tenant(quotas={Kind.CPU: 1})}
    running = [at_work(a_job("busy", 1)), at_work(a_job("visions", 1, tenant="vision"))]
    asked = situation(waiting, running, cpus=4, tenants=tenants)
    assert holds(asked) == {
        "too large": Hold.TOO_LARGE,
        "over quota": Hold.QUOTA,
        "too few": Hold.SLOTS,
        "behind it": Hold.LINE,
        "same learner": Hold.LEARNER,
    }
    assert set(reasons(asked)) == set(holds(asked))


# -- room, and the lack of it


def test_jobs_start_while_there_is_room_and_the_rest_say_what_they_wait_for() -> None:
    asked = situation([a_job("a", 2), a_job("b", 2), a_job("c"), a_job("d")])
    assert started(asked) == ["a", "b"]
    assert reasons(asked) == {"c": "needs 1 CPU slots, 0 of 4 are free", "d": "waits behind jobs/c (priority 0)"}


def test_a_small_job_does_not_overtake_a_large_one_that_waits() -> None:
    asked = situation([a_job("large", 3), a_job("small")], [at_work(a_job("busy", 2))])
    assert reasons(asked) == {
        "large": "needs 3 CPU slots, 2 of 4 are free",
        "small": "waits behind jobs/large (priority 0)",
    }


def test_a_job_that_waits_holds_back_only_those_that_need_what_it_lacks() -> None:
    waiting = [a_job("gpu", 2, gpus=1), a_job("cpu", 2), a_job("gpu too", gpus=1)]
    asked = situation(waiting, [at_work(a_job("busy", gpus=1))], cpus=8, gpus=2)
    assert started(asked) == ["cpu"]
    assert reasons(asked) == {
        "gpu": "needs 2 GPU slots, 1 of 2 are free",
        "gpu too": "waits behind jobs/gpu (priority 0)",
    }


def test_a_job_larger_than_the_cluster_says_so_and_holds_back_only_those_on_its_learner() -> None:
    asked = situation([a_job("large", 5), a_job("after it", learner="large"), a_job("small", 4)])
    assert started(asked) == ["small"]
    assert reasons(asked) == {
        "large": "needs 5 CPU slots, the cluster has 4",
        "after it": "waits for jobs/large, same learner",
    }


def test_of_several_nodes_the_largest_is_named() -> None:
    asked = situation([a_job("large", 4, gpus=1)], gpus={"a": 2, "b": 1}, cpus={"a": 4})
    assert reasons(asked) == {"large": "needs 4 GPU slots, the cluster has 3 (its largest node 2)"}


def test_one_job_at_a_time_works_on_a_learner_in_the_order_in_which_they_were_queued() -> None:
    asked = situation(
        [a_job("b", learner="x"), a_job("c", learner="y"), a_job("d", priority=9, learner="y")],
        [at_work(a_job("a", learner="x"))],
    )
    assert started(asked) == ["c"]
    assert reasons(asked) == {"b": "waits for jobs/a, same learner", "d": "waits for jobs/c, same learner"}


def test_an_export_needs_no_slot() -> None:
    assert started(situation([a_job("a", kind=JobKind.EXPORT)], [at_work(a_job("busy", 4))])) == ["a"]


def test_workers_are_packed_on_the_fullest_node_that_has_room_for_all() -> None:
    asked = situation([a_job("a", 2)], cpus={"empty": 4, "half": 2, "full": 1})
    assert by_job(asked)["a"].nodes == ("half", "half")


def test_workers_that_fit_on_no_node_are_spread_over_few() -> None:
    asked = situation([a_job("a", 5)], cpus={"small": 1, "large": 3, "middle": 2})
    assert by_job(asked)["a"].nodes == ("large", "large", "large", "middle", "middle")


def test_workers_on_a_node_that_is_gone_hold_no_slots() -> None:
    lost = group_of(a_job("lost", 4), ["gone"] * 4, idle_for_s=1)
    verdict = by_job(situation([a_job("a", 4)], idle=[lost], cpus={"here": 4}))["a"]
    assert (verdict.nodes, verdict.gives_up) == (("here",) * 4, ())


# -- warm workers


def test_warm_workers_of_the_right_size_are_used_again_and_none_are_given_up() -> None:
    warm = [group_of(a_job(name, 2), idle_for_s=1) for name in ("x", "y")]
    verdict = by_job(situation([a_job("a", 2, learner="x")], idle=warm))["a"]
    assert (verdict.starts, verdict.gives_up) == (True, ())


def test_workers_that_were_idle_longest_are_given_up_first_and_none_too_many() -> None:
    warm = [group_of(a_job(name, size), idle_for_s=age) for name, size, age in (("x", 1, 9), ("y", 2, 5), ("z", 1, 1))]
    assert by_job(situation([a_job("a", 1)], idle=warm))["a"].gives_up == ("x",)
    assert by_job(situation([a_job("a", 2)], idle=warm))["a"].gives_up == ("y",)
    assert by_job(situation([a_job("a", 3)], idle=warm))["a"].gives_up == ("x", "y")


def test_a_learners_workers_of_another_size_are_replaced() -> None:
    verdict = by_job(situation([a_job("a", 3, learner="x")], idle=[group_of(a_job("x", 2), idle_for_s=1)]))["a"]
    assert (len(verdict.nodes), verdict.gives_up) == (3, ("x",))


# -- who is first


def test_the_greater_priority_starts_first() -> None:
    assert started(situation([a_job("a"), a_job("b", priority=5), a_job("c", priority=-1)])) == ["b", "a", "c"]


def test_what_was_interrupted_goes_on_before_others_of_its_priority() -> None:
    waiting = [a_job("a"), a_job("b", state=JobState.RESTARTING), a_job("c", priority=1)]
    assert started(situation(waiting)) == ["c", "b", "a"]


def test_who_has_less_of_the_cluster_starts_first() -> None:
    waiting = [a_job(f"a{n}", tenant="a") for n in range(3)] + [a_job(f"b{n}", tenant="b") for n in range(3)]
    assert started(situation(waiting)) == ["a0", "b0", "a1", "b1"]
    busy = [at_work(a_job("busy", 2, tenant="a"))]
    assert started(situation(waiting, busy)) == ["b0", "b1"]


def test_shares_count_by_the_tenants_weights() -> None:
    waiting = [a_job(f"{tenant}{n}", tenant=tenant) for n in range(8) for tenant in "ab"]
    asked = situation(waiting, cpus=8, tenants={"a": Tenant(weight=3.0)})
    assert sorted(name[0] for name in started(asked)) == ["a"] * 6 + ["b"] * 2


def test_a_tenant_that_has_had_much_lately_comes_later() -> None:
    waiting = [a_job("a", 4, tenant="a"), a_job("b", 4, tenant="b")]
    assert started(situation(waiting, tenants={"a": Tenant(past_share=0.3), "b": Tenant(past_share=0.1)})) == ["b"]


def test_gpus_and_cpus_are_weighed_by_how_many_there_are() -> None:
    busy = [at_work(a_job("one gpu of two", gpus=1, tenant="a")), at_work(a_job("two cpus of eight", 2, tenant="b"))]
    waiting = [a_job("a", 6, tenant="a"), a_job("b", 6, tenant="b")]
    assert started(situation(waiting, busy, cpus=8, gpus=2)) == ["b"]


def test_a_priority_that_was_starved_has_one_job_started() -> None:
    waiting = [a_job("low"), a_job("low too"), a_job("high", priority=2), a_job("high too", priority=2)]
    asked = situation(waiting, cpus=2, waited_s=700, since_start_s={2: 1.0}, rules=Rules(aging_s=300))
    assert started(asked) == ["low", "high"]
    assert by_job(asked)["low"].standing > 2


# -- quotas


QUOTA = {"vision": Tenant(quotas={Kind.CPU: 2})}


def test_a_tenant_at_its_quota_waits_and_holds_back_nobody_else() -> None:
    waiting = [a_job("a", tenant="vision"), a_job("b", tenant="other")]
    asked = situation(waiting, [at_work(a_job("busy", 2, tenant="vision"))], tenants=QUOTA)
    assert started(asked) == ["b"]
    assert reasons(asked) == {"a": "tenant vision is at its quota of 2 CPU slots"}


def test_a_job_beyond_its_tenants_quota_says_so() -> None:
    asked = situation([a_job("a", 3, tenant="vision")], tenants=QUOTA)
    assert reasons(asked) == {"a": "needs 3 CPU slots, the quota of tenant vision is 2"}


def test_within_a_quota_too_small_jobs_do_not_overtake_a_large_one() -> None:
    waiting = [a_job("large", 2, tenant="vision"), a_job("small", tenant="vision"), a_job("other")]
    asked = situation(waiting, [at_work(a_job("busy", tenant="vision"))], tenants=QUOTA)
    assert started(asked) == ["other"]
    assert reasons(asked) == {
        "large": "needs 2 CPU slots, 1 of the 2 of tenant vision's quota are left",
        "small": "waits behind jobs/large (priority 0)",
    }


def test_warm_workers_do_not_count_against_a_quota() -> None:
    asked = situation([a_job("a", 2, tenant="vision")], idle=[group_of(a_job("x", 2), idle_for_s=1)], tenants=QUOTA)
    assert started(asked) == ["a"]


# -- preemption


def test_a_job_of_greater_priority_has_the_place_of_a_running_one() -> None:
    asked = situation([a_job("high", 2, 1)], [at_work(a_job("low", 4))])
    verdict = by_job(asked)["high"]
    assert (verdict.starts, verdict.preempts) == (False, ("low",))
    assert verdict.waits_for == "waits for jobs/low to save their state and make room"


def test_jobs_of_the_same_priority_are_never_preempted() -> None:
    assert not by_job(situation([a_job("a", 4, 3)], [at_work(a_job("b", 4, 3))]))["a"].preempts


def test_few_victims_of_low_priority_that_were_started_late_are_chosen() -> None:
    def preempted(workers: int, running: Sequence[tuple[str, int, int, float]]) -> set[str]:
        at = [at_work(a_job(name, size, priority), ran) for name, size, priority, ran in running]
        return set(
            by_job(situation([a_job("high", workers, 9)], at, cpus=sum(item[1] for item in running)))["high"].preempts
        )

    four = [("a", 1, 0, 50.0), ("b", 1, 0, 40.0), ("c", 2, 5, 60.0), ("d", 1, -1, 99.0)]
    assert preempted(1, four) == {"d"}
    assert preempted(2, four) == {"c"}
    assert preempted(3, four) == {"c", "d"}
    assert preempted(1, four[:3]) == {"b"}
    assert preempted(5, four) == {"a", "b", "c", "d"}


def test_nobody_is_preempted_where_it_would_not_help() -> None:
    running = [at_work(a_job("low", 2)), at_work(a_job("same", 2, 5))]
    verdict = by_job(situation([a_job("high", 3, 5)], running))["high"]
    assert (verdict.preempts, verdict.waits_for) == ((), "needs 3 CPU slots, 0 of 4 are free")


def test_what_has_just_begun_is_not_preempted() -> None:
    asked = situation([a_job("high", 1, 5)], [at_work(a_job("low", 4), ran_for_s=29)], rules=Rules(min_run_s=30))
    assert not by_job(asked)["high"].preempts


def test_preemption_can_be_switched_off() -> None:
    asked = situation([a_job("high", 1, 5)], [at_work(a_job("low", 4))], rules=Rules(preemption=False))
    assert not by_job(asked)["high"].preempts


def test_idle_workers_and_what_stops_already_are_enough_before_others_are_stopped() -> None:
    running = [at_work(a_job("low", 1)), at_work(a_job("leaving", 1), stopping=True)]
    idle = [group_of(a_job("warm", 2), idle_for_s=1)]
    verdict = by_job(situation([a_job("high", 3, 5)], running, idle))["high"]
    assert (verdict.preempts, verdict.gives_up) == ((), ("warm",))
    assert verdict.waits_for == "waits for jobs/leaving to save their state and make room"
    assert by_job(situation([a_job("high", 4, 5)], running, idle))["high"].preempts == ("low",)


def test_two_jobs_do_not_count_on_the_same_victim() -> None:
    waiting = [a_job("high", 2, 5), a_job("high too", 2, 5)]
    preempts = [v.preempts for v in plan(situation(waiting, [at_work(a_job("a", 2)), at_work(a_job("b", 2))]))]
    assert sorted(preempts) == [("a",), ("b",)]


def test_a_job_does_not_preempt_for_one_that_waits_before_it() -> None:
    waiting = [a_job("starved", 4, 0), a_job("high", 1, 5)]
    running = [at_work(a_job("same", 2, 0)), at_work(a_job("low", 2, -5))]
    asked = situation(waiting, running, waited_s=3000, since_start_s={5: 0.0})
    assert [verdict.preempts for verdict in plan(asked)] == [(), ()]


def test_what_was_started_for_having_waited_long_is_not_preempted_by_what_it_has_overtaken() -> None:
    running = [at_work(a_job("starved", 4), standing=6.0)]
    assert not by_job(situation([a_job("high", 1, 5)], running))["high"].preempts
    assert by_job(situation([a_job("higher", 1, 7)], running))["higher"].preempts == ("starved",)


def test_at_its_quota_a_tenant_gives_up_its_own_lesser_jobs_only() -> None:
    waiting = [a_job("high", 1, 5, tenant="vision")]
    running = [at_work(a_job("own", 2, tenant="vision")), at_work(a_job("other", 1, -5))]
    assert by_job(situation(waiting, running, tenants=QUOTA))["high"].preempts == ("own",)


# -- elastic jobs


def test_an_elastic_job_takes_what_there_is() -> None:
    asked = situation([a_job("a", 3, least=1, most=4)], [at_work(a_job("busy", 2))])
    assert len(by_job(asked)["a"].nodes) == 2


def test_an_elastic_job_takes_more_than_it_would_like_only_where_nobody_waits() -> None:
    elastic = a_job("a", 2, least=1, most=4)
    assert len(by_job(situation([elastic]))["a"].nodes) == 4
    assert len(by_job(situation([elastic, a_job("b", 2)]))["a"].nodes) == 2


def test_an_elastic_job_waits_for_its_least() -> None:
    asked = situation([a_job("a", 3, least=2)], [at_work(a_job("busy", 3))])
    assert reasons(asked) == {"a": "needs at least 2 CPU slots, 1 of 4 are free"}


def test_an_elastic_job_keeps_within_its_quota_and_preempts_only_for_its_least() -> None:
    elastic = a_job("a", 4, 5, least=1, tenant="vision")
    assert len(by_job(situation([elastic], tenants=QUOTA))["a"].nodes) == 2
    running = [at_work(a_job("b", 1)), at_work(a_job("c", 3))]
    assert len(by_job(situation([elastic], running))["a"].preempts) == 1


def test_those_far_behind_are_told_the_same_whoever_is_before_them() -> None:
    asked = situation([a_job(f"j{n}", 4) for n in range(9)], rules=Rules(exact_places=3))
    assert [why for why in reasons(asked).values() if "behind" not in why] == [
        "needs 4 CPU slots, 0 of 4 are free",
        *["waits in line, more than 3 jobs are before it"] * 4,
    ]

"""docs/learner.md lists every feature of the learner with its tests."""

from __future__ import annotations

from support.checklist import PAGE, features, of_each_feature, with_links

_FEATURES = [f"F{number:03d}" for number in range(1, 124)]


def test_the_page_lists_every_feature_once_and_in_order() -> None:
    assert features(PAGE.read_text()) == _FEATURES


def test_every_feature_has_a_test_of_its_name() -> None:
    tests = of_each_feature()
    assert [feature for feature in _FEATURES if not tests[feature]] == []


def test_the_page_links_the_tests_there_are() -> None:
    page = PAGE.read_text()
    assert page == with_links(page), "run `python -m support.checklist` in tests/"

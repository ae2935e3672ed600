"""Likely label errors among planted ones."""

from __future__ import annotations

import torch

from learnfleet.trainer.measures.label_issues import find_label_issues

FLIPPED = {3, 17, 40, 71}


def crowds(n: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    """(labels of which four are wrong, embeddings in three crowds)."""
    true = torch.arange(n) % 3
    rows = torch.randn(n, 8, generator=torch.Generator().manual_seed(0)) * 0.4
    rows[torch.arange(n), true] += 2
    labels = true.clone()
    for row in FLIPPED:
        labels[row] = (labels[row] + 1) % 3
    return labels, rows


def test_flipped_labels_are_found_by_classifiers_that_have_not_seen_them() -> None:
    labels, rows = crowds()
    found = find_label_issues(labels, rows, None, trained_on=False)
    rows_found = {issue.row for issue in found.issues}
    assert rows_found <= FLIPPED
    assert len(rows_found) >= 3
    for issue in found.issues:
        assert issue.given == int(labels[issue.row])
        assert issue.suggested == issue.row % 3
        assert 0 <= issue.score < 0.5
    assert [issue.score for issue in found.issues] == sorted(issue.score for issue in found.issues)
    assert found.caveat == ""


def test_a_body_that_was_trained_on_them_is_told_of() -> None:
    labels, rows = crowds()
    assert "body below it was trained" in find_label_issues(labels, rows, None, trained_on=True).caveat


def test_without_embeddings_the_models_own_probabilities_do_and_the_caveat_says_so() -> None:
    labels, rows = crowds()
    own = (rows[:, :3] * 3).softmax(1)
    for trained_on, told in ((False, "own probabilities"), (True, "too sure")):
        found = find_label_issues(labels, None, own, trained_on=trained_on)
        assert {issue.row for issue in found.issues} == FLIPPED
        assert told in found.caveat


def test_the_only_item_of_a_class_is_not_judged_and_one_class_alone_cannot_be() -> None:
    labels, rows = crowds()
    labels[0] = 7
    found = find_label_issues(labels, rows, None, trained_on=False)
    rows_found = {issue.row for issue in found.issues}
    assert rows_found <= FLIPPED
    assert len(rows_found) >= 3
    assert found.caveat.startswith("1 items are the only ones of their class")
    alone = find_label_issues(torch.zeros(9, dtype=torch.int64), rows[:9], None, trained_on=False)
    assert alone.issues == ()
    assert "nothing to compare" in alone.caveat

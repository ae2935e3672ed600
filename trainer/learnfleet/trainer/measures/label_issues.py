"""Items whose label is likely wrong, by cleanlab.

Source: Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", 2021,
arXiv:1911.00068.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

FOLDS = 5
_LEAST_OF_A_CLASS = 2
_STEPS = 200
_STRENGTH = 0.1  # of the fit against keeping weights small: embeddings have more numbers than there are items

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelIssue:
    """An item whose label is likely wrong."""

    row: int
    given: int  # the class that it has
    suggested: int  # the one that suits it best
    score: float  # probability of the given class, in [0, 1]: the less, the likelier it is wrong


@dataclass(frozen=True)
class LabelIssues:
    """What was found, likeliest first, and how far it may be trusted."""

    issues: tuple[LabelIssue, ...]
    caveat: str = ""


def find_label_issues(
    actual: Tensor, embeddings: Tensor | None, probabilities: Tensor | None, *, trained_on: bool, folds: int = FOLDS
) -> LabelIssues:
    """Likely label errors among items of one class each.

    An item must not be judged by a model that has learnt its label. With `embeddings` each fold is judged by a linear
    classifier on the embeddings of the others; without, the model's own `probabilities` have to do.

    Args:
        actual: class indices [N].
        embeddings: [N, D] of the body.
        probabilities: [N, C].
        trained_on: whether the model was trained on these items.
    """
    labels: Rows = actual.numpy().astype(np.int64)
    known, caveats = _of_classes_large_enough(labels), []
    if len(known) < len(labels):
        caveats.append(f"{len(labels) - len(known)} items are the only ones of their class, and were not judged.")
    classes, compact = np.unique(labels[known], return_inverse=True)
    if len(classes) < 2:
        return LabelIssues((), "Fewer than two classes have two items or more: there is nothing to compare.")
    if embeddings is not None:
        judged = _out_of_fold(embeddings[known].numpy(), compact, folds)
        if trained_on:
            caveats.append(
                "Each fold was judged by a classifier that did not see its labels, but the body below it was trained on"
                " them (unless it was frozen), so errors that it has learnt by heart are missed."
            )
    elif probabilities is not None:
        judged = _own(probabilities[known].double().numpy(), classes)
        caveats.append(
            "Judged by the model that was trained on these labels: it is too sure of them, and errors are missed."
            if trained_on
            else "Judged by the model's own probabilities."
        )
    else:
        return LabelIssues((), "The model gives neither embeddings nor probabilities.")
    found = _ranked(compact, judged)
    return LabelIssues(
        tuple(
            LabelIssue(
                int(known[place]),
                int(labels[known[place]]),
                int(classes[judged[place].argmax()]),
                float(judged[place, compact[place]]),
            )
            for place in found
        ),
        " ".join(caveats),
    )


def _of_classes_large_enough(labels: Rows) -> Rows:
    counts = np.bincount(labels)
    known: Rows = np.flatnonzero(counts[labels] >= _LEAST_OF_A_CLASS)
    return known


def _out_of_fold(embeddings: npt.NDArray[np.float32], labels: Rows, folds: int) -> npt.NDArray[np.float64]:
    """Probabilities [N, C] of each item by a classifier that was fitted without its fold."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    splits = StratifiedKFold(min(folds, int(np.bincount(labels).min())), shuffle=True, random_state=0)
    # Few steps do: what is wanted is which labels surprise, not the last digit of how much.
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=_STEPS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found: npt.NDArray[np.float64] = cross_val_predict(judge, embeddings, labels, cv=splits, method="predict_proba")
    return found


def _own(probabilities: npt.NDArray[np.float64], classes: Rows) -> npt.NDArray[np.float64]:
    """Those of the classes that occur, adding up to 1."""
    both = np.concatenate((1 - probabilities, probabilities), axis=1) if probabilities.shape[1] == 1 else probabilities
    kept = both[:, classes]
    found: npt.NDArray[np.float64] = kept / np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return found


def _ranked(labels: Rows, judged: npt.NDArray[np.float64]) -> list[int]:
    from cleanlab.filter import find_label_issues as ask

    found = ask(labels, judged, return_indices_ranked_by="self_confidence", n_jobs=1)
    # Of what cleanlab would prune, only what another class suits better can be called wrong.
    return [int(place) for place in found if judged[place].argmax() != labels[place]]

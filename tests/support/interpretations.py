"""What an interpretation job leaves in its folder, made without one: every part, and names that want to be code."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

HOSTILE = "<script>window.owned=1</script>"
QUOTES = '"><img src=x onerror="window.owned=2">'
_SIDE = 96


def _picture(folder: Path, name: str, seed: int) -> str:
    image = Image.new("RGB", (_SIDE, _SIDE), (60 + seed * 37 % 160, 60 + seed * 53 % 160, 60 + seed * 71 % 160))
    ImageDraw.Draw(image).ellipse((20, 20 + seed % 20, 70, 70), fill=(seed * 91 % 255, 200, seed * 17 % 255))
    image.save(folder / name)
    return name


def _heat_map(folder: Path, name: str) -> str:
    heat = Image.new("RGBA", (_SIDE, _SIDE), (0, 0, 0, 0))
    ImageDraw.Draw(heat).ellipse((30, 30, 80, 80), fill=(255, 90, 0, 140))
    heat.save(folder / name)
    return name


def an_interpretation(
    folder: Path, classes: tuple[str, ...] = ("ant", "bee", HOSTILE), items: int = 24
) -> dict[str, Any]:
    """As `run_interpret` gives it, of one class a picture, with its pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    n = len(classes)
    matrix = [[0] * n for _ in range(n)]
    for actual in range(n):
        for _ in range(60):
            matrix[actual][actual if rng.random() < 0.8 else rng.randrange(n)] += 1
    confused = sorted(
        ((matrix[a][p], classes[a], classes[p]) for a in range(n) for p in range(n) if a != p and matrix[a][p]),
        reverse=True,
    )
    worst = [_worst(folder, classes, rng, index, items) for index in range(items)]
    return {
        "kind": "category",
        "dataset": "valid",
        "learner": "learners/insects",
        "model": "models/insects/versions/3",
        "checkpoint": "",
        "classes": list(classes),
        "examples": 60 * n,
        "skipped_images": 1,
        "accuracy": sum(matrix[c][c] for c in range(n)) / (60 * n),
        "loss": 0.4321,
        "confusion_matrix": matrix,
        "label_confusion": [],
        "most_confused": [{"actual": a, "predicted": p, "count": count} for count, a, p in confused],
        "class_report": [_report(matrix, classes, c) for c in range(n)],
        "top_losses": worst,
        "misclassified_count": 0,
        "misclassified": [],
        "intersection": [],
        "pictures": [],
        **_measures(classes),
        **_suspects(folder, classes),
    }


def _worst(folder: Path, classes: tuple[str, ...], rng: random.Random, index: int, items: int) -> dict[str, Any]:
    actual = classes[index % len(classes)]
    predicted = actual if index >= items * 2 // 3 else classes[(index + 1) % len(classes)]
    probability = rng.uniform(0.01, 0.4) if actual != predicted else rng.uniform(0.5, 0.8)
    return {
        "index": 7 * index,
        "path": f"valid/{index:03}-{QUOTES if index == 3 else 'photo'}.jpg",
        "predicted": predicted,
        "actual": actual,
        "loss": 4.0 - 3.8 * index / items,
        "probability": probability,
        "picture": _picture(folder, f"item_{index}.png", index),
        "heat_map": _heat_map(folder, f"heat_{index}.png"),
    }


def _report(matrix: list[list[int]], classes: tuple[str, ...], c: int) -> dict[str, Any]:
    right, actual, given = matrix[c][c], sum(matrix[c]), sum(row[c] for row in matrix)
    return {
        "class": classes[c],
        "precision": right / given if given else None,
        "recall": right / actual,
        "f1": 2 * right / (actual + given),
        "iou": right / (actual + given - right),
        "support": actual,
    }


def _measures(classes: tuple[str, ...]) -> dict[str, Any]:
    bins = [
        {
            "lower": place / 10,
            "upper": (place + 1) / 10,
            "confidence": place / 10 + 0.05 if place > 3 else None,
            "accuracy": max(0.0, place / 10 - 0.06) if place > 3 else None,
            "count": place * place * 3 if place > 3 else 0,
        }
        for place in range(10)
    ]
    steps = [place / 20 for place in range(21)]
    return {
        "calibration": {
            "ece": 0.081,
            "mce": 0.11,
            "brier": 0.213,
            "temperature": 1.42,
            "ece_at_temperature": 0.031,
            "bins": bins,
        },
        "curves": [
            {
                "class": name,
                "auroc": 0.97 - place * 0.02,
                "average_precision": 0.95 - place * 0.03,
                "false_positive_rates": steps,
                "true_positive_rates": [x ** (0.08 + place * 0.04) for x in steps],
                "recalls": steps,
                "precisions": [1 - x**6 * (0.5 - place * 0.02) for x in steps],
            }
            for place, name in enumerate(classes)
        ],
        "slices": [
            {
                "column": "camera",
                "slices": [
                    {
                        "value": value,
                        "examples": count,
                        "accuracy": share,
                        "accuracy_low": share - 0.08,
                        "accuracy_high": min(1.0, share + 0.06),
                        "loss": 1 - share,
                    }
                    for value, count, share in (("phone", 61, 0.72), ("studio", 83, 0.94), (HOSTILE, 36, 0.81))
                ],
            }
        ],
        "comparison": {
            "baseline": "models/insects/versions/2",
            "candidate": "models/insects/versions/3",
            "both_right": 131,
            "fixed": 14,
            "broken": 5,
            "both_wrong": 30,
            "p_value": 0.0636,
            "baseline_accuracy": 0.7556,
            "candidate_accuracy": 0.8056,
            "baseline_loss": 0.52,
            "candidate_loss": 0.4321,
            "fixed_items": [],
            "broken_items": [],
        },
    }


def _suspects(folder: Path, classes: tuple[str, ...]) -> dict[str, Any]:
    def item(index: int) -> dict[str, Any]:
        name = _picture(folder, f"item_{index}.png", index)
        return {
            "index": index,
            "path": f"valid/{index:03}.jpg",
            "label": classes[index % len(classes)],
            "picture": name,
        }

    issues = [
        {
            "index": index,
            "path": f"valid/{index:03}.jpg",
            "given": classes[0],
            "suggested": classes[1],
            "score": 0.05 * index,
            "picture": _picture(folder, f"item_{index}.png", index),
        }
        for index in range(1, 5)
    ]
    return {
        "label_issues": issues,
        "label_issues_caveat": "The model has seen these labels.",
        "duplicates": [{"items": [item(5), item(6)], "similarity": 0.998}],
        "outliers": [{"item": item(index), "score": 0.9 - index / 50} for index in range(8, 14)],
    }

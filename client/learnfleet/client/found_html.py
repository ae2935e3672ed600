"""What an interpretation found, as a notebook shows it."""

from __future__ import annotations

from learnfleet.client import cards
from learnfleet.client.found import Found

_ROWS_SHOWN = 9


def as_html(found: Found) -> str:
    """Facts, the most confused pairs and the greatest losses."""
    areas = [curve.auroc for curve in found.curves if curve.auroc is not None]
    compared = found.comparison
    facts = {
        "learner": found.learner,
        "model": found.model,
        "items": found.examples,
        "accuracy": f"{found.accuracy:.4f}" if found.kind != "float" else None,
        "loss": f"{found.loss:.4f}",
        "calibration error": f"{found.calibration.ece:.4f}" if found.calibration else None,
        "AUROC": f"{sum(areas) / len(areas):.4f}" if areas else None,
        "likely label errors": len(found.label_issues) or None,
        "against": f"{compared.baseline}: {compared.fixed} fixed, {compared.broken} broken" if compared else None,
        "left out": found.skipped_images or None,
    }
    confused = cards.table(
        ("actual", "predicted", "count"), [(p.actual, p.predicted, p.count) for p in found.most_confused[:_ROWS_SHOWN]]
    )
    worst = [
        (item.path, item.predicted, item.actual, f"{item.loss:.3f}", f"{item.probability:.3f}")
        for item in found.top_losses[:_ROWS_SHOWN]
    ]
    listed = cards.table(("picture", "predicted", "actual", "loss", "probability"), worst)
    return cards.card(found.name, facts) + (confused if found.most_confused else "") + listed

"""The losses of all items of an interpretation as a table, for whoever looks further than the worst of them."""

from __future__ import annotations

import csv
from pathlib import Path

from learnfleet.trainer import dataset_items
from learnfleet.trainer.interpret import Interpretation

LOSSES_FILE = "losses.csv"
_COLUMNS = ("index", "path", "predicted", "actual", "loss", "probability")


def write_losses(found: Interpretation, folder: Path) -> None:
    """`losses.csv`: a row for each item, greatest loss first. Numbers as Python writes them, so that nothing is lost;
    an empty probability where the model gives none.
    """
    with (folder / LOSSES_FILE).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for row in found.top_rows(None, largest=True)[1].tolist():
            item = found.describe(row)
            path = dataset_items.file_of(found.learn.data, found.ds_type, item.index)
            probability = "" if item.probability is None else repr(item.probability)
            table.writerow((item.index, path, item.predicted, item.actual, repr(item.loss), probability))

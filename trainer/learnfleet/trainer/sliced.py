"""Slices of an interpretation by columns of metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from learnfleet.trainer import dataset_items
from learnfleet.trainer.data_spec import DataSpec, TableSpec
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import plain_type
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
from learnfleet.trainer.measures.slices import MetadataFile, Outcomes, SliceScores, read_metadata, slice_scores

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


@dataclass(frozen=True)
class SlicesOfColumn:
    """How the model fares by the values of one column, the worst first."""

    column: str
    slices: tuple[SliceScores, ...]


def values_of(
    learner: Learner, ds_type: DatasetType, columns: Sequence[str], metadata: Path | str
) -> dict[str, list[str]]:
    """Of each column the value of every item of the dataset. Raises LearnerError, see `read_metadata`."""
    if not columns:
        return {}
    ds_type, root = plain_type(ds_type), Path(learner.data.path)
    count = len(getattr(learner.data.dl(ds_type), "dataset", ()))
    names = [dataset_items.file_of(learner.data, ds_type, index) for index in range(count)]
    if not count or not names[0]:
        raise LearnerError("slice_columns", "these data are no picture files, which metadata could name")
    if metadata:
        return read_metadata(MetadataFile(_inside(root, metadata)), columns, names)
    spec = getattr(learner.data, "spec", None)
    table = spec.table if isinstance(spec, DataSpec) and spec.source == "table" else None
    if table is None:
        raise LearnerError("metadata", "is missing: name a CSV file inside the data's folder that has these columns")
    file = MetadataFile(_inside(root, table.file), table.fn_col, table.delimiter)
    return read_metadata(file, columns, [_as_in_table(name, table) for name in names])


def _inside(root: Path, name: Path | str) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise LearnerError("metadata", f"{name} is not inside the data's folder")
    return path


def _as_in_table(name: str, table: TableSpec) -> str:
    """As the table names a picture: without the folder of all and the ending that is added."""
    path = Path(name)
    inside = str(path.relative_to(table.folder)) if table.folder and path.is_relative_to(table.folder) else name
    return inside.removesuffix(table.suffix)


def right_of(found: Interpretation) -> Tensor | None:
    """Whether each item is right, bool [N]: of several labels, all of them. None where that is no question."""
    if isinstance(found, MultiLabelClassificationInterpretation):
        return ((found.pred_class > 0.5) == (found.y_true > 0.5)).all(dim=1)
    if isinstance(found, ClassificationInterpretation):
        return found.pred_class == found.y_true
    return None


def slices_of(found: Interpretation, columns: Mapping[str, Sequence[str]]) -> Iterator[SlicesOfColumn]:
    """One for each column; its values are of all items of the dataset."""
    is_class = isinstance(found, ClassificationInterpretation) and found.y_true.ndim == 1
    outcomes = Outcomes(found.losses, right_of(found))
    if is_class and isinstance(found, ClassificationInterpretation):
        outcomes = Outcomes(
            found.losses, right_of(found), found.y_true.long(), found.pred_class.long(), len(found.classes)
        )
    for column, values in columns.items():
        seen = [values[index] for index in found.indices.tolist()]
        yield SlicesOfColumn(column, tuple(slice_scores(seen, outcomes)))

"""An export as an MLflow model: pyfunc, and the onnx flavour where the export has it.

MLflow is told the name of a module that loads it (learnfleet.trainer.mlflow_loader): nothing is pickled, and no model
is loaded here.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from learnfleet.server.tracking.mlflow_client import import_mlflow
from learnfleet.trainer.export import EXAMPLE_FILE, installed_version, link
from learnfleet.trainer.export_signature import INPUT_COLUMN, SIGNATURE_FILE
from learnfleet.trainer.model_card import CARD_FILE, ModelCard, read_card

LOADER = "learnfleet.trainer.mlflow_loader"
DATA = "export"  # the export's folder below `data` of the MLflow model
_REQUIREMENTS = ["learnfleet[trainer]"]


def write_mlflow_model(export: Path, target: Path) -> None:
    """Make the folder `target`, which must not be there. Files of the export are linked."""
    import_mlflow()
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        data = Path(scratch) / DATA
        shutil.copytree(export, data, copy_function=_link)
        mlflow.pyfunc.save_model(
            str(target),
            loader_module=LOADER,
            data_path=str(data),
            mlflow_model=_described(export),
            signature=_signature(export),
            input_example=_example(export),
            pip_requirements=_REQUIREMENTS,
            metadata={"learnfleet_version": installed_version()},
        )


def _link(source: str, target: str) -> None:
    link(Path(source), Path(target))


def _described(export: Path) -> Any:
    from mlflow.models import Model

    model = Model()
    card = card_of(export)
    if card is not None and card.onnx is not None and card.onnx.file:
        where = f"data/{DATA}/{card.onnx.file}"
        model.add_flavor("onnx", data=where, onnx_version=card.onnx.opset, providers=["CPUExecutionProvider"])
    return model


def card_of(export: Path) -> ModelCard | None:
    """None for an export of format 1, which has none."""
    return read_card(export) if (export / CARD_FILE).exists() else None


def _signature(export: Path) -> Any:
    from mlflow.models import ModelSignature

    file = export / SIGNATURE_FILE
    if not file.exists():
        return None
    parts: dict[str, list[Any]] = json.loads(file.read_bytes())
    return ModelSignature.from_dict({name: json.dumps(part) for name, part in parts.items()})


def _example(export: Path) -> Any:
    import pandas

    file = export / EXAMPLE_FILE
    return pandas.DataFrame({INPUT_COLUMN: [file.read_bytes()]}) if file.exists() else None

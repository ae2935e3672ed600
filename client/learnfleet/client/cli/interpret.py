"""`learnfleet interpret`, `explain` and `compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from learnfleet.client.asked_of_models import METHODS, PARTS
from learnfleet.client.cli.access import connect
from learnfleet.client.cli.exits import reported
from learnfleet.client.cli.output import AsJson, Server, emit, table, to_json
from learnfleet.client.found import Found
from learnfleet.client.interpretation import Interpretation

_ROWS = 12
_DASH = "–"

Model = Annotated[str, typer.Argument(help="learners/..., models/.../versions/..., or models/...@alias.")]
Out = Annotated[Path | None, typer.Option(help="Folder for report.html, the plots, and the numbers as JSON.")]
Data = Annotated[
    str | None, typer.Option(help="datasets/... or a folder of the server, instead of what it was trained with.")
]


def interpret(
    model: Model,
    out: Out = None,
    data: Data = None,
    top_losses: Annotated[int, typer.Option(help="Pictures with the greatest loss to list.")] = 9,
    least_losses: Annotated[int, typer.Option(help="Pictures with the least loss to draw.")] = 0,
    min_confused: Annotated[int, typer.Option(help="Least count of a confused pair.")] = 1,
    part: Annotated[
        list[str] | None, typer.Option(help=f"Find out only this: {', '.join(PARTS)}. May be repeated.")
    ] = None,
    slice_by: Annotated[list[str] | None, typer.Option(help="Tell accuracy apart by this column.")] = None,
    metadata: Annotated[str, typer.Option(help="CSV file with these columns, in the data's folder.")] = "",
    void_class: Annotated[str, typer.Option(help="Of masks: the class that does not count.")] = "",
    tta: Annotated[bool, typer.Option(help="Predict by test-time augmentation.")] = False,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Find what a model gets wrong."""
    with reported(), connect(server) as client:
        found = client.interpret(
            model,
            data,
            tta=tta,
            top_losses=top_losses,
            min_confused=min_confused,
            parts=part or (),
            slice_columns=slice_by or (),
            metadata=metadata,
            void_class=void_class,
            least_losses=least_losses,
        )
        _show(found, out, as_json)


def compare(
    baseline: Annotated[str, typer.Argument(help="What is in use: models/... or learners/...")],
    candidate: Annotated[str, typer.Argument(help="What may take its place.")],
    out: Out = None,
    data: Data = None,
    examples: Annotated[int, typer.Option(help="How many fixed and broken pictures to list.")] = 24,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Say which of two models is better on the same data: what got fixed, what broke."""
    with reported(), connect(server) as client:
        _show(client.compare(baseline, candidate, data, examples=examples), out, as_json)


def explain(
    model: Model,
    file: Annotated[Path, typer.Argument(help="A picture file on this machine.")],
    method: Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")] = METHODS[0],
    class_name: Annotated[str, typer.Option("--class", help="Whose score. Default: the predicted class.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where the picture with the map goes. Default: beside it.")] = None,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Say where in a picture a prediction comes from."""
    with reported(), connect(server) as client:
        found = client.explain(model, file, method, class_name)
        path = found.save(out or Path(f"{file.stem}-{method}.png"))
        if as_json:
            emit(
                {"file": str(file), "overlay": str(path), "explanation": {**to_json(found), "map": found.map.tolist()}}
            )
            return
        table(
            ("file", "predicted", "explained", "probability", "method", "overlay"),
            [(file, found.predicted, found.class_name, f"{found.probability:.4f}", found.method, path)],
        )


def _show(interpretation: Interpretation, out: Path | None, as_json: bool) -> None:
    found = interpretation.found
    if out is not None:
        _save(interpretation, out)
    if as_json:
        emit(found)
        return
    typer.echo(f"{found.examples} pictures, accuracy {found.accuracy:.4f}, loss {found.loss:.4f}")
    _show_measures(found)
    _show_items(found)
    if out is not None:
        typer.echo(f"report, plots and numbers are in {out}")


def _save(interpretation: Interpretation, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "interpretation.json").write_text(json.dumps(to_json(interpretation.found), indent=1))
    for picture in interpretation.pictures:
        picture.save(out / f"{picture.name}.png")
    if "report.html" in interpretation.files:
        interpretation.report(out / "report.html")


def _show_measures(found: Found) -> None:
    compared = found.comparison
    if compared is not None:
        p = _number(compared.p_value)
        counts = (compared.fixed, compared.broken, compared.both_right, compared.both_wrong)
        table(("baseline", "fixed", "broken", "both right", "both wrong", "p"), [(compared.baseline, *counts, p)])
    calibration = found.calibration
    if calibration is not None:
        values = (calibration.ece, calibration.mce, calibration.brier, calibration.temperature)
        table(("ECE", "MCE", "Brier", "temperature"), [tuple(map(_number, values))])
    areas = {curve.class_name: (curve.auroc, curve.average_precision) for curve in found.curves}
    rows = [
        (
            row.class_name,
            *map(_number, (row.precision, row.recall, row.f1, row.iou, *areas.get(row.class_name, (None, None)))),
            row.support,
        )
        for row in found.class_report
    ]
    if rows:
        table(("class", "precision", "recall", "F1", "IoU", "AUROC", "AP", "support"), rows)
    if found.slices:
        slices = (
            (one.column, one.value, one.examples, _number(one.accuracy), _number(one.loss)) for one in found.slices
        )
        table(("column", "value", "items", "accuracy", "loss"), slices)


def _show_items(found: Found) -> None:
    table(("actual", "predicted", "count"), ((p.actual, p.predicted, p.count) for p in found.most_confused[:_ROWS]))
    table(
        ("picture", "predicted", "actual", "loss", "probability"),
        ((t.path, t.predicted, t.actual, f"{t.loss:.4f}", f"{t.probability:.4f}") for t in found.top_losses),
    )
    if found.label_issues:
        issues = ((each.path, each.given, each.suggested, f"{each.score:.4f}") for each in found.label_issues[:_ROWS])
        table(("likely mislabelled", "label", "better", "quality"), issues)
    if found.duplicates:
        groups = (
            (", ".join(item.path for item in group.items), f"{group.similarity:.4f}")
            for group in found.duplicates[:_ROWS]
        )
        table(("duplicates", "similarity"), groups)
    if found.outliers:
        table(("outlier", "distance"), ((each.item.path, f"{each.score:.4f}") for each in found.outliers[:_ROWS]))


def _number(value: float | None) -> str:
    return _DASH if value is None else f"{value:.4f}"

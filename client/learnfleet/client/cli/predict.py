"""`learnfleet predict`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from learnfleet.client.asking import Answer, pictures_in
from learnfleet.client.cli.access import connect
from learnfleet.client.cli.exits import USAGE, reported, say
from learnfleet.client.cli.output import AsJson, Server, emit, table
from learnfleet.client.errors import PictureError
from learnfleet.client.values import Prediction


def predict(
    model: Annotated[str, typer.Argument(help="learners/..., models/.../versions/..., or models/...@alias.")],
    files: Annotated[list[Path], typer.Argument(help="Picture files on this machine, or folders of them.")],
    top_k: Annotated[int, typer.Option(help="How many classes to list.")] = 3,
    thresh: Annotated[
        float | None, typer.Option(help="Of several labels, those at least so probable. Default: the loss's own.")
    ] = None,
    tta: Annotated[bool, typer.Option(help="Average over zoomed and mirrored variants.")] = False,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Predict pictures, any number of them. Those that cannot be predicted are told of at the end (exit code 2)."""
    with reported(), connect(server) as client:
        wanted = _pictures(files)
        found: dict[Path, Answer] = {}
        with _progress(len(wanted), shown=not as_json) as advance:
            for item, answer in client.predict_stream(model, wanted, top_k, thresh, tta):
                path = Path(str(item))
                found[path] = answer
                advance()
                if as_json:
                    emit(_as_json(path, answer))
        if not as_json:
            good = {path: found[path] for path in wanted if isinstance(found[path], Prediction)}
            table(("file", "prediction", "probability", "then"), [_row(path, answer) for path, answer in good.items()])
    failed = [(path, answer) for path, answer in found.items() if isinstance(answer, PictureError)]
    for path, error in failed:
        say(f"error: {path}: {error}")
    if failed:
        raise typer.Exit(USAGE)


def _pictures(files: Sequence[Path]) -> list[Path]:
    """What was named, each once, with the pictures of folders. Raises ValueError for none."""
    found = [path for given in files for path in (pictures_in(given) if given.is_dir() else [given])]
    if not found:
        raise ValueError(f"there are no pictures in {', '.join(map(str, files))}")
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A bar on stderr for many pictures, where somebody looks."""
    if not shown or total == 1 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def _as_json(path: Path, answer: Answer) -> dict[str, object]:
    if isinstance(answer, PictureError):
        return {"file": str(path), "error": str(answer)}
    return {"file": str(path), "prediction": answer}


def _row(path: Path, answer: Answer) -> tuple[object, ...]:
    assert isinstance(answer, Prediction)
    if answer.kind != "category":
        return path, answer.item, "", ""
    others = ", ".join(f"{name} {probability:.4f}" for name, probability in answer.top[1:])
    return path, answer.class_name, f"{answer.probability:.4f}", others

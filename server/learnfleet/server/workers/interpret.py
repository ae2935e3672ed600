"""An INTERPRET job in a worker: what the trainer finds, its report, and the files of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnfleet.server.domain import Json
from learnfleet.server.workers.run import INTERPRETATION_FILE

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner
    from learnfleet.trainer.run_context import RunContext

_REPORT = "report"  # the part that is made of all others


def interpret(learner: Learner, context: RunContext, folder: Path, options: dict[str, Any]) -> Json:
    """Find out what is asked for; rank 0 writes interpretation.json, pictures and report.html to `folder`.

    Args:
        options: of `run_interpret`, and `about`: names that the report shows.
    """
    from learnfleet.trainer.report import write_report
    from learnfleet.trainer.run_evaluate import dataset_type
    from learnfleet.trainer.run_interpret import run_interpret

    folder.mkdir(parents=True, exist_ok=True)
    asked = {name: value for name, value in options.items() if value or name in ("top_losses", "tta")}
    if not asked.get("baseline"):
        asked.pop("examples", None)  # of a comparison alone
    about, ds_type = asked.pop("about", {}), dataset_type(asked.pop("dataset"))
    found = {**run_interpret(learner, context, output_dir=folder, ds_type=ds_type, **asked), **about}
    if found.get("comparison"):
        found["comparison"] |= {"baseline": asked["baseline"]["name"], "candidate": _name(about)}
    if learner.world.is_main:
        if _REPORT in asked.get("parts", (_REPORT,)):
            write_report(found, folder)
        # Last, and in one step: where it is, all that it names is there.
        temporary = folder / f".{INTERPRETATION_FILE}.{context.attempt}"
        temporary.write_text(json.dumps(found))
        temporary.replace(folder / INTERPRETATION_FILE)
    metrics = {"valid_loss": found["loss"], **({} if found["kind"] == "float" else {"accuracy": found["accuracy"]})}
    return {"metrics": metrics, "skipped_images": found["skipped_images"]}


def _name(about: dict[str, str]) -> str:
    """What was examined, as exactly as it is known."""
    return about.get("model") or about.get("checkpoint") or about.get("learner", "")

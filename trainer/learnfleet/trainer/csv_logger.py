"""The epoch table as a file (fastai v1 `CSVLogger`)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.manifest import replace_synced
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    import pandas as pd

    from learnfleet.trainer.learner import Learner


class CSVLogger(LearnerCallback):
    """Writes a line an epoch to `<learner's path>/<filename>.csv`, on rank 0, and has it on disk at the epoch's end.

    Args:
        append: go on with a file that is there (its headings are not repeated); otherwise a new fit begins it anew. In
            a job a note beside the file, `.<filename>.csv.begun`, keeps where each stage began to append, so that a
            stage that is killed before its first checkpoint writes no line twice.
    """

    order: ClassVar[int] = 5  # after the recorder has made the row

    def __init__(self, learn: Learner, filename: str = "history", append: bool = False) -> None:
        super().__init__(learn)
        self.filename, self.append = filename, append

    @property
    def path(self) -> Path:
        """The file. It goes with the learner, whose path may change."""
        return self.learn.path / f"{self.filename}.csv"

    def on_train_begin(self, state: TrainState) -> None:
        if not state.learner.world.is_main:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = _kept(self.path, state.job_stage) if self.append else []
        self._write([*kept, *([] if kept else [",".join(state.learner.recorder.names)])])

    def on_epoch_end(self, state: TrainState) -> None:
        recorder = state.learner.recorder
        if state.learner.world.is_main and recorder.rows:
            with self.path.open("a") as file:
                file.write(recorder.format_row(recorder.rows[-1]) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def _write(self, lines: list[str]) -> None:
        replace_synced(self.path, "".join(line + "\n" for line in lines).encode())

    def read_logged_file(self) -> pd.DataFrame:
        """What is in the file."""
        import pandas as pd

        return pd.read_csv(self.path)

    def state_dict(self) -> dict[str, Any]:
        # Asked on rank 0, whose file it is. The lines themselves: a restarted fit begins the file anew.
        return {"lines": _lines(self.path)}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """A resumed fit goes on behind the epochs it had when it was saved; later ones will be written again."""
        if self.learn.world.is_main:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write(values["lines"])


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _kept(path: Path, job_stage: tuple[str, int] | None) -> list[str]:
    """What was in the file when this stage of a job first began; outside of jobs, what is there now."""
    lines = _lines(path)
    if job_stage is None:
        return lines
    (job, index), note = job_stage, path.with_name(f".{path.name}.begun")
    counts = _begun(note, job)
    if str(index) not in counts:  # stages that come before may yet begin again: their counts stay
        counts[str(index)] = len(lines)
        replace_synced(note, json.dumps({"job": job, "lines": counts}).encode())
    return lines[: counts[str(index)]]


def _begun(note: Path, job: str) -> dict[str, int]:
    """Lines that each stage of this job has found, by its index."""
    content: dict[str, Any] = json.loads(note.read_bytes()) if note.exists() else {}
    return content["lines"] if content.get("job") == job else {}

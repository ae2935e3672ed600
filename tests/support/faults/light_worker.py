"""A worker without Ray and torch (`python -m support.faults.light_worker <socket>`), which outlives its server.

What it trains is a chain of SHA-256, a link a batch: work that is lost, doubled or in another order has another end.
Its events, journals, checkpoints and fencing are those of the real workers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from learnfleet.server.workers.protocol import RunRequest, TrainRun, WorkerBusy, WorkerStatus
from learnfleet.server.workers.run import Run
from learnfleet.trainer import manifest

KEY = b"light"  # of sockets that only this user can open
BATCHES, BATCH_S = 4, 0.01
MEASURED = ("train_loss", "valid_loss")
SEES = {"size": [32, 32], "resize_method": "squish", "mean": [0.0] * 3, "std": [1.0] * 3}  # what an export says of it
_LOOK_S = 0.5


class LightWorker:
    """As workers.train_worker.TrainWorker, of one rank."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._lock = threading.Lock()

    def ping(self) -> int:
        return os.getpid()

    def start(self, request: RunRequest) -> None:
        with self._lock:
            if self._run is not None and self._run.is_of(request):
                return
            if self._run is not None and not self._run.ended:
                raise WorkerBusy(f"job {self._run.request.job_id} runs here")
            self._run = Run(request, 0)
            threading.Thread(target=_execute, args=(self._run,), daemon=True).start()

    def poll(self, job_id: str, acknowledged: int) -> WorkerStatus:
        run = self._run
        if run is None or run.request.job_id != job_id:
            raise WorkerBusy(f"job {job_id} was not started here")
        return run.status(acknowledged)

    def stop(self, job_id: str) -> None:
        if self._run is not None and self._run.request.job_id == job_id:
            self._run.stop_requested.set()


def _execute(run: Run) -> None:
    with run.reporting():
        if isinstance(run.request.work, TrainRun):
            run.done(_train(run, run.request.work))
        else:
            run.done({"stopped": False, "metrics": {"valid_loss": 0.5}, "skipped_images": 0})


def _train(run: Run, work: TrainRun) -> dict[str, Any]:
    request, root = run.request, Path(run.request.checkpoint_root)
    root.mkdir(parents=True, exist_ok=True)
    manifest.check_attempt(root, request.job_id, request.attempt)
    state = _first_state(request)
    epochs = sum(int(stage.get("epochs", 0)) for stage in work.stages)
    run.emit("stage/0", "stage", {"index": 0, "description": "links of a chain", "epochs": epochs})
    found: manifest.CheckpointInfo | None = None
    while state["job_epochs"] < epochs:
        if not _epoch(run, state):
            return {"stopped": True, "checkpoint": None, "metrics": {}, "exact": True}
        state["job_epochs"] += 1
        state["lifetime_epoch"] += 1
        _tell_epoch(run, state, epochs)  # before, as the real ones do: whoever goes on from it tells no more of it
        found = _save(run, state)
    found = found or _save(run, state)
    return {"stopped": False, "checkpoint": found.to_json(), "metrics": {"valid_loss": 0.5}, "exact": True}


def _first_state(request: RunRequest) -> dict[str, Any]:
    if request.resume_path is not None:
        return dict(json.loads((Path(request.resume_path) / manifest.STATE_FILE).read_text()))
    fresh = {"chain": "", "lifetime_epoch": 0, "global_step": 0, "classes": ["0", "1"], "frozen_to": 0}
    begun = json.loads((Path(request.start.path) / manifest.STATE_FILE).read_text()) if request.start else fresh
    return {**begun, "job_epochs": 0, "eval_transform": SEES, "job": {"metrics": {"valid_loss": 0.5}}}


def _epoch(run: Run, state: dict[str, Any]) -> bool:
    """False where it was asked to stop: what was begun is begun anew by whoever goes on."""
    chain, step = state["chain"], state["global_step"]
    for batch in range(BATCHES):
        if run.is_stop_requested():
            return False
        time.sleep(BATCH_S)
        chain = hashlib.sha256(f"{chain} {state['lifetime_epoch']} {batch}".encode()).hexdigest()
    state["chain"], state["global_step"] = chain, step + BATCHES
    return True


def _save(run: Run, state: dict[str, Any]) -> manifest.CheckpointInfo:
    request, root = run.request, Path(run.request.checkpoint_root)
    manifest.check_attempt(root, request.job_id, request.attempt)
    name = manifest.CheckpointName(request.job_id, state["global_step"], request.attempt)
    temporary = manifest.temporary_for(root / str(name))
    (temporary / manifest.MODEL_FILE).write_text(state["chain"])
    (temporary / manifest.OPTIMIZER_FILE).write_text(f"moments of {state['chain']}")
    (temporary / manifest.STATE_FILE).write_text(json.dumps(state))
    marks = {"step": state["global_step"], "epoch": state["lifetime_epoch"]}
    manifest.write_manifest(temporary, job_id=request.job_id, attempt=request.attempt, **marks)
    manifest.publish(temporary, root / str(name))
    for old in manifest.list_checkpoints(root, request.job_id)[2:]:
        shutil.rmtree(old, ignore_errors=True)
    return manifest.verify(root / str(name))


def _tell_epoch(run: Run, state: dict[str, Any], epochs: int) -> None:
    step, epoch = state["global_step"], state["job_epochs"] - 1
    place = {"stage": 0, "epoch": epoch, "epochs": epochs, "step": step}
    pace = {"batch": BATCHES, "batches": BATCHES, "lr": 0.001, "mom": 0.9, "samples_per_s": 1.0, "eta_s": None}
    run.emit(f"batch/{step}", "batch", {**place, **pace, "loss": 0.5})
    losses = {"train_loss": 0.5, "valid_loss": 0.5, "metrics": {}, "time_s": BATCHES * BATCH_S}
    table = {"names": ["epoch", *MEASURED], "values": [epoch, 0.5, 0.5], "lifetime_epoch": state["lifetime_epoch"] - 1}
    run.emit(f"epoch/{state['lifetime_epoch'] - 1}", "epoch", {**place, **losses, **table})


def _answer(worker: LightWorker, connection: Connection) -> None:
    with contextlib.suppress(EOFError, OSError), connection:
        while True:
            method, arguments = connection.recv()
            try:
                connection.send((True, getattr(worker, method)(*arguments)))
            except Exception as error:
                connection.send((False, error))


def _accept(worker: LightWorker, listener: Listener) -> None:
    while True:
        connection = listener.accept()
        threading.Thread(target=_answer, args=(worker, connection), daemon=True).start()


def _main(path: Path) -> None:
    """Until the folder of the sockets is gone."""
    worker = LightWorker()
    listener = Listener(str(path), authkey=KEY)
    path.with_suffix(".pid").write_text(str(os.getpid()))
    threading.Thread(target=_accept, args=(worker, listener), daemon=True).start()
    while path.parent.exists():
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))

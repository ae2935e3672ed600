"""Exported models, and a server that answers for them without a cluster."""

from __future__ import annotations

from pathlib import Path

from support.exported_learners import learner_of

from learnfleet.trainer.predictor import Predictor, load_predictor

MODEL, MASKS = "models/pets/versions/3", "models/masks/versions/1"
ALIASES = {"models/pets@champion": MODEL, "models/pets@newest": MODEL}


def exported_models(pictures: Path, folder: Path) -> dict[str, Predictor]:
    """Untrained: what they say is arbitrary, and all that counts is that the answers are theirs."""
    made = {}
    for name, kind in ((MODEL, "category"), (MASKS, "mask")):
        learn = learner_of(kind, pictures, folder / kind)
        learn.export(f"{kind}-export")
        made[name] = load_predictor(folder / kind / f"{kind}-export")
    return made

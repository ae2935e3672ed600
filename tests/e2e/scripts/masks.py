"""A class for every pixel, as in fastai's course. It runs with the client's import line, too, as notebook.py does."""

import json
import os
from functools import partial
from pathlib import Path

from learnfleet.trainer import *

path = Path(os.environ["LEARNFLEET_PICTURES"])
codes = ["ground", "square", "void"]
told = {}

# Data
pictures = SegmentationItemList.from_folder(path / "images").split_by_rand_pct(0.25, seed=42)
labelled = pictures.label_from_func(lambda picture: path / "labels" / f"{picture.stem}_P.png", classes=codes)
data = labelled.transform(get_transforms(max_rotate=5.0), size=32, tfm_y=True).databunch(bs=6)
data.normalize(imagenet_stats)
told["data"] = [data.classes, data.c, len(data.train_ds), len(data.valid_ds)]
data.show_batch(rows=2, figsize=(4, 4))

# A U-Net
learn = unet_learner(
    data,
    models.resnet18,
    pretrained=False,
    metrics=[partial(foreground_acc, void_code=2)],
    loss_func=CrossEntropyFlat(axis=1, ignore_index=2),
    seed=42,
)
found = learn.lr_find(num_it=12)
told["lr_find"] = [found.valley, found["steep"], found.minimum]
learn.fit_one_cycle(2, 3e-3)
told["fit"] = [learn.recorder.names, learn.recorder.losses, learn.recorder.val_losses, learn.recorder.metrics]

# Saved, changed, and back
learn.save("stage-1")
told["validate"] = learn.validate()
learn.freeze()
learn.fit(1, slice(1e-4, 1e-3))
told["after another epoch"] = learn.validate()
learn.load("stage-1")
told["back"] = learn.validate()

# Predictions
preds, targets, losses = learn.get_preds(with_loss=True)
told["get_preds"] = [list(preds.shape), preds.tolist(), list(targets.shape), targets.tolist(), losses.tolist()]
learn.show_results(rows=2)

Path(os.environ["LEARNFLEET_TOLD"]).write_text(json.dumps(told))

"""A fastai notebook as a script. It runs with `from learnfleet.client import *` as its import line, too."""

import json
import os
from functools import partial
from pathlib import Path

from learnfleet.trainer import *

path = Path(os.environ["LEARNFLEET_PICTURES"])
told = {}

# Data
tfms = get_transforms(do_flip=False, max_rotate=5.0, xtra_tfms=[cutout(n_holes=(1, 2), length=(2, 5), p=0.3)])
data = ImageDataBunch.from_folder(path, ds_tfms=tfms, size=24, bs=32, seed=42)
told["data"] = [data.classes, data.c, len(data.train_ds), len(data.valid_ds)]
data.normalize()  # by the pictures' own mean and standard deviation
data.show_batch(rows=2, figsize=(4, 4))

# A learner
metrics = [accuracy, error_rate, partial(top_k_accuracy, k=3), FBeta(beta=1, average="macro")]
loss_func = LabelSmoothingCrossEntropy()
learn = cnn_learner(data, models.resnet18, pretrained=False, metrics=metrics, loss_func=loss_func, seed=42)
learn.freeze()
told["summary"] = learn.summary()

# A learning rate
found = learn.lr_find(num_it=30)
told["lr_find"] = [found.valley, found["steep"], found.minimum]
lr_min, lr_steep = learn.lr_find(num_it=30, suggest_funcs=(minimum, steep))
told["suggest_funcs"] = [lr_min, lr_steep]
learn.recorder.plot(suggestion=True, skip_start=5)
told["min_grad_lr"] = learn.recorder.min_grad_lr

# The head, then everything
learn.fit_one_cycle(2, 1e-2, callbacks=[SaveModelCallback(learn, monitor="accuracy", name="best")])
told["frozen"] = [learn.recorder.names, learn.recorder.val_losses, learn.recorder.metrics]
learn.unfreeze()
mixing = [MixUpCallback(learn, alpha=0.2), EarlyStoppingCallback(learn, patience=3)]
learn.fit_one_cycle(2, slice(1e-4, 1e-2), callbacks=mixing)
told["unfrozen"] = [learn.recorder.val_losses, learn.recorder.metrics, learn.recorder.losses[-1]]
learn.recorder.plot_losses()
told["validate"] = learn.validate()
told["validate on the training pictures"] = learn.validate(learn.dl(DatasetType.Fix), metrics=[accuracy])

# Saved, changed, and back
learn.save("stage-1")
learn.fit(1, 1e-3, callbacks=OneCycleScheduler(learn, lr_max=1e-3))
told["after another epoch"] = learn.validate()
learn.load("stage-1")
told["back"] = learn.validate()
learn.save("weights", with_opt=False)
learn.load("weights")
told["from weights alone"] = learn.validate()

# Predictions
preds, targets, losses = learn.get_preds(with_loss=True)
told["get_preds"] = [list(preds.shape), preds.tolist(), targets.tolist(), losses.tolist()]
averaged = learn.TTA()[0]
told["TTA"] = averaged.tolist()
plain, mean, _ = learn.TTA(beta=None)
told["TTA apart"] = [plain.tolist(), mean.tolist()]
told["tta"] = learn.tta(n=2, use_max=True)[0].tolist()
told["raw outputs"] = learn.get_preds(activ="none")[0].tolist()
told["pred_batch"] = learn.pred_batch(DatasetType.Fix).tolist()
picture = sorted((path / "held_out" / "3").iterdir())[0]
category, index, probabilities = learn.predict(picture)
told["predict"] = [str(category), int(index), [float(value) for value in probabilities]]
told["open_image"] = str(learn.predict(open_image(picture))[0])
told["predict_with_mc_dropout"] = len(learn.predict_with_mc_dropout(picture, n_times=3))
explained = learn.explain(picture, method="integrated_gradients", class_name="3")
told["explain"] = [explained.class_name, explained.predicted, explained.probability, explained.map.tolist()]
learn.show_results(rows=2)

# What it gets wrong
interpretation = ClassificationInterpretation.from_learner(learn)
worst = interpretation.top_losses(5)
told["interpret"] = [
    interpretation.most_confused(min_val=1),
    interpretation.confusion_matrix().tolist(),
    [worst.values.tolist(), worst.indices.tolist()],
    [part.tolist() for part in interpretation.top_losses()],
    interpretation.top_losses(3, largest=False).indices.tolist(),
    interpretation.accuracy,
    interpretation.mean_loss,
]
interpretation.plot_top_losses(4, figsize=(5, 5))
interpretation.plot_top_losses(2, largest=False)
interpretation.plot_confusion_matrix(figsize=(5, 5))
interpretation.plot_confusion_matrix(normalize=True, title="Digits", cmap="Greens", figsize=(5, 5), dpi=60)

# To use it elsewhere
learn.export("both-ways", onnx=False)
told["load_learner"] = str(load_learner(learn.path, "both-ways").predict(picture)[0])

Path(os.environ["LEARNFLEET_TOLD"]).write_text(json.dumps(told))

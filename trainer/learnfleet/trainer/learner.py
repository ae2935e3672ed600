"""The Learner: data, model, loss, metrics and optimiser, and what is done with them (fastai v1's names)."""

from __future__ import annotations

from learnfleet.trainer.learner_core import LearnerData as LearnerData
from learnfleet.trainer.learner_inference import LearnerInference
from learnfleet.trainer.learner_looking import LearnerLooking
from learnfleet.trainer.learner_options import LearnerOptions
from learnfleet.trainer.learner_persistence import LearnerPersistence
from learnfleet.trainer.learner_training import LearnerTraining


class Learner(LearnerOptions, LearnerTraining, LearnerInference, LearnerLooking, LearnerPersistence):
    """Trains, examines and uses a model.

    Args:
        data: loaders and what is known of their items; `ImageDataBunch`, or a `DataBunch` of any loaders.
        model: any module; moved to the data's device.
        opt_func: from which the optimiser is made: its name, or a torch class as in `partial(optim.SGD, momentum=0.9)`.
        loss_func: called with (output, target). Default: the data's own, else cross entropy.
        metrics: names, functions of (output, target) or metric objects; one or several.
        true_wd: decay weights apart from the gradient (as AdamW does); False adds wd * weight to the gradient.
        bn_wd: also decay BatchNorm layers and biases.
        wd: weight decay, one value or one a layer group.
        train_bn: BatchNorm layers of frozen groups stay trainable.
        path: where `model_dir`, exports and logs are written. Default: the data's path.
        callback_fns: make a callback of the learner, anew for every fit.
        callbacks: take part in every fit.
        layer_groups: parts that are frozen together and have a learning rate of their own. Default: one.
        add_time: the epoch table has a column of times.
        silent: print no table.
        seed: of every random choice in training.

    Attributes beside the arguments:
        opt: the optimiser; None until the first fit.
        recorder: of the last fit.
        frozen_to: layer groups [0, frozen_to) are frozen.
        global_step, lifetime_epoch: optimiser steps and epochs since the learner was made, over all fits. They feed
            the shuffling and every other random choice, so that one fit does not repeat the one before.
        world: the processes that train together.
    """

"""What the learner, its recorder, its data and its interpretations are called over the service; and what of them has no
counterpart there, by the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from learnfleet.client import Client, Interpretation, RemoteLearner
from learnfleet.client import ImageDataBunch as RemoteData
from learnfleet.client.recorder import Recorder as RemoteRecorder
from learnfleet.trainer import (
    ClassificationInterpretation,
    DataBunch,
    ImageDataBunch,
    Learner,
    MultiLabelClassificationInterpretation,
    Recorder,
    SegmentationInterpretation,
)

# What names like `learn.fit` and `client.cnn_learner(precision)` begin with.
OWNERS: dict[str, type] = {
    "learn": RemoteLearner,
    "learn.recorder": RemoteRecorder,
    "client": Client,
    "interpretation": Interpretation,
    "ImageDataBunch": RemoteData,
}

NOT_YET = "not offered over the service yet"
TENSORS = "takes or gives tensors, loaders or items; the client has no torch, and the pictures stay on the server"
OWN_CODE = "takes a function or an object of one's own; no code travels"
WORKERS = "a part of how training works, which the workers do"
DRAWN = "of how pictures are drawn, which the server does in one way"
PLACED = "the server places learners and what they save"
FACTORIES = ("from_folder", "from_csv", "from_df", "from_lists", "from_name_re", "from_name_func")
KEPT = "the server keeps the description with the learner, and the client has it as a value"


def of_factories(options: str) -> str:
    """These options of every way to make data."""
    return " ".join(f"{factory}({option})" for factory in FACTORIES for option in options.split())


@dataclass(frozen=True)
class Counterpart:
    """Local classes and the remote one in their place. Names by spaces; an argument is `method(argument)`."""

    local: tuple[type, ...]
    remote: type
    spelled: Mapping[str, str]  # how it is said remotely, by the local names
    absent: Mapping[str, str]  # local names, by the reason
    options_by: tuple[str, ...] = ()  # remote methods that take arguments of the others

    def spellings(self) -> dict[str, str]:
        return {name: said for names, said in self.spelled.items() for name in names.split()}

    def reasons(self) -> dict[str, str]:
        return {name: reason for reason, names in self.absent.items() for name in names.split()}


COUNTERPARTS = {
    "learner": Counterpart(
        (Learner,),
        RemoteLearner,
        {
            "to_distributed to_parallel": "client.cnn_learner(num_workers)",
            "device": "client.cnn_learner(gpus_per_worker)",
            "split": "client.cnn_learner(split_on)",
            "load_fastai_weights": "client.cnn_learner(pretrained)",
            "load(strict) load(remove_module)": "client.cnn_learner(pretrained)",
            "pred_batch(with_dropout)": "learn.predict_with_mc_dropout",
            "opt_func": "client.cnn_learner(opt_func)",
            "create_opt": "client.cnn_learner(opt_arguments)",
            "metrics": "client.cnn_learner(metrics)",
            "register_callback remove_callbacks": "client.cnn_learner(callbacks)",
            "destroy export(destroy) load(purge) purge(clear_opt)": "learn.purge",
            "export(file)": "learn.export(name)",
            "save(file)": "learn.save(name)",
            "save(return_path)": "learn.checkpoints",
            "load(file)": "learn.load(name)",
        },
        {
            NOT_YET: "validate(callbacks) to_bf16(loss_fp32)",
            OWN_CODE: "get_preds(pbar)",
            TENSORS: "backward wrapped_model get_preds(dl) predict(return_x) predict(batch_first) pred_batch(batch) "
            "pred_batch(reconstruct)",
            WORKERS: "eval_transform_json first_trained_group hold_frozen_statistics lr_range metric_callbacks "
            "require_optimizer whole",
            PLACED: "load(device)",
        },
    ),
    "recorder": Counterpart(
        (Recorder,),
        RemoteRecorder,
        {"search_figure": "learn.recorder.plot"},
        {
            WORKERS: "add_metric_names format_row in_lr_find jump_to_epoch order state_dict load_state_dict tensors "
            "load_tensors rank_tensors load_rank_tensors on_train_begin on_epoch_begin on_batch_begin on_loss_begin "
            "on_backward_begin on_backward_end on_step_end on_batch_end on_epoch_end on_train_end",
            "a spline is scipy's, which the client has not": "plot(k)",
        },
    ),
    "data": Counterpart(
        (DataBunch, ImageDataBunch),
        RemoteData,
        {
            "add_test": "ImageDataBunch.with_options(test)",
            "on_bad_image": "ImageDataBunch.with_options(bad_image)",
        },
        {
            OWN_CODE: "add_tfm remove_tfm create " + of_factories("dl_tfms"),
            PLACED: of_factories("device num_workers"),
            DRAWN: "show_batch(reverse)",
            TENSORS: "denormalize dl dls one_batch one_item single_batch open_item open_mask "
            "test_dl test_ds fix_ds single_dl single_ds",
            WORKERS: "augment_settings batch_stats eval_transform shard sanity_check empty_val is_empty "
            + of_factories("no_check"),
            KEPT: "save load_data export load_empty empty_of from_spec listed_spec loaded made_of single_from_classes",
        },
        options_by=("with_options",),
    ),
    "interpretation": Counterpart(
        (ClassificationInterpretation, MultiLabelClassificationInterpretation, SegmentationInterpretation),
        Interpretation,
        {
            "of": "learn.interpret",
            "GradCAM": "interpretation.plot_top_losses(heatmap)",
            "class_scores": "interpretation.class_report",
            "confusion_figure": "interpretation.plot_confusion_matrix",
            "top_losses_figure": "interpretation.plot_top_losses",
            "multi_top_losses_figure": "interpretation.plot_multi_top_losses",
            "describe top_rows probability": "interpretation.describe_top_losses",
            "has_classes explains": "interpretation.kind",
            "intersect_scores(cm) plot_intersect_cm(cm)": "interpretation.intersection",
        },
        {
            OWN_CODE: "from_learner(activ)",
            "of how the server counts, which does not change the result": "confusion_matrix(slice_size) "
            "most_confused(slice_size)",
            "of pixels, whose losses stay on the server": "top_losses(sizes)",
            TENSORS: "explained_class is_right item masks_of picture show_xyz",
            DRAWN: "tile_heading tile_title plot_confusion_matrix(slice_size) plot_confusion_matrix(return_fig) "
            "plot_top_losses(heatmap_thresh) "
            "plot_top_losses(alpha) plot_top_losses(cmap) plot_top_losses(show_text) plot_top_losses(return_fig) "
            "plot_intersect_cm(title)",
        },
    ),
}

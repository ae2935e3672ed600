"""Public names of the trainer that a client has not, by the reason."""

from __future__ import annotations

_BY_REASON = {
    "is derived from, or made of, code of one's own, and no code travels": "AverageMetric Callback CancelEpoch "
    "CancelStep CancelTraining DataBunch Hook HookCallback Hooks LearnerCallback TrackerCallback TrainState "
    "add_metrics hook_output hook_outputs EvalTransform",
    "makes or changes networks, which are the workers'": "AdaptiveConcatPool2d DynamicUnet PixelShuffle_ICNR "
    "SelfAttention SigmoidRange apply_init cnn_config conv_layer create_body create_cnn_model create_head "
    "has_pool_type model_sizes num_features_model simple_cnn split_model lr_range",
    "is made of a network and data in memory; over the service `cnn_learner` and `unet_learner` make one": "Learner "
    "build_learner",
    "is not offered over the service yet": "EmptyLabelList "
    "LSTMLanguageModel LanguageModelData ObjectCategoryList ObjectItemList "
    "bb_pad_collate language_model_learner",
    "works on files, which are the server's": "BadImage download_images verify_images export_from_checkpoint load_data "
    "load_predictor Predictor open_mask",
    "is the job `interpret` over the service, of any model and data": "Examination examine learner_of_export on_data",
    "is the stage `lr_find`, which gives an `LrFinding`": "LRFinder SuggestedLRs",
    "is put there by what needs it": "MixUpLoss NoopLoss",
    "a function of scores, used by the metric RocAucBinary": "auc_roc_score roc_curve",
    "tells what is installed here; the workers' are told by the server": "available_architectures "
    "describe_architecture",
    "the server starts processes: `num_workers`": "setup_distrib",
}
NO_REMOTE_NAME = {name: reason for reason, names in _BY_REASON.items() for name in names.split()}

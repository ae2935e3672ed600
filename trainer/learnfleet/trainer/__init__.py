"""The Learner, alone or on a cluster: `from learnfleet.trainer import ImageDataBunch, cnn_learner, accuracy`.

Names are imported when they are first used (PEP 562), so that a process which needs only the values in `spec` or the
files in `manifest` does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from learnfleet.trainer.public_names import HOME, MODULES

if TYPE_CHECKING:
    from learnfleet.trainer import models as models
    from learnfleet.trainer.anneals import annealing_cos as annealing_cos
    from learnfleet.trainer.anneals import annealing_exp as annealing_exp
    from learnfleet.trainer.anneals import annealing_linear as annealing_linear
    from learnfleet.trainer.anneals import annealing_no as annealing_no
    from learnfleet.trainer.anneals import annealing_poly as annealing_poly
    from learnfleet.trainer.architecture_info import describe_architecture as describe_architecture
    from learnfleet.trainer.architectures import available_architectures as available_architectures
    from learnfleet.trainer.boxes import bb_pad_collate as bb_pad_collate
    from learnfleet.trainer.build import build_learner as build_learner
    from learnfleet.trainer.callback import Callback as Callback
    from learnfleet.trainer.callback import LearnerCallback as LearnerCallback
    from learnfleet.trainer.csv_logger import CSVLogger as CSVLogger
    from learnfleet.trainer.data import DatasetType as DatasetType
    from learnfleet.trainer.data import EvalTransform as EvalTransform
    from learnfleet.trainer.data import ImageDataBunch as ImageDataBunch
    from learnfleet.trainer.data import load_data as load_data
    from learnfleet.trainer.data_bunch import DataBunch as DataBunch
    from learnfleet.trainer.distributed import setup_distrib as setup_distrib
    from learnfleet.trainer.ema import EMACallback as EMACallback
    from learnfleet.trainer.errors import LearnerError as LearnerError
    from learnfleet.trainer.examination import Examination as Examination
    from learnfleet.trainer.examination import examine as examine
    from learnfleet.trainer.examined_data import learner_of_export as learner_of_export
    from learnfleet.trainer.examined_data import on_data as on_data
    from learnfleet.trainer.export import export_from_checkpoint as export_from_checkpoint
    from learnfleet.trainer.exported_learner import load_learner as load_learner
    from learnfleet.trainer.gradients import AccumulateScheduler as AccumulateScheduler
    from learnfleet.trainer.gradients import BnFreeze as BnFreeze
    from learnfleet.trainer.gradients import GradientAccumulation as GradientAccumulation
    from learnfleet.trainer.gradients import GradientClipping as GradientClipping
    from learnfleet.trainer.head import AdaptiveConcatPool2d as AdaptiveConcatPool2d
    from learnfleet.trainer.head import create_head as create_head
    from learnfleet.trainer.hooks import ActivationStats as ActivationStats
    from learnfleet.trainer.hooks import Hook as Hook
    from learnfleet.trainer.hooks import HookCallback as HookCallback
    from learnfleet.trainer.hooks import Hooks as Hooks
    from learnfleet.trainer.hooks import hook_output as hook_output
    from learnfleet.trainer.hooks import hook_outputs as hook_outputs
    from learnfleet.trainer.hooks import model_sizes as model_sizes
    from learnfleet.trainer.images import BadImage as BadImage
    from learnfleet.trainer.inputs import open_image as open_image
    from learnfleet.trainer.inputs import open_mask as open_mask
    from learnfleet.trainer.interpret import Interpretation as Interpretation
    from learnfleet.trainer.interpret_classes import ClassificationInterpretation as ClassificationInterpretation
    from learnfleet.trainer.interpret_labels import (
        MultiLabelClassificationInterpretation as MultiLabelClassificationInterpretation,
    )
    from learnfleet.trainer.interpret_masks import SegmentationInterpretation as SegmentationInterpretation
    from learnfleet.trainer.item_list import ImageImageList as ImageImageList
    from learnfleet.trainer.item_list import ImageList as ImageList
    from learnfleet.trainer.item_list import ObjectItemList as ObjectItemList
    from learnfleet.trainer.item_list import PointsItemList as PointsItemList
    from learnfleet.trainer.item_list import SegmentationItemList as SegmentationItemList
    from learnfleet.trainer.item_list import get_image_files as get_image_files
    from learnfleet.trainer.keyword_events import add_metrics as add_metrics
    from learnfleet.trainer.label_items import Category as Category
    from learnfleet.trainer.label_items import FloatItem as FloatItem
    from learnfleet.trainer.label_items import ImageItem as ImageItem
    from learnfleet.trainer.label_items import ImagePoints as ImagePoints
    from learnfleet.trainer.label_items import ImageSegment as ImageSegment
    from learnfleet.trainer.label_items import MultiCategory as MultiCategory
    from learnfleet.trainer.language_model import LSTMLanguageModel as LSTMLanguageModel
    from learnfleet.trainer.language_model import language_model_learner as language_model_learner
    from learnfleet.trainer.layer_groups import split_model as split_model
    from learnfleet.trainer.learner import Learner as Learner
    from learnfleet.trainer.loss_functions import BCEFlat as BCEFlat
    from learnfleet.trainer.loss_functions import BCEWithLogitsFlat as BCEWithLogitsFlat
    from learnfleet.trainer.loss_functions import CrossEntropyFlat as CrossEntropyFlat
    from learnfleet.trainer.loss_functions import DiceLoss as DiceLoss
    from learnfleet.trainer.loss_functions import FocalLoss as FocalLoss
    from learnfleet.trainer.loss_functions import L1LossFlat as L1LossFlat
    from learnfleet.trainer.loss_functions import LabelSmoothingCrossEntropy as LabelSmoothingCrossEntropy
    from learnfleet.trainer.loss_functions import MSELossFlat as MSELossFlat
    from learnfleet.trainer.loss_functions import NoopLoss as NoopLoss
    from learnfleet.trainer.lr_find import LRFinder as LRFinder
    from learnfleet.trainer.lr_suggest import SuggestedLRs as SuggestedLRs
    from learnfleet.trainer.lr_suggest import minimum as minimum
    from learnfleet.trainer.lr_suggest import slide as slide
    from learnfleet.trainer.lr_suggest import steep as steep
    from learnfleet.trainer.lr_suggest import valley as valley
    from learnfleet.trainer.metric_classes import BalancedAccuracy as BalancedAccuracy
    from learnfleet.trainer.metric_classes import CohenKappa as CohenKappa
    from learnfleet.trainer.metric_classes import ConfusionMatrix as ConfusionMatrix
    from learnfleet.trainer.metric_classes import F1Score as F1Score
    from learnfleet.trainer.metric_classes import FBeta as FBeta
    from learnfleet.trainer.metric_classes import HammingLoss as HammingLoss
    from learnfleet.trainer.metric_classes import KappaScore as KappaScore
    from learnfleet.trainer.metric_classes import MatthewsCorrCoef as MatthewsCorrCoef
    from learnfleet.trainer.metric_classes import MatthewsCorreff as MatthewsCorreff
    from learnfleet.trainer.metric_classes import Precision as Precision
    from learnfleet.trainer.metric_classes import Recall as Recall
    from learnfleet.trainer.metric_curves import AUROC as AUROC
    from learnfleet.trainer.metric_curves import APScoreBinary as APScoreBinary
    from learnfleet.trainer.metric_curves import APScoreMulti as APScoreMulti
    from learnfleet.trainer.metric_curves import BrierScore as BrierScore
    from learnfleet.trainer.metric_curves import RocAuc as RocAuc
    from learnfleet.trainer.metric_curves import RocAucBinary as RocAucBinary
    from learnfleet.trainer.metric_curves import RocAucMulti as RocAucMulti
    from learnfleet.trainer.metric_functions import accuracy as accuracy
    from learnfleet.trainer.metric_functions import accuracy_thresh as accuracy_thresh
    from learnfleet.trainer.metric_functions import auc_roc_score as auc_roc_score
    from learnfleet.trainer.metric_functions import dice as dice
    from learnfleet.trainer.metric_functions import error_rate as error_rate
    from learnfleet.trainer.metric_functions import exp_rmspe as exp_rmspe
    from learnfleet.trainer.metric_functions import explained_variance as explained_variance
    from learnfleet.trainer.metric_functions import fbeta as fbeta
    from learnfleet.trainer.metric_functions import foreground_acc as foreground_acc
    from learnfleet.trainer.metric_functions import mae as mae
    from learnfleet.trainer.metric_functions import mean_absolute_error as mean_absolute_error
    from learnfleet.trainer.metric_functions import mean_squared_error as mean_squared_error
    from learnfleet.trainer.metric_functions import mean_squared_logarithmic_error as mean_squared_logarithmic_error
    from learnfleet.trainer.metric_functions import mse as mse
    from learnfleet.trainer.metric_functions import msle as msle
    from learnfleet.trainer.metric_functions import psnr as psnr
    from learnfleet.trainer.metric_functions import r2_score as r2_score
    from learnfleet.trainer.metric_functions import rmse as rmse
    from learnfleet.trainer.metric_functions import roc_curve as roc_curve
    from learnfleet.trainer.metric_functions import root_mean_squared_error as root_mean_squared_error
    from learnfleet.trainer.metric_functions import top_k_accuracy as top_k_accuracy
    from learnfleet.trainer.metric_labels import F1ScoreMulti as F1ScoreMulti
    from learnfleet.trainer.metric_labels import HammingLossMulti as HammingLossMulti
    from learnfleet.trainer.metric_labels import MultiLabelFbeta as MultiLabelFbeta
    from learnfleet.trainer.metric_labels import PrecisionMulti as PrecisionMulti
    from learnfleet.trainer.metric_labels import RecallMulti as RecallMulti
    from learnfleet.trainer.metric_masks import Dice as Dice
    from learnfleet.trainer.metric_masks import DiceMulti as DiceMulti
    from learnfleet.trainer.metric_masks import JaccardCoeff as JaccardCoeff
    from learnfleet.trainer.metric_masks import JaccardCoeffMulti as JaccardCoeffMulti
    from learnfleet.trainer.metric_numbers import RMSE as RMSE
    from learnfleet.trainer.metric_numbers import ExplainedVariance as ExplainedVariance
    from learnfleet.trainer.metric_numbers import ExpRMSPE as ExpRMSPE
    from learnfleet.trainer.metric_numbers import PearsonCorrCoef as PearsonCorrCoef
    from learnfleet.trainer.metric_numbers import R2Score as R2Score
    from learnfleet.trainer.metric_numbers import SpearmanCorrCoef as SpearmanCorrCoef
    from learnfleet.trainer.metric_tokens import CorpusBLEUMetric as CorpusBLEUMetric
    from learnfleet.trainer.metric_tokens import Perplexity as Perplexity
    from learnfleet.trainer.metrics import AverageMetric as AverageMetric
    from learnfleet.trainer.mixed_precision import MixedPrecision as MixedPrecision
    from learnfleet.trainer.mixup import CutMixCallback as CutMixCallback
    from learnfleet.trainer.mixup import MixUpCallback as MixUpCallback
    from learnfleet.trainer.mixup import MixUpLoss as MixUpLoss
    from learnfleet.trainer.models import DynamicUnet as DynamicUnet
    from learnfleet.trainer.models import apply_init as apply_init
    from learnfleet.trainer.models import cnn_config as cnn_config
    from learnfleet.trainer.models import cnn_learner as cnn_learner
    from learnfleet.trainer.models import create_body as create_body
    from learnfleet.trainer.models import create_cnn as create_cnn
    from learnfleet.trainer.models import create_cnn_model as create_cnn_model
    from learnfleet.trainer.models import has_pool_type as has_pool_type
    from learnfleet.trainer.models import num_features_model as num_features_model
    from learnfleet.trainer.models import simple_cnn as simple_cnn
    from learnfleet.trainer.models import unet_learner as unet_learner
    from learnfleet.trainer.normalization import cifar_stats as cifar_stats
    from learnfleet.trainer.normalization import imagenet_stats as imagenet_stats
    from learnfleet.trainer.normalization import mnist_stats as mnist_stats
    from learnfleet.trainer.opt_funcs import SGD as SGD
    from learnfleet.trainer.opt_funcs import Adam as Adam
    from learnfleet.trainer.opt_funcs import RAdam as RAdam
    from learnfleet.trainer.opt_funcs import RMSprop as RMSprop
    from learnfleet.trainer.optimizer import lr_range as lr_range
    from learnfleet.trainer.peak_memory import PeakMemMetric as PeakMemMetric
    from learnfleet.trainer.phases import TrainingPhase as TrainingPhase
    from learnfleet.trainer.picture_tools import download_images as download_images
    from learnfleet.trainer.picture_tools import verify_images as verify_images
    from learnfleet.trainer.predictor import Prediction as Prediction
    from learnfleet.trainer.predictor import Predictor as Predictor
    from learnfleet.trainer.predictor import load_predictor as load_predictor
    from learnfleet.trainer.recorder import Recorder as Recorder
    from learnfleet.trainer.rnn_trainer import RNNTrainer as RNNTrainer
    from learnfleet.trainer.sampling import OverSamplingCallback as OverSamplingCallback
    from learnfleet.trainer.sampling import UnderSamplingCallback as UnderSamplingCallback
    from learnfleet.trainer.schedules import FlatCosAnnealScheduler as FlatCosAnnealScheduler
    from learnfleet.trainer.schedules import GeneralScheduler as GeneralScheduler
    from learnfleet.trainer.schedules import OneCycleScheduler as OneCycleScheduler
    from learnfleet.trainer.show_graph import ShowGraph as ShowGraph
    from learnfleet.trainer.spec import LearnerSpec as LearnerSpec
    from learnfleet.trainer.spec import ResizeMethod as ResizeMethod
    from learnfleet.trainer.split_lists import CategoryList as CategoryList
    from learnfleet.trainer.split_lists import EmptyLabelList as EmptyLabelList
    from learnfleet.trainer.split_lists import FloatList as FloatList
    from learnfleet.trainer.split_lists import ImageLabelList as ImageLabelList
    from learnfleet.trainer.split_lists import MultiCategoryList as MultiCategoryList
    from learnfleet.trainer.split_lists import ObjectCategoryList as ObjectCategoryList
    from learnfleet.trainer.split_lists import PointsLabelList as PointsLabelList
    from learnfleet.trainer.split_lists import SegmentationLabelList as SegmentationLabelList
    from learnfleet.trainer.state import CancelEpoch as CancelEpoch
    from learnfleet.trainer.state import CancelStep as CancelStep
    from learnfleet.trainer.state import CancelTraining as CancelTraining
    from learnfleet.trainer.state import TrainState as TrainState
    from learnfleet.trainer.tensorboard import LearnerTensorboardWriter as LearnerTensorboardWriter
    from learnfleet.trainer.text import LanguageModelData as LanguageModelData
    from learnfleet.trainer.track_epoch import TrackEpochCallback as TrackEpochCallback
    from learnfleet.trainer.trackers import EarlyStoppingCallback as EarlyStoppingCallback
    from learnfleet.trainer.trackers import ReduceLROnPlateauCallback as ReduceLROnPlateauCallback
    from learnfleet.trainer.trackers import SaveModelCallback as SaveModelCallback
    from learnfleet.trainer.trackers import StopAfterNBatches as StopAfterNBatches
    from learnfleet.trainer.trackers import TerminateOnNaNCallback as TerminateOnNaNCallback
    from learnfleet.trainer.trackers import TrackerCallback as TrackerCallback
    from learnfleet.trainer.transform_components import brightness as brightness
    from learnfleet.trainer.transform_components import contrast as contrast
    from learnfleet.trainer.transform_components import cutout as cutout
    from learnfleet.trainer.transform_components import dihedral as dihedral
    from learnfleet.trainer.transform_components import flip_lr as flip_lr
    from learnfleet.trainer.transform_components import jitter as jitter
    from learnfleet.trainer.transform_components import perspective_warp as perspective_warp
    from learnfleet.trainer.transform_components import rand_pad as rand_pad
    from learnfleet.trainer.transform_components import rand_resize_crop as rand_resize_crop
    from learnfleet.trainer.transform_components import rand_zoom as rand_zoom
    from learnfleet.trainer.transform_components import rgb_randomize as rgb_randomize
    from learnfleet.trainer.transform_components import rotate as rotate
    from learnfleet.trainer.transform_components import skew as skew
    from learnfleet.trainer.transform_components import squish as squish
    from learnfleet.trainer.transform_components import symmetric_warp as symmetric_warp
    from learnfleet.trainer.transform_components import tilt as tilt
    from learnfleet.trainer.transform_components import zoom as zoom
    from learnfleet.trainer.transforms import get_transforms as get_transforms
    from learnfleet.trainer.unet_blocks import NormType as NormType
    from learnfleet.trainer.unet_blocks import PixelShuffle_ICNR as PixelShuffle_ICNR
    from learnfleet.trainer.unet_blocks import SelfAttention as SelfAttention
    from learnfleet.trainer.unet_blocks import SigmoidRange as SigmoidRange
    from learnfleet.trainer.unet_blocks import conv_layer as conv_layer

__all__ = sorted({*HOME, *MODULES})  # `from learnfleet.trainer import *` gives all of them


def __getattr__(name: str) -> object:
    if name in MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOME, *MODULES})

"""Values of the client that use every option there is, and the options that have no way from the client to a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from learnfleet.client.components import Component
from learnfleet.client.data_specs import ImageDataBunch, get_image_files, get_transforms
from learnfleet.client.named import entries
from learnfleet.client.specs import LearnerSpec, UnetOptions
from learnfleet.client.stage_specs import Fit, FitFlatCos, FitOneCycle, FitSgdr, FreezeTo, LrFind, Stage

NOT_YET = "not offered over the service yet"
IN_A_STORE = "names what a store holds: tests/integration/rpc/test_datasets.py goes that way"
OWN_CODE = "is derived from in code of one's own, and no code travels"

# Fields of the trainer's specifications, and values of them (`Class.field=value`), that no client can ask for.
NO_WAY_FOR_FIELDS = {
    "DataSpec.labels=boxes": "training on boxes takes a loss of one's own, and no code travels",
    "DataSpec.labels=none": "of datasets of one's own, which are not on the server's storage",
    "DataSpec.dataset": IN_A_STORE,
    "DatasetRef.name": IN_A_STORE,
    "DatasetRef.path": IN_A_STORE,
    "TableSpec.valid_col as int": "columns are told by their headings, which are numbers as text where there are none",
    "ListedItem.part=test": "test pictures are a folder: `with_options(test=…)`",
}

# Fields of the messages that no value of the client sets.
NO_VALUE_FOR_MESSAGES = {
    "DataSpec.dataset": IN_A_STORE,
    "Stage.freeze": "the client says `freeze_to(-1)`",
    "Stage.unfreeze": "the client says `freeze_to(0)`",
}

# What the trainer exports, and the name that makes it over the service, where that is another.
REGISTERED_AS = {name: entry.registered for name, entry in entries().items() if name != entry.registered}

NO_NAME_FOR_EXPORTS = {
    "AverageMetric": "wraps a function of one's own",
    "Callback": OWN_CODE,
    "HookCallback": OWN_CODE,
    "LRFinder": "is the stage `lr_find`",
    "LearnerCallback": OWN_CODE,
    "MixUpLoss": "is put around the loss by mixup",
    "NoopLoss": "of models that give their own loss, which are in code of one's own",
    "Recorder": "is always there",
    "ShowGraph": "draws into a notebook; the client's live table is what shows a job",
    "TrackerCallback": OWN_CODE,
    "auc_roc_score": "a function of scores, used by the metric RocAucBinary",
    "rand_zoom": "is `zoom` with a pair of numbers as its scale",
    "roc_curve": "a function of scores, used by the metric RocAucBinary",
}


def unusual_learners(root: Path) -> list[LearnerSpec]:
    """Descriptions that between them set everything that a client can set."""
    weights = root / "weights.pth"
    weights.touch()
    data = [*unusual_data(root)]
    full = LearnerSpec(
        data[0],
        "resnet18",
        metrics=(("top_k_accuracy", {"k": 2}),),
        pretrained=weights,
        lin_ftrs=(8,),
        ps=0.1,
        concat_pool=False,
        bn_final=True,
        init="none",
        opt_func="sgd",
        opt_arguments={"momentum": 0.5},
        wd=0.5,
        true_wd=False,
        bn_wd=False,
        train_bn=False,
        seed=3,
        loss_func="focal",
        callbacks=("terminate_on_nan",),
        cut=2,
        split_on=("1",),
        precision="fp16",
        channels_last=True,
        compiled=True,
        clip_grad=0.5,
        accumulate=2,
    )
    unet = UnetOptions(False, "batch", True, True, (0.0, 1.0), False, True)
    variants: list[dict[str, Any]] = [
        {"pretrained": True, "wd": (0.1, 0.2), "precision": "bf16", "unet": unet},
        {"pretrained": False, "precision": "fp32", "lin_ftrs": (), "init": "orthogonal"},
    ]
    return [full, *(replace(full, **given) for given in variants), *(LearnerSpec(each, "resnet18") for each in data)]


def unusual_data(root: Path) -> list[ImageDataBunch]:
    """Every source and way to load pictures."""
    folder = partial(ImageDataBunch.from_folder, root)
    tfms = get_transforms(False, True, 5.0, 1.5, 0.1, 0.1, 0.5, 0.5, ["dihedral"])
    stats = ([0.5, 0.5, 0.5], [0.2, 0.2, 0.2])
    named: dict[str, Any] = {"resize_method": "pad", "normalize": stats, "bad_image": "fail"}
    loading = {"ds_tfms": tfms, "size": (32, 48), "bs": 8, "val_bs": 4, **named}
    given = folder("a", "b", "more", 0.3, 7, ["ant", "bee"], **loading)
    csv: dict[str, Any] = {"fn_col": "name", "label_col": ["tags"], "suffix": ".png", "delimiter": ";"}
    lists: Callable[..., ImageDataBunch] = partial(ImageDataBunch.from_lists, root, ["a.png", "b.png"])
    return [
        given.with_options(padding_mode="zeros", valid_margin=4),
        *(folder(normalize=preset) for preset in ("auto", "imagenet", "cifar", "mnist", "none")),
        *(folder(size=8, resize_method=method) for method in ("crop", "squish", "no")),
        folder().with_options(padding_mode="border"),
        ImageDataBunch.from_csv(root, "pics", "|", "t.csv", 0.4, 5, header=None, **csv),
        ImageDataBunch.from_csv(root, valid_col="is_valid"),
        ImageDataBunch.from_name_re(root, get_image_files(root), r"/(\w+)/", 0.4, 5),
        lists(["ant", "bee"], is_valid=[False, True]),
        lists([1.5, 2.5], is_valid=[False, True]).with_options(log=True),
        lists([[(1, 2)], [(3, 4)]], is_valid=[False, True]),
        lists(["a.png", "b.png"], is_valid=[False, True], label_cls="image").with_options(normalizes_targets=True),
        lists(["a_mask.png", "b_mask.png"], is_valid=[False, True], masks_of=["no", "yes"]),
        ImageDataBunch.from_masks(root, ["no", "yes"], "pics", "truth", "_P", ".png", 0.4, 5),
    ]


def unusual_stages() -> list[Stage]:
    """Every stage, with everything that can be said of it."""
    own: tuple[Component, ...] = ("terminate_on_nan",)
    curves = [FitFlatCos(3, 0.1, (0.8, 0.7), 0.5, curve, 0.1, own) for curve in ("cosine", "linear", "exponential")]
    lrs: Sequence[Any] = (0.1, slice(0.1), slice(0.01, 0.1), (0.1, 0.2))
    return [
        *(Fit(2, lr, 0.1, own) for lr in lrs),
        Fit(2, wd=(0.1, 0.2)),
        *(FitOneCycle(2, 0.1, (0.8, 0.7), 10.0, 0.5, 100.0, wd, own, 5, 1) for wd in (0.1, (0.1, 0.2))),
        *curves,
        replace(curves[0], wd=(0.1, 0.2)),
        *(FitSgdr(2, 1, 0.1, 3, wd, own) for wd in (0.1, (0.1, 0.2))),
        *(LrFind(1e-5, 1.0, 50, False, wd) for wd in (0.1, (0.1, 0.2))),
        FreezeTo(1),
    ]

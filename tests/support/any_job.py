"""Any training job, for hypothesis: its stages, callbacks, learner and data, and where it is killed."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from support.resume_lab import Scenario

ONE_CYCLE = {"kind": "fit_one_cycle", "epochs": 2, "max_lr": {"value": 0.05}}
FIT = {"kind": "fit", "epochs": 1}
FREEZE = {"kind": "freeze_to", "n": -1}

PLACES = st.sampled_from(
    [
        "on_train_begin",
        "on_epoch_begin",
        "on_batch_begin",
        "on_loss_begin",
        "on_backward_begin",
        "on_backward_end",
        "on_step_end",
        "on_batch_end",
        "validation",
        "on_epoch_end",
        "on_train_end",
        "write",
        "stop",
    ]
)


def given_as(**arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(arguments)


MONITORS = st.sampled_from(["valid_loss", "train_loss", "accuracy"])
# Of each group at most one takes part. The learner of a text has an `rnn_trainer`.
GROUPS: list[dict[str, st.SearchStrategy[dict[str, Any]]]] = [
    {"ema": given_as(decay=st.sampled_from([0.5, 0.99]), warm_up=st.booleans())},
    {"save_model": given_as(monitor=MONITORS, with_opt=st.booleans(), every=st.sampled_from(["improvement", "epoch"]))},
    {"early_stopping": given_as(monitor=MONITORS, patience=st.integers(0, 1), min_delta=st.sampled_from([0.0, 0.2]))},
    {
        "reduce_lr_on_plateau": given_as(
            monitor=MONITORS,
            patience=st.integers(0, 1),
            min_delta=st.sampled_from([0.0, 0.5]),
            min_lr=st.sampled_from([0.0, 1e-5]),
        )
    },
    {"csv_logger": given_as(append=st.booleans())},
    {"track_epoch": given_as()},
    {
        "accumulate": given_as(n_step=st.integers(1, 3), drop_last=st.booleans()),
        "gradient_accumulation": given_as(n_acc=st.sampled_from([8, 14, 20])),
    },
    {"gradient_clipping": given_as(clip=st.sampled_from([0.1, 1.0]))},
    {
        "mixed_precision": given_as(
            loss_scale=st.sampled_from([None, 2.0**24]),
            max_noskip=st.integers(1, 3),
            dynamic=st.booleans(),
            clip=st.sampled_from([None, 0.5]),
        )
    },
    {"bn_freeze": given_as()},
    {"activation_stats": given_as()},
    {"terminate_on_nan": given_as()},
    {"tensorboard": given_as(hist_iters=st.just(2), stats_iters=st.just(1))},
]
# torch has no LSTM in float16 on every CPU.
OF_TEXT = [group for group in GROUPS if "mixed_precision" not in group]
OF_PICTURES: list[dict[str, st.SearchStrategy[dict[str, Any]]]] = [
    *GROUPS,
    {"mixup": given_as(alpha=st.sampled_from([0.4, 2.0]), stack_y=st.booleans()), "cutmix": given_as()},
    {"over_sampling": given_as(), "under_sampling": given_as()},
]
OF_A_STAGE: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "one_cycle": given_as(lr_max=st.just(0.03), tot_epochs=st.sampled_from([None, 3])),
    "flat_cos": given_as(lr=st.just(0.01), tot_epochs=st.integers(1, 2)),
    "stop_after_n_batches": given_as(n_batches=st.integers(1, 6)),
    "general_scheduler": given_as(
        phases=st.just(
            [
                {"length": 3, "hps": {"lr": {"vals": [0.001, 0.02]}}},
                {"length": 2, "hps": {"lr": {"vals": [0.02, 0.001]}, "mom": {"vals": [0.9, 0.8]}}},
            ]
        )
    ),
}
FITTING = st.sampled_from(
    [
        FIT,
        {**FIT, "epochs": 2, "lr": {"start": 1e-3, "stop": 1e-2}},
        ONE_CYCLE,
        {**ONE_CYCLE, "epochs": 3, "start_epoch": 1},
        {"kind": "fit_flat_cos", "epochs": 2, "lr": {"value": 0.01}},
        {"kind": "fit_sgdr", "n_cycles": 2, "cycle_len": 1, "lr_max": {"value": 0.02}},
    ]
)
BETWEEN = st.sampled_from(
    [
        [],
        [FREEZE],
        [{"kind": "freeze_to", "n": 0}],
        [{"kind": "freeze_to", "n": 1}, {"kind": "lr_find", "num_it": 6}],
        [{"kind": "lr_find", "num_it": 3}],
    ]
)
LEARNERS = given_as(
    opt_func=st.sampled_from(["adam", "sgd", "rmsprop", "adagrad", "adadelta", "adamax", "nadam", "radam"]),
    true_wd=st.booleans(),
    bn_wd=st.booleans(),
    train_bn=st.booleans(),
    loss=st.sampled_from(["cross_entropy", "label_smoothing", "focal"]),
    precision=st.sampled_from(["fp32", "fp32", "bf16"]),
    channels_last=st.booleans(),
    metrics=st.sampled_from(
        [
            ["accuracy"],
            ["accuracy", "MatthewsCorrCoef", "RocAuc"],
            ["error_rate", "accuracy", "BalancedAccuracy"],
            ["accuracy", "best"],
        ]
    ),
)
TEXT_LEARNERS = given_as(
    alpha=st.sampled_from([0.0, 2.0]), beta=st.sampled_from([0.0, 1.0]), opt_func=st.sampled_from(["adam", "sgd"])
)


@st.composite
def callbacks_of_a_learner(
    draw: st.DrawFn, groups: list[dict[str, st.SearchStrategy[dict[str, Any]]]], most: int = 5
) -> list[tuple[str, dict[str, Any]]]:
    chosen = draw(st.lists(st.sampled_from(range(len(groups))), unique=True, max_size=most))
    names = [draw(st.sampled_from(sorted(groups[index]))) for index in chosen]
    return [(name, draw(groups[index][name])) for index, name in zip(chosen, names, strict=True)]


@st.composite
def fitting_stages(draw: st.DrawFn) -> dict[str, Any]:
    stage = draw(FITTING)
    if stage["kind"] != "fit" or draw(st.booleans()):
        return stage
    name = draw(st.sampled_from(sorted(OF_A_STAGE)))
    return {**stage, "callbacks": [{"name": name, "arguments": draw(OF_A_STAGE[name])}]}


@st.composite
def kills(draw: st.DrawFn, steps: int, most: int, world_size: int) -> list[tuple[str, int, int]]:
    """Of any rank, in the order in which a job comes to them, so that most of them happen."""
    when = sorted(draw(st.lists(st.integers(0, steps - 1), min_size=1, max_size=most)))
    return [_kill(draw, draw(PLACES), step, world_size) for step in when]


def _kill(draw: st.DrawFn, place: str, step: int, world_size: int) -> tuple[str, int, int]:
    if place == "write":  # which only rank 0 does
        return place, draw(st.integers(1, 8)), 0
    return place, step, draw(st.integers(0, world_size - 1))


@st.composite
def scenarios(draw: st.DrawFn, max_kills: int = 2, world_size: int = 1) -> Scenario:
    data = draw(st.sampled_from(["memory", "memory", "pictures", "text"]))
    is_text = data == "text"
    callbacks = draw(callbacks_of_a_learner(OF_TEXT if is_text else OF_PICTURES))
    samples = any("sampling" in name for name, _ in callbacks)
    fits = draw(st.lists(fitting_stages(), min_size=1, max_size=2))
    stages = [stage for fit in fits for stage in (*draw(BETWEEN), fit)]
    epochs = sum(stage.get("epochs", 2) for stage in fits)
    learner = draw(TEXT_LEARNERS if is_text else LEARNERS)
    mixes_targets = any(name == "mixup" and not given.get("stack_y", True) for name, given in callbacks)
    if mixes_targets and learner.get("loss") == "focal":
        learner["loss"] = "label_smoothing"  # focal loss refuses targets that are mixed themselves
    return Scenario(
        stages,
        callbacks,
        learner,
        "pictures" if samples else data,
        world_size=world_size,
        every_steps=draw(st.sampled_from([None, 1, 2, 3])),
        waits=draw(st.booleans()),
        kills=draw(kills((9 if is_text else 4) * epochs, max_kills, world_size)),
    )

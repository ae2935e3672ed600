"""The stage of a job that searches a learning rate."""

from __future__ import annotations

from learnfleet.trainer import plots
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.lr_find import LrSearch, run_search
from learnfleet.trainer.run_callbacks import finite
from learnfleet.trainer.run_context import RunContext, report_picture
from learnfleet.trainer.stage_spec import LrFindStage
from learnfleet.trainer.stages import lr_of

_PLOT_RULES = ("valley", "slide", "steep", "minimum", "min_gradient")


def run_lr_find(learner: Learner, stage: LrFindStage, index: int, context: RunContext) -> bool:
    """Search, and tell what was found as the event `lr_found/<index>`. Every rank must call.

    The learner is as it was before, so a job that is resumed here searches again, and finds the same. True when the
    search was left because of a stop request.
    """
    search = LrSearch(
        lr_of(stage.start_lr),
        lr_of(stage.end_lr),
        stage.num_it,
        stage.stop_div,
        stage.wd,
        stop_requested=context.stop_requested,
    )
    found, state = run_search(learner, search)
    if learner.world.is_main and not state.interrupted:
        recorder = learner.recorder
        data = {
            "stage": index,
            "lrs": list(recorder.lrs),
            "losses": [finite(loss) for loss in recorder.losses],
            "suggestions": {name: value for name, value in found.values.items() if value is not None},
        }
        context.emit(f"lr_found/{index}", "lr_found", data)
        _draw(learner, index, context)
    return state.interrupted


def _draw(learner: Learner, index: int, context: RunContext) -> None:
    if context.picture_dir is None:
        return
    name = f"lr_find_{index}"
    recorder = learner.recorder
    few = len(recorder.losses) <= 20
    figure = recorder.search_figure(0 if few else 10, 0 if few else 5, suggestion=_PLOT_RULES)
    report_picture(context, name, plots.save_png(figure, context.picture_dir / f"{name}.png"))

"""What a Learner shows of itself: its layers, its results, what it gets wrong, and where its answers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.learner_core import LearnerCore

if TYPE_CHECKING:
    from learnfleet.trainer.explain import Explanation
    from learnfleet.trainer.interpret import Interpretation


class LearnerLooking(LearnerCore):
    """The part of `Learner` that is looked at."""

    def summary(self) -> str:
        """The model as a table: layers, shapes for one batch, parameters, what is trained."""
        from learnfleet.trainer.summary import summary

        return summary(self.whole)

    def show_results(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        rows: int = 5,
        figsize: tuple[float, float] | None = None,
    ) -> Figure:
        """The first items of a dataset with ground truth and prediction: rows x rows pictures, or `rows` masks.

        Train shows the augmented training items. Every rank may call, each for itself.

        Args:
            figsize: inches. None: what the pictures need.
        """
        from learnfleet.trainer.results import results_figure

        return results_figure(self.whole, ds_type, rows, figsize)

    def interpret(self, ds_type: DatasetType = DatasetType.Valid, tta: bool = False) -> Interpretation:
        """What the model gets wrong, by the class that suits the labels. Every rank must call.

        (In fastai v1 it is a ClassificationInterpretation whatever the labels are.)
        """
        from learnfleet.trainer.interpret_any import interpret

        return interpret(self.whole, ds_type, tta=tta)

    def explain(self, item: object, method: str = "grad_cam", class_name: str = "") -> Explanation:
        """Where in one picture the score of a class comes from, by captum; a notebook shows it over the picture.

        Args:
            item: a path, the bytes of a picture file, a PIL image, or uint8 pixels.
            method: grad_cam (fast and coarse), integrated_gradients, or occlusion (the slowest).
            class_name: its name, or its index as text. Default: the predicted one; of several labels the likeliest; of
                masks the one that covers most.

        Raises BadImage, or LearnerError naming what is wrong.
        """
        from learnfleet.trainer.learner_explain import explain

        return explain(self.whole, item, method, class_name)

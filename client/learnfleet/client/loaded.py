"""An exported learner, which only predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from learnfleet.client import cards
from learnfleet.client.results import Prediction

if TYPE_CHECKING:
    from learnfleet.client.client import Client
    from learnfleet.client.explanation import Explanation


class LoadedLearner:
    """A model of the registry. Made by `load_learner`."""

    def __init__(self, client: Client, name: str) -> None:
        """`name`: `models/{model}/versions/{version}` or `models/{model}@{alias}`."""
        self._client, self.name = client, name

    def predict(self, item: object, thresh: float | None = None, tta: bool = False, top_k: int = 0) -> Prediction:
        """Ask about one picture: fastai's triple. Raises NotFoundError where there is no such model.

        Args:
            item: a path of a file that is here, the bytes of a picture file, or a PIL image.
            thresh: of several labels, those at least so probable are predicted.
            tta: average over zoomed and mirrored variants.
        """
        return self._client.predict(self.name, item, top_k, thresh, tta)

    def predict_with_mc_dropout(self, item: object, n_times: int = 10) -> list[Prediction]:
        """As of a learner."""
        return list(self._client.predict(self.name, item, dropout_samples=n_times).samples)

    def explain(self, item: object, method: str = "grad_cam", class_name: str = "") -> Explanation:
        """As of a learner."""
        return self._client.explain(self.name, item, method, class_name)

    def __repr__(self) -> str:
        return f"LoadedLearner({self.name})"

    def _repr_html_(self) -> str:
        return cards.card(self.name, {"kind": "an exported learner, to predict with"})

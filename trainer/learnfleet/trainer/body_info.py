"""What can be told of a body before it is built for training. Imports no torch, and crosses process boundaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.tensor_names import Shape, compare

_AUXILIARY = ("aux", "Aux")  # heads that no body keeps


@dataclass(frozen=True)
class BodyTensors:
    """Which tensors of a file of weights a body takes."""

    network: str
    kept: Mapping[str, Shape]  # all of them must be there, in these shapes
    left_out: frozenset[str]  # the network's that are not the body's: they may be there
    classifier: frozenset[str]  # all beneath these modules may be there, too

    def relevant(self, names: Iterable[str]) -> list[str]:
        """The names in a file that are not the classifier's."""
        return [name for name in names if name in self.kept or not self._is_of_the_classifier(name)]

    def _is_of_the_classifier(self, name: str) -> bool:
        beneath = any(name == module or name.startswith(module + ".") for module in self.classifier)
        return beneath or name in self.left_out or name.startswith(_AUXILIARY)

    def check(self, file: str, found: Mapping[str, Shape]) -> None:
        """Raise LearnerError naming what in the file is missing, unknown or of another shape."""
        differing = compare(self.kept, {name: found[name] for name in self.relevant(found)}).describe()
        if differing:
            raise LearnerError(
                "weights.path",
                f"{file} does not fit {self.network}. {differing} Give weights of {self.network}, or name the"
                " architecture that these are of.",
            )


@dataclass(frozen=True)
class BodyInfo:
    """A body for the layer groups and the weights of its learners."""

    layer_groups: int  # with a head, or the decoder of a U-Net, by the family's rule
    tensors: BodyTensors

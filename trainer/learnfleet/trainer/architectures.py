"""Which networks there are, by name.

Names: torchvision's (`resnet18`), `timm/<name>`, `pytorchcv/<name>` where that package is installed, and those that
installed packages declare in the entry-point group `learnfleet.architectures` (a callable `(pretrained: bool) ->
nn.Module`).
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import torchvision
from torch import nn

from learnfleet.trainer import zoo_pytorchcv, zoo_timm, zoo_torchvision
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.network import Architecture, Meta, Network

ENTRY_POINT_GROUP = "learnfleet.architectures"


@dataclass(frozen=True)
class NamedArchitecture:
    """An architecture by its name, as `models.resnet18`: `cnn_learner` takes it, and called it builds the network."""

    name: str

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, pretrained: bool = False) -> nn.Module:
        """The whole network with its classifier (timm's without)."""
        return build_network(self.name, pretrained).module


def available_architectures() -> list[str]:
    """Every name that `spec.architecture` may hold here, sorted. The first call imports timm (seconds)."""
    return sorted({*zoo_torchvision.names(), *zoo_timm.names(), *zoo_pytorchcv.names(), *_plugins()})


@functools.cache
def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def name_of(architecture: str | Architecture) -> str | None:
    """The name it can be had by, or None for a function of the user's own."""
    if isinstance(architecture, str):
        return architecture
    if isinstance(architecture, NamedArchitecture):
        return architecture.name
    name = getattr(architecture, "__name__", "")
    return name if name and getattr(torchvision.models, name, None) is architecture else None


def build_network(architecture: str | Architecture | nn.Module, pretrained: bool) -> Network:
    """Build the network, with the library's weights when `pretrained` (downloaded where not cached).

    Raises LearnerError for a name that is not known, and when the weights cannot be had.
    """
    if isinstance(architecture, nn.Module):
        return Network(type(architecture).__name__, architecture)
    try:
        return _build(architecture, pretrained)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise LearnerError(
            "weights",
            f"the pretrained weights of {_title(architecture)} cannot be had ({error}). {_way_out(architecture)},"
            " give a local file (pretrained='weights.pth'), or start without any (pretrained=False)",
        ) from error


def _way_out(architecture: str | Architecture) -> str:
    """Where the library would find the weights without a network."""
    name = name_of(architecture) or ""
    if name.startswith(zoo_timm.PREFIX):
        return "Fill timm's cache (HF_HOME) where there is a network"
    if name.startswith(zoo_pytorchcv.PREFIX):
        return f"Put its file into {zoo_pytorchcv.FOLDER}"
    if name in zoo_torchvision.names():
        return f"Put {zoo_torchvision.address(name)} into {zoo_torchvision.folder()}"
    return "See what builds it"


def _title(architecture: str | Architecture) -> str:
    return name_of(architecture) or str(getattr(architecture, "__name__", type(architecture).__name__))


def _build(architecture: str | Architecture, pretrained: bool) -> Network:
    name = name_of(architecture)
    if name is None:
        if isinstance(architecture, str) or not callable(architecture):
            raise LearnerError(
                "architecture",
                f"{architecture!r} is neither a name, nor a function (pretrained) -> module, nor a module",
            )
        return Network(_title(architecture), architecture(pretrained), Meta())
    check_name(name)
    if name.startswith(zoo_timm.PREFIX):
        return zoo_timm.build(name, pretrained)
    if name.startswith(zoo_pytorchcv.PREFIX):
        return zoo_pytorchcv.build(name, pretrained)
    if name in _plugins():
        return Network(name, _plugins()[name].load()(pretrained), Meta())
    return zoo_torchvision.build(name, pretrained)


def check_name(name: str) -> None:
    """Raise LearnerError for a name that nobody knows, with the nearest ones, or whose network gives no map."""
    if name in _plugins() or any(name in zoo.names() for zoo in (zoo_torchvision, zoo_timm, zoo_pytorchcv)):
        return
    if zoo_timm.has_tag(name):
        return
    if name.partition(".")[0] not in zoo_timm.names() and zoo_timm.is_known(name):
        raise LearnerError(
            "architecture",
            f"{name} gives no feature map [N, C, h, w], so it can be no body: see `available_architectures`",
        )
    near = difflib.get_close_matches(name, available_architectures(), n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise LearnerError(
        "architecture",
        f"there is no {name!r}; {hint}names are torchvision's, timm/<name>, or pytorchcv/<name>{_missing(name)}",
    )


def _missing(name: str) -> str:
    if name.startswith(zoo_pytorchcv.PREFIX) and not zoo_pytorchcv.names():
        return ". pytorchcv is not installed here: pip install 'learnfleet[pytorchcv]'"
    return ""

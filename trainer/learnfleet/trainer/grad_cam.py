"""Grad-CAM: where in a picture the score of a class comes from, by captum.

Source: Selvaraju et al., "Grad-CAM: visual explanations from deep networks", 2017, arXiv:1610.02391.
"""

from __future__ import annotations

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from learnfleet.trainer.batch import as_arguments
from learnfleet.trainer.errors import LearnerError

HEATMAP_THRESH = 16  # places: a coarser map says little


def has_body(model: nn.Module) -> bool:
    """Whether the model is a body and a head, as `cnn_learner` makes it."""
    return isinstance(model, nn.Sequential) and len(model) == 2


def body_of(model: nn.Module) -> nn.Module:
    """The layer whose activations are weighed. Raises LearnerError for other models than a body and a head."""
    if not isinstance(model, nn.Sequential) or not has_body(model):
        raise LearnerError(
            "heatmap",
            f"{type(model).__name__} is no body and head as `cnn_learner` makes them, so there is no layer to look at:"
            " give `layer`, or heatmap=False",
        )
    return model[0]


class NoAndYes(nn.Module):
    """A model whose single output says yes, with a score for no and one for yes: each the negative of the other."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Scores [N, 2] of outputs [N, 1] or [N]."""
        yes = as_arguments(self.model(x))[0].reshape(len(x), 1)
        return torch.cat([-yes, yes], dim=1)


def grad_cam(model: nn.Module, x: Tensor, classes: Tensor, layer: nn.Module | None = None) -> Tensor:
    """Heat maps [N, h, w] >= 0, on the CPU: relu(sum_k w_k A_k), w_k the mean over h, w of d score / d A_k.

    Args:
        x: inputs [N, C, H, W].
        classes: int64 [N], whose raw scores are explained.
        layer: with the activations A. Default: the body.

    Raises LearnerError if the layer's activations are not [N, C, h, w].
    """
    layer = layer or body_of(model)
    model.eval()
    with torch.enable_grad():
        maps = LayerGradCam(model, layer).attribute(x, target=classes.to(x.device), relu_attributions=True)
    if not isinstance(maps, Tensor) or maps.ndim != 4:
        raise LearnerError("heatmap", f"the activations of {type(layer).__name__} have no rows and columns")
    return maps.detach()[:, 0].cpu()


def fine_enough(heat: Tensor, thresh: int) -> bool:
    """Whether a map [h, w] has at least `thresh` places."""
    return heat.numel() >= thresh

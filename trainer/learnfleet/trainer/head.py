"""The classifier that is put on a body (fastai v1 `create_head`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real

import torch
from torch import Tensor, nn

from learnfleet.trainer.errors import LearnerError

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
Init = Callable[[Tensor], Tensor]
INITS: dict[str, Init] = {
    "kaiming_normal": nn.init.kaiming_normal_,
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
}


class AdaptiveConcatPool2d(nn.Module):
    """Global max and average pooling side by side: [N, C, h, w] to [N, 2C, 1, 1], the maxima first."""

    def __init__(self) -> None:
        super().__init__()
        self.ap = nn.AdaptiveAvgPool2d(1)
        self.mp = nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.mp(x), self.ap(x)], 1)


def create_head(
    nf: int,
    nc: int,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    concat_pool: bool = True,
    bn_final: bool = False,
) -> nn.Sequential:
    """Pooling, then BatchNorm, dropout and a linear layer for each width, ReLU in between.

    Args:
        nf: features after pooling (already doubled under `concat_pool`).
        nc: outputs.
        lin_ftrs: widths of the hidden layers. None: one of 512.
        ps: dropout before each linear layer; a single value is the last one's, and hidden ones get half of it.

    Raises:
        ValueError: the number of dropouts is not 1 and not that of the linear layers; `lin_ftrs` is no list.
    """
    if isinstance(lin_ftrs, Integral):
        raise ValueError(f"lin_ftrs: {lin_ftrs} is one width; give a list, [{lin_ftrs}]")
    widths = [nf, *(lin_ftrs if lin_ftrs is not None else (512,)), nc]
    n_linear = len(widths) - 1
    dropouts = [float(ps)] if isinstance(ps, float | Real) else [float(p) for p in ps]
    if len(dropouts) == 1:
        dropouts = [dropouts[0] / 2] * (n_linear - 1) + dropouts
    if len(dropouts) != n_linear:
        raise ValueError(f"ps: {len(dropouts)} dropouts for {n_linear} linear layers; give one value or {n_linear}")
    layers: list[nn.Module] = [AdaptiveConcatPool2d() if concat_pool else nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for index, dropout in enumerate(dropouts):
        layers += _linear_block(widths[index], widths[index + 1], dropout, is_last=index == n_linear - 1)
    if bn_final:
        layers.append(nn.BatchNorm1d(nc, momentum=0.01))
    return nn.Sequential(*layers)


def _linear_block(n_in: int, n_out: int, dropout: float, *, is_last: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.BatchNorm1d(n_in)]
    if dropout:
        layers.append(nn.Dropout(dropout))
    layers.append(nn.Linear(n_in, n_out))
    if not is_last:
        layers.append(nn.ReLU(inplace=True))
    return layers


def init_named(name: str | None) -> Init | None:
    """The initialisation of that name; None leaves weights as they are. Raises LearnerError."""
    if name is None:
        return None
    if name not in INITS:
        raise LearnerError("head.init", f"there is no initialisation {name!r}; known: {', '.join(INITS)}")
    return INITS[name]


def apply_init(m: nn.Module, init_func: Init | None = nn.init.kaiming_normal_) -> None:
    """Weights by `init_func` and biases zero in every trainable module but BatchNorm (fastai v1 `apply_init`).

    None leaves all as it is. A head needs one, as some libraries start theirs 11-25 times too large.
    """
    if init_func is None:
        return
    for module in m.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(module, BATCH_NORMS) or not isinstance(weight, nn.Parameter) or not weight.requires_grad:
            continue
        if weight.ndim > 1:
            init_func(weight)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)

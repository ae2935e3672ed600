"""Small U-Nets for tests."""

from __future__ import annotations

from torch import nn

from learnfleet.trainer.unet import DynamicUnet, UnetBlock


def small_encoder(width: int = 4) -> nn.Sequential:
    """Maps of 1, 1/2, 1/4 and 1/8 of the picture."""

    def halve(ni: int, nf: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(ni, nf, 3, 2, 1), nn.BatchNorm2d(nf), nn.ReLU(inplace=True))

    return nn.Sequential(
        nn.Conv2d(3, width, 3, 1, 1), nn.ReLU(inplace=True), *(halve(width * i, width * (i + 1)) for i in (1, 2, 3))
    )


def blocks(unet: DynamicUnet) -> list[UnetBlock]:
    return [layer for layer in unet.layers if isinstance(layer, UnetBlock)]

"""Small U-Nets for tests."""

from __future__ import annotations

from support.memory_data import MemoryData
from torch import nn

from learnfleet.trainer.loss_functions import CrossEntropyFlat
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


class MaskData(MemoryData):
    """Random pictures, each with the mask of where its first channel is positive."""

    def __init__(self) -> None:
        super().__init__(c=2)
        self.loss_func = CrossEntropyFlat(axis=1)
        for loader in (self.train_dl, self.valid_dl, self.fix_dl):
            loader.y = (loader.x[:, :1] > 0).long()

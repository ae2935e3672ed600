"""Bodies of networks that are no plain row of children: pictures [N, 3, H, W] in, maps [N, C, h, w] out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import DenseNet, MaxVit, VisionTransformer


class ChannelsFirst(nn.Module):
    """A body whose maps come as [N, h, w, C] (Swin and others in timm), turned to [N, C, h, w]."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out.permute(0, 3, 1, 2).contiguous()


class TokenMap(nn.Module):
    """A body that gives tokens [N, prefix + h * w, C] for a fixed picture size, laid out as maps [N, C, h, w].

    Tokens before those of the patches (class, register) take part in the attention and are then left out: a map has
    no place for them, and pooling, Grad-CAM and a U-Net all need places.
    """

    def __init__(self, body: nn.Module, prefix: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.body, self.prefix, self.grid = body, prefix, grid

    def forward(self, x: Tensor) -> Tensor:
        return tokens_to_map(self.body(x)[:, self.prefix :], *self.grid)


def tokens_to_map(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """[N, rows * columns, C] to [N, C, rows, columns]. Raises ValueError for another number of tokens."""
    if tokens.shape[1] != rows * columns:
        raise ValueError(f"{tokens.shape[1]} tokens are no map of {rows} x {columns}: give pictures of the native size")
    return tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns)


class _Encoder(nn.Module):
    """torchvision's, but for the position embeddings, which it would add itself."""

    def __init__(self, encoder: VisionTransformer) -> None:
        super().__init__()
        self.pos_embedding: nn.Parameter = encoder.pos_embedding
        self.dropout: nn.Module = encoder.dropout
        self.layers: nn.Sequential = encoder.layers
        self.ln: nn.Module = encoder.ln

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.ln(self.layers(self.dropout(tokens)))
        return out


class VisionTransformerBody(nn.Module):
    """torchvision's ViT without its classifier: the patch tokens after the last LayerNorm, as a map.

    Pictures may be of any size that is a multiple of the patch: position embeddings are interpolated (bicubic, as is
    usual when a ViT is tuned at another resolution; Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.2).
    """

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        self.conv_proj: nn.Module = vit.conv_proj
        self.class_token: nn.Parameter = vit.class_token
        self.encoder = _Encoder(vit.encoder)
        self.grid: int = vit.image_size // vit.patch_size

    def forward(self, x: Tensor) -> Tensor:
        patches = self.conv_proj(x)
        rows, columns = patches.shape[-2:]
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        tokens = self.encoder(tokens + self._positions(rows, columns))
        return tokens_to_map(tokens[:, 1:], rows, columns)

    def _positions(self, rows: int, columns: int) -> Tensor:
        positions = self.encoder.pos_embedding
        if (rows, columns) == (self.grid, self.grid):
            return positions
        grid = tokens_to_map(positions[:, 1:], self.grid, self.grid)
        grid = F.interpolate(grid, (rows, columns), mode="bicubic", align_corners=False)
        return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], 1)


def densenet_body(network: DenseNet) -> nn.Module:
    """The features and the ReLU after them, which DenseNet has in its `forward` (lost in fastai v1)."""
    return nn.Sequential(network.features, nn.ReLU(inplace=True))


def maxvit_body(network: MaxVit) -> nn.Module:
    """Stem and blocks; the blocks are a list, which a Sequential cannot run as it is."""
    return nn.Sequential(network.stem, nn.Sequential(*network.blocks))

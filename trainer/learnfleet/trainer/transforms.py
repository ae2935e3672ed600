"""fastai's `get_transforms` as batch operations: parameters by counter, one table and one resampling a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from learnfleet.trainer import geometry
from learnfleet.trainer.counter import uniform
from learnfleet.trainer.data_spec import PaddingMode, TransformSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.extra_transforms import STREAMS, ExtraTransform, build_extra
from learnfleet.trainer.pixels import Stats, lit_table, look_up, plain_table
from learnfleet.trainer.spec_base import Component

_P_FLIP = 0.5
# Columns of the random numbers of a picture. Their places are part of the format: a new one goes to the end, so that
# old ones keep their values and runs can be repeated.
_CROP_ROW, _CROP_COLUMN, _FLIP, _WARP, _ROTATE, _DEGREES, _ZOOM, _SCALE, _ZOOM_ROW, _ZOOM_COLUMN = range(10)
_BRIGHTNESS, _CHANGE, _CONTRAST, _FACTOR = range(10, 14)
_MAGNITUDES = slice(14, 18)
_N_STREAMS = 18


def get_transforms(
    do_flip: bool = True,
    flip_vert: bool = False,
    max_rotate: float = 10.0,
    max_zoom: float = 1.1,
    max_lighting: float = 0.2,
    max_warp: float = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: Sequence[Component] | None = None,
) -> TransformSpec:
    """What to do to training pictures, for `ds_tfms=` (fastai's names and defaults). Validation is always a plain crop.

    Args:
        flip_vert: with `do_flip`: all eight symmetries, not only left and right.
        max_rotate: degrees either way.
        max_zoom: enlargement; 1 for none.
        max_lighting: share in [0, 1).
        max_warp: share by which the edges may lengthen, in [0, 1).
        p_affine: probability of warp, rotation and zoom, each by itself. p_lighting: of brightness and contrast.
        xtra_tfms: further ones, as `cutout()`, of `transform_components`.
    """
    return TransformSpec(
        do_flip, flip_vert, max_rotate, max_zoom, max_lighting, max_warp, p_affine, p_lighting, tuple(xtra_tfms or ())
    )


@dataclass(frozen=True)
class AugmentParameters:
    """What is done to each of N pictures, on the CPU. Depends on (seed, epoch, index) of the picture alone."""

    crops: Tensor  # float64 [N, 2]: row and column share of the free play
    matrices: Tensor | None  # float64 [N, 3, 3], see `geometry`; None if no picture is moved
    brightness: Tensor  # float64 [N]
    contrast: Tensor  # float64 [N]
    extra: Tensor | None = None  # float64 [N, STREAMS for each extra transform]


def join_parameters(parts: Sequence[AugmentParameters]) -> AugmentParameters:
    """Those of several groups of pictures, one after the other."""
    matrices = [part.matrices for part in parts if part.matrices is not None]
    extra = [part.extra for part in parts if part.extra is not None]
    return AugmentParameters(
        torch.cat([part.crops for part in parts]),
        torch.cat(matrices) if matrices else None,
        torch.cat([part.brightness for part in parts]),
        torch.cat([part.contrast for part in parts]),
        torch.cat(extra) if extra else None,
    )


class BatchAugment:
    """The training transforms of a TransformSpec for pictures of one shape."""

    def __init__(
        self, spec: TransformSpec, seed: int, aspect: float = 1.0, padding: PaddingMode = "reflection"
    ) -> None:
        """`aspect`: rows / columns of the pictures, unless told later. Raises LearnerError naming what is wrong."""
        _check(spec)
        self._spec, self._seed, self._aspect, self._padding = spec, seed, aspect, padding
        self._extra = [build_extra(item, f"data.transforms.extra[{i}]") for i, item in enumerate(spec.extra)]
        moves = spec.do_flip or spec.max_warp > 0 or spec.max_rotate > 0 or spec.max_zoom > 1
        self._moves = moves or any(item.moves for item in self._extra)
        warps = spec.max_warp > 0 or spec.max_rotate > 0 or spec.max_zoom > 1
        self._lights = spec.max_lighting > 0 or any(item.name in ("brightness", "contrast") for item in self._extra)
        # Where pictures are only mirrored, bytes are exchanged and nothing is resampled.
        self._only_mirrors = not warps and all(not item.moves or item.name == "flip_lr" for item in self._extra)
        self._only_mirrors = self._only_mirrors and not (spec.do_flip and spec.flip_vert)

    @property
    def window(self) -> RandomWindow | None:
        """The random window that is scaled to the size, where there is one (`rand_resize_crop`)."""
        return next((RandomWindow(item.arguments) for item in self._extra if item.name == "rand_resize_crop"), None)

    def window_draws(self, parameters: AugmentParameters) -> list[list[float]]:
        """The random numbers that `window` is for, a list a picture."""
        names = [item.name for item in self._extra]
        assert parameters.extra is not None
        own = torch.split(parameters.extra, STREAMS, dim=1)[names.index("rand_resize_crop")]
        draws: list[list[float]] = own.tolist()
        return draws

    def parameters(self, epoch: int, indices: Tensor, aspect: float | None = None) -> AugmentParameters:
        """Draw for the pictures `indices` (int64 [N]) in `epoch`.

        Args:
            aspect: rows / columns of these pictures, where it is known only now.
        """
        u = uniform(self._seed, epoch, indices, _N_STREAMS + STREAMS * len(self._extra))
        brightness, contrast = self._lighting(u)
        extra = u[:, _N_STREAMS:] if self._extra else None
        matrices = self._matrices(u, aspect or self._aspect) if self._moves else None
        return AugmentParameters(u[:, :2], matrices, brightness, contrast, extra)

    def apply(self, pixels: Tensor, parameters: AugmentParameters, stats: Stats) -> Tensor:
        """Lit, normalised and moved: float32 [N, 3, H, W] of uint8 [N, 3, H, W] that is already cropped."""
        if self._only_mirrors and parameters.matrices is not None:
            pixels = _mirrored(pixels, parameters.matrices)
        lit = lit_table(stats, parameters.brightness, parameters.contrast) if self._lights else plain_table(stats)
        x = look_up(pixels, lit)
        black, white = _normalised_ends(stats, x.device)
        if parameters.matrices is not None and not self._only_mirrors:
            # Outside the picture is black, which after normalisation is not zero.
            shift = black.view(1, 3, 1, 1) if self._padding == "zeros" else None
            x = x if shift is None else x - shift
            x = geometry.resample(x, self._places(x, parameters), self._padding)
            x = x if shift is None else x + shift
        for item, u in self._extras(parameters):
            x = item.paint(x, u, black, white)
        return x

    def apply_to_masks(self, masks: Tensor, parameters: AugmentParameters) -> Tensor:
        """Moved as their pictures are, int64 [N, 1, H, W] of uint8; lighting and holes leave them as they are."""
        if parameters.matrices is None:
            return masks.long()
        if self._only_mirrors:
            return _mirrored(masks, parameters.matrices).long()
        places = self._places(masks, parameters)
        return geometry.resample(masks.float(), places, self._padding, "nearest").round().long()

    def _places(self, x: Tensor, parameters: AugmentParameters) -> Tensor:
        assert parameters.matrices is not None
        places = geometry.grid(parameters.matrices, x.shape[-2], x.shape[-1], x.device)
        for item, u in self._extras(parameters):
            places = item.move(places, u)
        return places

    def _extras(self, parameters: AugmentParameters) -> Iterator[tuple[ExtraTransform, Tensor]]:
        if parameters.extra is not None:
            yield from zip(self._extra, torch.split(parameters.extra, STREAMS, dim=1), strict=True)

    def _matrices(self, u: Tensor, aspect: float) -> Tensor:
        spec, n = self._spec, len(u)
        matrices = geometry.identity(n)
        if spec.max_rotate > 0:
            turned = u[:, _ROTATE] < spec.p_affine
            degrees = (2.0 * u[:, _DEGREES] - 1.0) * spec.max_rotate
            matrices = geometry.rotation(degrees * turned, aspect)
        if spec.max_zoom > 1:
            zoomed = u[:, _ZOOM] < spec.p_affine
            scale = 1.0 + u[:, _SCALE] * (spec.max_zoom - 1.0) * zoomed
            matrices = geometry.compose(matrices, geometry.zoom(scale, u[:, _ZOOM_ROW], u[:, _ZOOM_COLUMN]))
        if spec.max_warp > 0:
            warped = (u[:, _WARP] < spec.p_affine).unsqueeze(1)
            magnitude = (2.0 * u[:, _MAGNITUDES] - 1.0) * spec.max_warp
            matrices = geometry.compose(matrices, geometry.symmetric_warp(magnitude * warped))
        if spec.do_flip:
            matrices = geometry.compose(matrices, geometry.dihedral(self._symmetry(u[:, _FLIP])))
        for item, own in zip(self._extra, torch.split(u[:, _N_STREAMS:], STREAMS, dim=1), strict=False):
            moved = item.matrices(own, aspect)
            matrices = matrices if moved is None else geometry.compose(matrices, moved)
        return matrices

    def _symmetry(self, u: Tensor) -> Tensor:
        return (u * 8).long() if self._spec.flip_vert else (u < _P_FLIP).long()

    def _lighting(self, u: Tensor) -> tuple[Tensor, Tensor]:
        spec = self._spec
        changed, stretched = u[:, _BRIGHTNESS] < spec.p_lighting, u[:, _CONTRAST] < spec.p_lighting
        brightness = 0.5 + (u[:, _CHANGE] - 0.5) * spec.max_lighting * changed
        # Log-uniform between 1 - l and 1 / (1 - l): halving and doubling are equally likely.
        contrast = torch.exp((1.0 - 2.0 * u[:, _FACTOR]) * math.log(1.0 - spec.max_lighting) * stretched)
        return self._further_lighting(u, brightness, contrast)

    def _further_lighting(self, u: Tensor, brightness: Tensor, contrast: Tensor) -> tuple[Tensor, Tensor]:
        """((l + b) c + b') c' of a logit l is (l + b + b' / c) c c': any number of changes is one."""
        for item, own in zip(self._extra, torch.split(u[:, _N_STREAMS:], STREAMS, dim=1), strict=False):
            light = item.light(own)
            if light is not None:
                added, factor = light
                changed = torch.sigmoid(torch.logit(brightness) + added / contrast)
                brightness = torch.where(added == 0, brightness, changed)
                contrast = contrast * factor
        return brightness, contrast


def _mirrored(pixels: Tensor, matrices: Tensor) -> Tensor:
    """Those pictures [N, ..., W] mirrored left and right whose homography is that."""
    flipped = (matrices[:, 0, 0] < 0).to(pixels.device).view(-1, *[1] * (pixels.ndim - 1))
    return torch.where(flipped, pixels.flip(-1), pixels)


def _check(spec: TransformSpec) -> None:
    for name in ("max_lighting", "max_warp"):
        if not 0 <= getattr(spec, name) < 1:
            raise LearnerError(f"data.transforms.{name}", f"{getattr(spec, name)} is not in [0, 1)")
    for name in ("p_affine", "p_lighting"):
        if not 0 <= getattr(spec, name) <= 1:
            raise LearnerError(f"data.transforms.{name}", f"{getattr(spec, name)} is not a probability in [0, 1]")


def _normalised_ends(stats: Stats, device: torch.device) -> tuple[Tensor, Tensor]:
    """Black and white as the model sees them, float32 [3] each."""
    mean, std = (torch.tensor(part, device=device) for part in stats)
    return -mean / std, (1 - mean) / std


@dataclass(frozen=True)
class RandomWindow:
    """The window of `rand_resize_crop`: of a random area and ratio, anywhere in the picture."""

    arguments: Mapping[str, Any]

    @property
    def oversize(self) -> float:
        """How much larger than the wanted size pictures are kept, so that windows stay sharp; 2 at most, as memory and
        time grow with its square.
        """
        return float(min(2.0, self.arguments["max_scale"]))

    def of(self, shape: Sequence[int], u: Sequence[float]) -> tuple[int, int, int, int] | None:
        """(top, left, rows, columns) in a picture [.., H, W]; None where the plain crop is kept.

        Args:
            u: STREAMS uniform numbers.
        """
        if u[0] >= self.arguments["p"]:
            return None
        height, width = shape[-2:]
        least = 1 / self.arguments["max_scale"] ** 2
        area = height * width * (least + u[1] * (1 - least))
        low, high = math.log(self.arguments["ratios"][0]), math.log(self.arguments["ratios"][-1])
        ratio = math.exp(low + u[2] * (high - low))
        columns = max(1, min(width, round(math.sqrt(area * ratio))))
        rows = max(1, min(height, round(math.sqrt(area / ratio))))
        return int(u[3] * (height - rows + 1)), int(u[4] * (width - columns + 1)), rows, columns

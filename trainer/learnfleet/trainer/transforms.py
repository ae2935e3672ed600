"""fastai's `get_transforms` as batch operations: parameters by counter, one table and one resampling a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from learnfleet.trainer import geometry
from learnfleet.trainer.counter import uniform
from learnfleet.trainer.data_spec import PaddingMode, TransformSpec
from learnfleet.trainer.extra_transforms import STREAMS, ExtraTransform, build_extra
from learnfleet.trainer.pixels import Stats, lit_table, look_up, normalized
from learnfleet.trainer.random_window import RandomWindow
from learnfleet.trainer.spec_base import Component
from learnfleet.trainer.transform_components import check_ranges, further

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
    max_rotate: float | None = 10.0,
    max_zoom: float = 1.1,
    max_lighting: float | None = 0.2,
    max_warp: float | None = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: Component | Sequence[Component] | None = None,
) -> TransformSpec:
    """What to do to training pictures, for `ds_tfms=` (fastai's names and defaults). Validation is always a plain crop.

    Args:
        flip_vert: with `do_flip`: all eight symmetries, not only left and right.
        max_rotate: degrees either way. Of it, `max_lighting` and `max_warp`, 0 and None are none.
        max_zoom: enlargement; 1 for none.
        max_lighting: share in [0, 1).
        max_warp: share by which the edges may lengthen, in [0, 1).
        p_affine: probability of warp, rotation and zoom, each by itself. p_lighting: of brightness and contrast.
        xtra_tfms: further ones, as `cutout()`, of `transform_components`.
    """
    rotate, lighting, warp = max_rotate or 0.0, max_lighting or 0.0, max_warp or 0.0
    extra = further(xtra_tfms)
    return TransformSpec(do_flip, flip_vert, rotate, max_zoom, lighting, warp, p_affine, p_lighting, extra)


@dataclass(frozen=True)
class AugmentParameters:
    """What is done to each of N pictures, on the CPU. Depends on (seed, epoch, index) of the picture alone."""

    crops: Tensor  # float64 [N, 2]: row and column share of the free play
    matrices: Tensor | None  # float64 [N, 3, 3], see `geometry`; None if no picture is moved
    brightness: Tensor  # float64 [N]
    contrast: Tensor  # float64 [N]
    extra: Tensor | None = None  # float64 [N, STREAMS for each extra transform]
    mirrored: Tensor | None = None  # bool [N], where `matrices` do nothing but mirror left and right; else None

    def part(self, start: int, stop: int) -> AugmentParameters:
        """Those of the pictures [start, stop)."""
        parts = [
            None if values is None else values[start:stop] for values in (self.matrices, self.extra, self.mirrored)
        ]
        crops, brightness, contrast = (v[start:stop] for v in (self.crops, self.brightness, self.contrast))
        return AugmentParameters(crops, parts[0], brightness, contrast, parts[1], parts[2])


def join_parameters(parts: Sequence[AugmentParameters]) -> AugmentParameters:
    """Those of several groups of pictures, one after the other."""
    matrices, extra, mirrored = (
        [values for values in group if values is not None]
        for group in zip(*((part.matrices, part.extra, part.mirrored) for part in parts), strict=True)
    )
    return AugmentParameters(
        torch.cat([part.crops for part in parts]),
        torch.cat(matrices) if matrices else None,
        torch.cat([part.brightness for part in parts]),
        torch.cat([part.contrast for part in parts]),
        torch.cat(extra) if extra else None,
        torch.cat(mirrored) if mirrored else None,
    )


class BatchAugment:
    """The training transforms of a TransformSpec for pictures of one shape."""

    def __init__(
        self, spec: TransformSpec, seed: int, aspect: float = 1.0, padding: PaddingMode = "reflection"
    ) -> None:
        """`aspect`: rows / columns of the pictures, unless told later. Raises LearnerError naming what is wrong."""
        check_ranges(spec)
        self._spec, self._seed, self._aspect, self._padding = spec, seed, aspect, padding
        self._extra = [build_extra(item, f"data.transforms.extra[{i}]") for i, item in enumerate(spec.extra)]
        warps = spec.max_warp > 0 or spec.max_rotate > 0 or spec.max_zoom > 1
        moving = {item.name for item in self._extra if item.moves}
        self._moves = warps or spec.do_flip or bool(moving)
        self._lights = spec.max_lighting > 0 or any(item.name in ("brightness", "contrast") for item in self._extra)
        # Where pictures are only mirrored, bytes are exchanged and nothing is resampled.
        self._only_mirrors = self._moves and not (warps or spec.flip_vert or moving - {"flip_lr"})

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
        brightness, contrast = self._lighting(u) if self._lights else _no_lighting(len(u))
        extra = u[:, _N_STREAMS:] if self._extra else None
        mirrored = self._mirrored(u) if self._only_mirrors else None
        matrices = None
        if mirrored is not None:
            matrices = geometry.dihedral(mirrored.long())
        elif self._moves:
            matrices = self._matrices(u, aspect or self._aspect)
        return AugmentParameters(u[:, :2], matrices, brightness, contrast, extra, mirrored)

    def apply(self, pixels: Tensor, parameters: AugmentParameters, stats: Stats, out: Tensor | None = None) -> Tensor:
        """Lit, normalised and moved: float32 [N, 3, H, W] of uint8 [N, 3, H, W] that is already cropped.

        Args:
            out: where it may be written; it is what is returned that counts. None: a new tensor.
        """
        x = self.apply_to_pictures(pixels, parameters, stats, out)
        for item, u in self._painting(parameters):
            x = item.paint(x, u, *_normalised_ends(stats, x.device))
        return x

    def apply_to_pictures(
        self, pixels: Tensor, parameters: AugmentParameters, stats: Stats, out: Tensor | None = None
    ) -> Tensor:
        """As `apply`, of pictures that are targets: without holes and coloured noise, which a model is to undo."""
        if parameters.mirrored is not None:
            pixels = mirror(pixels, parameters.mirrored)
        if self._lights:
            x = look_up(pixels, lit_table(stats, parameters.brightness, parameters.contrast))
        else:
            x = normalized(pixels, stats, out)
        if parameters.matrices is not None and parameters.mirrored is None:
            x = self._moved(x, parameters, stats)
        return x

    def _moved(self, x: Tensor, parameters: AugmentParameters, stats: Stats) -> Tensor:
        if self._padding != "zeros":
            return geometry.resample(x, self._places(x, parameters), self._padding)
        # Outside the picture is black, which after normalisation is not zero.
        black = _normalised_ends(stats, x.device)[0].view(1, 3, 1, 1)
        return geometry.resample(x - black, self._places(x, parameters), self._padding) + black

    def apply_to_masks(self, masks: Tensor, parameters: AugmentParameters) -> Tensor:
        """Moved as their pictures are, int64 [N, 1, H, W] of uint8; lighting and holes leave them as they are."""
        if parameters.matrices is None:
            return masks.long()
        if parameters.mirrored is not None:
            return mirror(masks, parameters.mirrored).long()
        places = self._places(masks, parameters)
        return geometry.resample(masks.float(), places, self._padding, "nearest").round().long()

    def apply_to_points(self, points: Tensor, parameters: AugmentParameters, size: tuple[int, int]) -> Tensor:
        """Where points of the pictures lie after these were moved, float32 [N, K, 2]: (y, x) in [-1, 1] as given.

        Those that are moved out of their picture lie beyond -1 or 1. Under `jitter`, which sends neighbouring pixels
        different ways, they stay.

        Args:
            size: rows and columns of the pictures.
        """
        if parameters.matrices is None:
            return points
        places = points.flip(-1)
        for item, u in self._extras(parameters):
            shift = item.shift(u, size)
            if shift is not None:
                places = places - shift.to(places.device).view(-1, 1, 2)
        return geometry.moved_points(geometry.adjugate(parameters.matrices), places).flip(-1)

    def _places(self, x: Tensor, parameters: AugmentParameters) -> Tensor:
        assert parameters.matrices is not None
        places = geometry.grid(parameters.matrices, x.shape[-2], x.shape[-1], x.device)
        for item, u in self._extras(parameters):
            places = item.move(places, u)
        return places

    def _extras(self, parameters: AugmentParameters) -> Iterator[tuple[ExtraTransform, Tensor]]:
        if parameters.extra is not None:
            yield from zip(self._extra, torch.split(parameters.extra, STREAMS, dim=1), strict=True)

    def _painting(self, parameters: AugmentParameters) -> Iterator[tuple[ExtraTransform, Tensor]]:
        return ((item, u) for item, u in self._extras(parameters) if item.paints)

    def _mirrored(self, u: Tensor) -> Tensor:
        """Bool [N]: an odd number of mirrorings."""
        mirrored = (u[:, _FLIP] < _P_FLIP) & self._spec.do_flip
        for item, own in zip(self._extra, torch.split(u[:, _N_STREAMS:], STREAMS, dim=1), strict=False):
            if item.name == "flip_lr":
                mirrored = mirrored ^ item.draw(own).done
        return mirrored

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


def mirror(pixels: Tensor, mirrored: Tensor) -> Tensor:
    """Some of the pictures [N, ..., W] with left and right exchanged."""
    if pixels.device.type == "cpu":  # `where` takes ten times as long for bytes
        pairs = zip(pixels, mirrored.tolist(), strict=True)
        return torch.stack([picture.flip(-1) if wanted else picture for picture, wanted in pairs])
    wanted = mirrored.to(pixels.device).view(-1, *[1] * (pixels.ndim - 1))
    return torch.where(wanted, pixels.flip(-1), pixels)


def _no_lighting(n: int) -> tuple[Tensor, Tensor]:
    return torch.full((n,), 0.5, dtype=torch.float64), torch.ones(n, dtype=torch.float64)


def _normalised_ends(stats: Stats, device: torch.device) -> tuple[Tensor, Tensor]:
    """Black and white as the model sees them, float32 [3] each."""
    mean, std = (torch.tensor(part, device=device) for part in stats)
    return -mean / std, (1 - mean) / std

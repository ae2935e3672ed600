"""Labelled pictures, and how they become a data bunch: the end of the data-block API of described data."""

from __future__ import annotations

import math
from typing import Any, Self, Unpack

from learnfleet.client.data_options import LoadingOptions, Normalize, Options, Size
from learnfleet.client.data_sources import Source
from learnfleet.client.data_specs import ImageDataBunch
from learnfleet.client.transform_specs import TransformsLike, as_transforms


class LabelList:
    """Labelled pictures, before they are loaded."""

    def __init__(self, source: Source, kind: str, classes: tuple[str, ...], log: bool) -> None:
        self._source, self._kind, self._classes, self._log = source, kind, classes, log
        self._test, self._margin = "", 0
        self._loading: LoadingOptions = {}
        self._window: tuple[int, dict[str, Any]] | None = None

    def transform(
        self,
        tfms: TransformsLike = None,
        size: Size = None,
        resize_method: str | None = None,
        mult: int | None = None,
        padding_mode: str = "reflection",
        tfm_y: bool | None = None,
    ) -> Self:
        """How training pictures are augmented, and how all get one size (see `data_options.Options`)."""
        self._loading = {
            "ds_tfms": tfms,
            "size": size,
            "resize_method": resize_method,
            "mult": mult,
            "padding_mode": padding_mode,
            "tfm_y": tfm_y,
        }
        return self

    def presize(
        self,
        size: int,
        val_xtra_size: int = 32,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> Self:
        """Train on random windows scaled to `size`, and validate on the middle of pictures `val_xtra_size` larger."""
        if not 0 < scale[0] <= 1 or scale[1] != 1:
            raise ValueError(f"scale is {scale}; must be (a share, 1)")
        self._window = (size, {"max_scale": 1 / math.sqrt(scale[0]), "ratios": list(ratio)})
        self._margin = val_xtra_size
        return self

    def add_test_folder(self, test_folder: str = "test") -> Self:
        """Pictures without labels below a folder of the folder."""
        self._test = test_folder
        return self

    def databunch(
        self, bs: int = 64, val_bs: int | None = None, normalize: Normalize = None, bad_image: str = "skip"
    ) -> ImageDataBunch:
        """The described data (see `data_options.Options`)."""
        loading: LoadingOptions = {
            **self._loading,
            "bs": bs,
            "val_bs": val_bs,
            "normalize": normalize,
            "bad_image": bad_image,
        }
        if self._window is not None:
            size, arguments = self._window
            given = as_transforms(loading.get("ds_tfms"))
            loading["ds_tfms"] = ([given, ("rand_resize_crop", arguments)], [])
            loading["size"] = size
        return self._made(**loading)

    def _made(self, **loading: Unpack[LoadingOptions]) -> ImageDataBunch:
        made = ImageDataBunch(
            self._source, labels=self._kind, given_classes=self._classes, **Options(**loading).fields(self._kind)
        )
        return made.with_options(log=self._log, test=self._test, valid_margin=self._margin)

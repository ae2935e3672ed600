"""Described data: its options, its form as a message, and what the server says of it once it has looked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from learnfleet.client.data_options import (
    BAD_IMAGE,
    LABELS,
    PADDING_MODES,
    RESIZE_METHODS,
    Normalize,
    Size,
    Stats,
    checked_stats,
    known,
    normalization,
)
from learnfleet.client.data_sources import Source
from learnfleet.client.dataset_paths import put_dataset
from learnfleet.client.dataset_types import DatasetType, Part
from learnfleet.client.transform_specs import Transforms
from learnfleet.v1 import learner_pb2

if TYPE_CHECKING:
    from learnfleet.client.events import DataRead
    from learnfleet.client.interpretation import Picture
    from learnfleet.client.job import Job
    from learnfleet.client.learner import RemoteLearner

_DEFAULT_SEED = 42  # as the trainer's, where none is given


@dataclass
class DataBunch:
    """Where pictures are, and how they become batches.

    `train_ds`, `valid_ds`, `train_dl`, ... stand for the parts: their lengths are known once the server has read the
    data, and `learn.validate(data.valid_dl)` takes them.
    """

    source: Source
    ds_tfms: Transforms | None = None
    size: Size = None
    bs: int = 64
    val_bs: int | None = None
    resize_method: str | None = None  # None: a square size crops, (rows, columns) squishes, no size leaves as is
    normalization: Normalize = None
    bad_image: str = "skip"
    labels: str = ""  # "": the source's own
    given_classes: tuple[str, ...] = ()
    test: str = ""
    padding_mode: str = "reflection"
    log: bool = False
    valid_margin: int = 0
    normalizes_targets: bool = False
    _read: DataRead | None = field(default=None, init=False, repr=False, compare=False)
    _job: Job | None = field(default=None, init=False, repr=False, compare=False)  # the first that reads it

    def with_options(
        self,
        val_bs: int | None = None,
        resize_method: str | None = None,
        normalize: Normalize = None,
        bad_image: str | None = None,
        classes: Sequence[str] | None = None,
        test: str | None = None,
        padding_mode: str | None = None,
        log: bool | None = None,
        valid_margin: int | None = None,
        normalizes_targets: bool | None = None,
    ) -> Self:
        """The same with these changed; what is None stays. Raises ValueError for an unknown word.

        Args:
            valid_margin: pixels that pictures which are not trained on are larger, before their middle is taken.
            normalizes_targets: normalise the pictures that are the targets as those that they are made of.
        """
        if isinstance(classes, str):
            raise ValueError(f"classes is {classes!r}, one name, not a list of them: give [{classes!r}]")
        given: dict[str, Any] = {
            "val_bs": val_bs,
            "resize_method": resize_method,
            "normalization": normalize,
            "bad_image": bad_image,
            "given_classes": None if classes is None else tuple(str(name) for name in classes),
            "test": test,
            "padding_mode": padding_mode,
            "log": log,
            "valid_margin": valid_margin,
            "normalizes_targets": normalizes_targets,
        }
        changed = replace(self, **{name: value for name, value in given.items() if value is not None})
        known(changed.method, RESIZE_METHODS, "resize_method")
        known(changed.bad_image, BAD_IMAGE, "bad_image")
        known(changed.padding_mode, PADDING_MODES, "padding_mode")
        return changed

    def normalize(self, stats: Stats | None = None, do_x: bool = True, do_y: bool = False) -> Self:
        """Subtract the mean and divide by the std, each three values of pixels in [0, 1], as `imagenet_stats`.

        Args:
            stats: None has the server measure them on the first batch of training pictures, now.
            do_y: those of the targets, too, where they are pictures.

        Raises ValueError if the data is normalised already.
        """
        if self.normalization is not None:
            raise ValueError("Can not call normalize twice: it is done already; describe the data anew")
        if do_y and self.kind != "image":
            raise ValueError("do_y: only targets that are pictures can be normalised")
        if not do_x:
            return self
        self.normalization, self.normalizes_targets = checked_stats(stats or self._measured()), do_y
        return self

    def add_test_folder(self, test_folder: str = "test") -> Self:
        """Pictures without labels below the folder of the data, for `get_preds(DatasetType.Test)`."""
        self.test = test_folder
        return self

    @property
    def path(self) -> PurePosixPath:
        """Of the pictures, on the server."""
        return PurePosixPath(self.source.path)

    @property
    def batch_size(self) -> int:
        return self.bs

    @property
    def kind(self) -> str:
        """What the targets are: category, multi_category, float, mask, points or image."""
        from learnfleet.client.data_sources import Masks

        return self.labels or ("mask" if isinstance(self.source, Masks) else "category")

    # --- what the server says

    @property
    def classes(self) -> list[str]:
        """Their names. If they were not given, the server reads the data for it, once."""
        return list(self.given_classes) if self.given_classes else list(self.what_was_read().classes)

    @property
    def c(self) -> int:
        """How many classes."""
        return len(self.classes)

    def show_batch(
        self,
        rows: int = 5,
        ds_type: DatasetType = DatasetType.Train,
        figsize: tuple[float, float] | None = None,
    ) -> Picture:
        """Items as a model sees them, in a square grid. The server reads the data for it.

        Args:
            figsize: inches that a notebook shows it in.
        """
        return self._look(rows, ds_type).sized(figsize)

    def what_was_read(self) -> DataRead:
        """Classes and counts, as the first job that reads the data finds them; one is begun where there is none yet."""
        if self._read is None:
            if self._job is None:
                self._look(1, DatasetType.Train)
            else:
                self._read = self._job.data_read()
        assert self._read is not None
        return self._read

    def is_read_by(self, job: Job) -> None:
        """The job reads this data."""
        self._job = self._job or job

    def _look(self, rows: int, ds_type: DatasetType) -> Picture:
        """Have a learner of the default client look at the data."""
        with self._looker() as looker:
            return looker.show_batch(rows, ds_type)

    def _measured(self) -> Stats:
        """Mean and standard deviation of the pictures, from the server: of the batch that the trainer would look at,
        which is drawn by the seed of the data.
        """
        given = getattr(self.source, "seed", getattr(getattr(self.source, "split", None), "seed", None))
        with self._looker(_DEFAULT_SEED if given is None else given) as looker:
            found = looker.described()
        return found.channel_means, found.channel_stds

    @contextmanager
    def _looker(self, seed: int = 0) -> Iterator[RemoteLearner]:
        """A learner of the default client whose only use is to look at the data: it is deleted again."""
        from learnfleet.client.default import default_client
        from learnfleet.client.errors import LearnfleetError
        from learnfleet.client.run_settings import RunSettings
        from learnfleet.client.specs import LearnerSpec

        looker = default_client().new_learner(LearnerSpec(replace(self), "resnet18", seed=seed), "", RunSettings())
        try:
            yield looker
            if self._read is None and looker.last_job is not None:
                self._read = looker.last_job.data_read()
        finally:
            if looker.spec is None:  # it has come to be
                with suppress(LearnfleetError):  # what is left behind is no concern of who looked
                    looker.delete()

    @property
    def train_ds(self) -> Part:
        return Part(DatasetType.Train, self)

    @property
    def valid_ds(self) -> Part:
        return Part(DatasetType.Valid, self)

    @property
    def train_dl(self) -> Part:
        return Part(DatasetType.Train, self, in_batches=True)

    @property
    def valid_dl(self) -> Part:
        return Part(DatasetType.Valid, self, in_batches=True)

    @property
    def fix_dl(self) -> Part:
        return Part(DatasetType.Fix, self, in_batches=True)

    # --- the message

    @property
    def method(self) -> str:
        """The resize method in words."""
        if self.size is None:
            return "no"
        return self.resize_method or ("crop" if isinstance(self.size, int) else "squish")

    def to_proto(self) -> learner_pb2.DataSpec:
        message = learner_pb2.DataSpec(
            resize_method=RESIZE_METHODS[self.method],
            batch_size=self.bs,
            validation_batch_size=self.val_bs or 0,
            transforms=self.ds_tfms.to_proto() if self.ds_tfms else None,
            normalization=normalization(self.normalization),
            bad_image_policy=BAD_IMAGE[self.bad_image],
            labels=LABELS[self.labels] if self.labels else learner_pb2.LABEL_KIND_UNSPECIFIED,
            classes=self.given_classes,
            test=self.test,
            padding_mode=PADDING_MODES[self.padding_mode],
            log=self.log,
            validation_margin=self.valid_margin,
            normalizes_targets=self.normalizes_targets,
        )
        if self.size is not None and self.method != "no":
            message.size.rows, message.size.columns = (
                (self.size, self.size) if isinstance(self.size, int) else self.size
            )
        self.source.put(message)
        put_dataset(message)
        return message

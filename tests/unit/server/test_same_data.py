"""The same words describe the same data both ways: files, labels, classes and split are those of the trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.pictures import a_class_folder, a_data_folder

import learnfleet.client
import learnfleet.trainer
from learnfleet.client.drawn_split import permutation
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.rpc.ports import Argument
from learnfleet.server.rpc.read_component import Names
from learnfleet.server.rpc.read_data import read_data
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.spec_base import Component
from learnfleet.trainer.transform_components import available_transforms

Made = Callable[[ModuleType, Path], Any]
NAMES = [f"p{number:02}.png" for number in range(20)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of classes, tables, and pictures with masks."""
    root = tmp_path_factory.mktemp("data")
    a_data_folder(root / "split")
    a_class_folder(root / "mixed" / "ant", 9)
    a_class_folder(root / "mixed" / "bee", 9, first=40)
    for file in sorted(a_class_folder(root / "listed", 20).iterdir()):
        file.rename(file.with_name(f"p{file.stem[1:]}.png"))
    rows = [
        f"p{number:02},{'sun rain' if number % 2 else 'sun'},{number % 5 == 0},{number % 2}" for number in range(20)
    ]
    (root / "listed" / "labels.csv").write_text("\n".join(["name,tags,validates,class", *rows]))
    a_class_folder(root / "scenes" / "images", 6)
    (root / "scenes" / "labels").mkdir()
    for number in range(6):
        mask = Image.fromarray(np.full((16, 20), number % 2, np.uint8))
        mask.save(root / "scenes" / "labels" / f"{number:03}_P.png")
    return root


def frame() -> pd.DataFrame:
    return pd.DataFrame({"name": NAMES, "ant": [i % 2 for i in range(20)], "bee": [1 - i % 2 for i in range(20)]})


def from_folder(names: ModuleType, root: Path) -> Any:
    tfms = names.get_transforms(xtra_tfms=names.cutout(length=(2, 4)))
    stats = names.imagenet_stats
    return names.ImageDataBunch.from_folder(root / "split", ds_tfms=tfms, size=12, bs=4, seed=3).normalize(stats)


def from_folder_by_share(names: ModuleType, root: Path) -> Any:
    classes = ["bee", "ant"]
    return names.ImageDataBunch.from_folder(root / "mixed", valid_pct=0.3, seed=5, size=(12, 8), bs=4, classes=classes)


def from_csv(names: ModuleType, root: Path) -> Any:
    given: dict[str, Any] = {"fn_col": "name", "label_col": "tags", "suffix": ".png", "label_delim": " "}
    return names.ImageDataBunch.from_csv(root / "listed", valid_pct=0.25, seed=1, size=12, mult=8, bs=4, **given)


def from_lists(names: ModuleType, root: Path) -> Any:
    return names.ImageDataBunch.from_lists(root / "listed", NAMES, [i % 3 for i in range(20)], 0.3, 9, size=12, bs=4)


def from_numbers(names: ModuleType, root: Path) -> Any:
    return names.ImageDataBunch.from_lists(root / "listed", NAMES, [i + 0.5 for i in range(20)], size=12, bs=4)


def from_df(names: ModuleType, root: Path) -> Any:
    return names.ImageDataBunch.from_df(root / "listed", frame(), label_col=["ant", "bee"], size=12, bs=4)


def from_name_func(names: ModuleType, root: Path) -> Any:
    return names.ImageDataBunch.from_name_func(root / "listed", NAMES, lambda path: path.stem[-1], size=12, bs=4)


def from_name_re(names: ModuleType, root: Path) -> Any:
    files = names.get_image_files(root / "mixed", recurse=True)
    return names.ImageDataBunch.from_name_re(root / "mixed", files, r"/(ant|bee)/", 0.3, 7, size=12, bs=4)


def blocks_by_folder(names: ModuleType, root: Path) -> Any:
    labelled = names.ImageList.from_folder(root / "split").split_by_folder().label_from_folder()
    return labelled.transform(names.get_transforms(), size=12).databunch(bs=4).normalize(names.imagenet_stats)


def blocks_by_share(names: ModuleType, root: Path) -> Any:
    labelled = names.ImageList.from_folder(root / "mixed").split_by_rand_pct(0.3, seed=2).label_from_folder()
    return labelled.presize(12, val_xtra_size=2).databunch(bs=4)


def blocks_by_name(names: ModuleType, root: Path) -> Any:
    labelled = names.ImageList.from_folder(root / "mixed").split_by_rand_pct(0.3, seed=2).label_from_re(r"^\d(\d)")
    return labelled.transform(size=12).databunch(bs=4)


def blocks_by_table(names: ModuleType, root: Path) -> Any:
    listed = names.ImageList.from_csv(root / "listed", suffix=".png").split_from_df("validates")
    return listed.label_from_df("tags", label_delim=" ").transform(size=12).databunch(bs=4, val_bs=2)


def blocks_of_masks(names: ModuleType, root: Path) -> Any:
    masks = root / "scenes" / "labels"
    split = names.SegmentationItemList.from_folder(root / "scenes" / "images").split_by_rand_pct(0.4)
    labelled = split.label_from_func(lambda path: masks / f"{path.stem}_P{path.suffix}", classes=["no", "yes"])
    return labelled.transform(names.get_transforms(), size=(12, 12), tfm_y=True).databunch(bs=2)


def blocks_of_a_list(names: ModuleType, root: Path) -> Any:
    items = names.ImageList([root / "listed" / name for name in NAMES], root / "listed").split_by_idx([3, 1, 19])
    return items.label_from_func(lambda path: int(path.stem[1:]) % 2).transform(size=12).databunch(bs=4)


MADE: Sequence[Made] = (
    from_folder,
    from_folder_by_share,
    from_csv,
    from_lists,
    from_numbers,
    from_df,
    from_name_func,
    from_name_re,
    blocks_by_folder,
    blocks_by_share,
    blocks_by_name,
    blocks_by_table,
    blocks_of_masks,
    blocks_of_a_list,
)


def as_the_server_reads_it(message: object, root: Path) -> ImageDataBunch:
    transforms = {name: tuple(Argument(**item) for item in items) for name, items in available_transforms().items()}
    found = Violations()
    names = Names(frozenset(), {}, {}, {}, {}, transforms)
    spec = read_data(message, "data", found, DataRoots([root]), names)  # type: ignore[arg-type]
    found.raise_if_any()
    assert spec is not None
    return ImageDataBunch.from_spec(spec)


def listed(data: ImageDataBunch) -> dict[str, object]:
    """All that decides which pictures are seen how."""
    parts = {name: getattr(data, name) for name in ("train_ds", "valid_ds")}
    spec = data.spec
    return {
        "items": {name: [repr(item) for item in part.items] for name, part in parts.items()},
        "classes": data.classes,
        "kind": data.kind,
        "stats": data.stats,
        "loading": (spec.size, spec.resize_method, spec.bs, spec.val_bs or spec.bs, spec.valid_margin),
        "transforms": spec.transforms
        and (replace(spec.transforms, extra=()), [whole(c) for c in spec.transforms.extra]),
    }


def whole(component: Component) -> tuple[str, dict[str, Any]]:
    """With its defaults; without the size, which is that of the data."""
    defaults = {item["name"]: item["default"] for item in available_transforms()[component.name]}
    arguments = {**defaults, **{name: value for name, value in component.arguments.items() if name != "size"}}
    return component.name, {k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()}


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_data_described_with_the_same_words_are_the_same_both_ways(make: Made, root: Path) -> None:
    remote = as_the_server_reads_it(make(learnfleet.client, root).to_proto(), root)
    assert listed(remote) == listed(make(learnfleet.trainer, root))


@pytest.mark.parametrize("seed", [0, 42, 2**32 - 1])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 1000])
def test_splits_are_drawn_as_numpys_legacy_generator_draws_them(seed: int, count: int) -> None:
    assert permutation(count, seed) == np.random.RandomState(seed).permutation(count).tolist()

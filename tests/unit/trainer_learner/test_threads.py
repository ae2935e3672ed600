"""Threads beside the one that computes take one core, and change nothing for any other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import current_thread, main_thread

import pytest
import torch
from support.pictures import a_data_folder
from torch import Tensor

from learnfleet.trainer import ImageDataBunch
from learnfleet.trainer.pictures import PictureStore
from learnfleet.trainer.threads import helping_threads, use_threads

OURS = 3


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    use_threads(OURS)
    yield
    use_threads(before)


def test_helping_threads_take_one_core_and_others_what_they_took() -> None:
    with helping_threads(2, "helping") as pool, ThreadPoolExecutor(1) as later:
        assert set(pool.map(lambda _: torch.get_num_threads(), range(8))) == {1}
        assert later.submit(torch.get_num_threads).result() == OURS
    assert torch.get_num_threads() == OURS


def test_a_thread_keeps_its_number_when_another_is_given_one() -> None:
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(use_threads, 2).result()
        other.submit(use_threads, 1).result()
        assert one.submit(torch.get_num_threads).result() == 2
        assert other.submit(torch.get_num_threads).result() == 1
    assert torch.get_num_threads() == OURS


def test_pictures_are_decoded_with_one_core_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    decoded = PictureStore.picture

    def watched(store: PictureStore, path: Path) -> Tensor:
        if current_thread() is not main_thread():  # which looks at the first of them itself
            seen.append(torch.get_num_threads())
        return decoded(store, path)

    monkeypatch.setattr(PictureStore, "picture", watched)
    data = ImageDataBunch.from_folder(a_data_folder(tmp_path), valid="valid", size=8, bs=2)
    assert len(list(data.train_dl)) > 1
    assert set(seen) == {1}
    assert torch.get_num_threads() == OURS

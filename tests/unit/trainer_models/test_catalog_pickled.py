"""What workers say that they can do reaches a control server that has no torch."""

from __future__ import annotations

import io
import pickle
from typing import Any

from learnfleet.trainer.architecture_info import describe_body
from learnfleet.trainer.catalog import available_catalog


class _Modules(pickle.Unpickler):
    """Notes which modules an object needs where it arrives."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.needed: set[str] = set()

    def find_class(self, module_name: str, global_name: str) -> Any:
        self.needed.add(module_name.partition(".")[0])
        return super().find_class(module_name, global_name)


def test_what_workers_tell_needs_nothing_but_the_project_to_be_read() -> None:
    told = _Modules(pickle.dumps((available_catalog(), describe_body("resnet18", None))))

    told.load()

    assert told.needed <= {"learnfleet", "builtins", "collections"}

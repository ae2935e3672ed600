"""What docs/serving.md tells its reader to set in MLflow so that two versions share the calls of an alias."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from google.protobuf import json_format
from mlflow.protos.model_registry_pb2 import SetRegisteredModelTag
from support.tracking import Tracking

from learnfleet.server.inference.references import SPLIT_TAG
from learnfleet.server.tracking.registry import ModelRegistry

PAGE = (Path(__file__).parents[3] / "docs" / "serving.md").read_text()
SPLIT = {f"{SPLIT_TAG}champion": "canary=10"}


def test_the_lines_of_python_set_the_tag_and_take_it_away(tracking: Tracking) -> None:
    (code,) = re.findall(r"^```python\n(from mlflow.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    setting, removing = code.splitlines()[-2:]
    tracking.mlflow.real.create_registered_model("pets")
    registry = ModelRegistry(tracking.config, tracking.store)
    exec(setting, {"registry": tracking.mlflow.real})
    assert registry.registered("pets").tags == SPLIT
    exec(removing, {"registry": tracking.mlflow.real})
    assert registry.registered("pets").tags == {}


def test_the_json_is_what_mlflow_takes() -> None:
    (command,) = re.findall(r"^curl .*registered-models/set-tag$", PAGE, re.MULTILINE)
    words = shlex.split(command)
    sent = json_format.ParseDict(json.loads(words[words.index("-d") + 1]), SetRegisteredModelTag())
    assert (sent.name, {sent.key: sent.value}) == ("pets", SPLIT)

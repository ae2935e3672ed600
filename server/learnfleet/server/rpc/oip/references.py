"""What a model is called in the Open Inference Protocol, and what it is called here."""

from __future__ import annotations

from learnfleet.server import names
from learnfleet.server.errors import FieldViolation, InvalidArgument

DEFAULT_ALIAS = "newest"  # which every export of the client moves to its version


def model_reference(
    name: str, version: str, name_field: str = "model_name", version_field: str = "model_version"
) -> str:
    """`m` with version `3` is `models/m/versions/3`, without one `models/m@newest`; `m@champion` is that alias.

    `learners/l`, a learner in its present state, is called the same in both. Raises InvalidArgument.
    """
    if name.startswith("learners/"):
        names.parse_learner(name, name_field)
        return _without_version(name, name, version, version_field)
    model, separator, alias = name.partition("@")
    if not names.is_model_id(model) or (separator and not names.is_alias(alias)):
        right = "must be a model's name, a model's name with an alias (pets@champion), or learners/{learner}"
        raise InvalidArgument([FieldViolation(name_field, f"is '{name[:80]}'; {right}")])
    if separator:
        return _without_version(name, f"models/{name}", version, version_field)
    if not version:
        return f"models/{model}@{DEFAULT_ALIAS}"
    names.parse_model(reference := f"models/{model}/versions/{version}", version_field)
    return reference


def _without_version(name: str, reference: str, version: str, field: str) -> str:
    if version:
        raise InvalidArgument(
            [FieldViolation(field, f"is '{version[:20]}'; must be empty, as '{name}' says which it is")]
        )
    return reference


def version_of(name: str) -> str:
    """`3` of `models/m/versions/3`, the checkpoint's id of a learner."""
    return name.rpartition("/")[2]

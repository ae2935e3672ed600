"""Calibration, curves, slices and comparisons, from a job's JSON to protobuf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from learnfleet.server.domain import Json
from learnfleet.v1 import interpretation_service_pb2 as pb

_COUNTS = ("both_right", "fixed", "broken", "both_wrong")


def known(value: Json, *fields: str) -> dict[str, Any]:
    """Those of the fields that are there: None is what is not defined, and absent in a message."""
    return {name: value[name] for name in fields if value.get(name) is not None}


def calibration_to_proto(value: Json) -> pb.Calibration:
    bins = [
        pb.CalibrationBin(
            lower=one["lower"], upper=one["upper"], count=one["count"], **known(one, "confidence", "accuracy")
        )
        for one in value["bins"]
    ]
    return pb.Calibration(bins=bins, **known(value, "ece", "mce", "brier", "temperature", "ece_at_temperature"))


def curves_to_proto(value: Json) -> pb.Curves:
    lists = ("false_positive_rates", "true_positive_rates", "recalls", "precisions")
    return pb.Curves(class_name=value["class"], **known(value, "auroc", "average_precision", *lists))


def slices_to_proto(value: Json) -> pb.SlicesOfColumn:
    slices = [
        pb.SliceOfValue(
            value=str(one["value"]),
            examples=one["examples"],
            **known(one, "accuracy", "accuracy_low", "accuracy_high", "loss", "f1"),
        )
        for one in value["slices"]
    ]
    return pb.SlicesOfColumn(column=value["column"], slices=slices)


def comparison_to_proto(value: Json, named_item: Callable[[Json], pb.NamedItem]) -> pb.Comparison:
    def compared(one: Json) -> pb.ComparedItem:
        return pb.ComparedItem(
            item=named_item(one.get("item", one)), baseline=one["baseline"], candidate=one["candidate"]
        )

    measures = [f"{who}_{what}" for who in ("baseline", "candidate") for what in ("accuracy", "loss")]
    return pb.Comparison(
        baseline=value["baseline"],
        candidate=value["candidate"],
        fixed_items=map(compared, value.get("fixed_items") or ()),
        broken_items=map(compared, value.get("broken_items") or ()),
        **known(value, *_COUNTS, "p_value", *measures),
    )

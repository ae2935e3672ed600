"""What is to be predicted of a data set, from protobuf, with everything that is wrong with it."""

from __future__ import annotations

from typing import Any

from learnfleet.server.domain import PredsWork
from learnfleet.server.rpc.read_job import read_dataset
from learnfleet.server.rpc.violations import Violations
from learnfleet.v1 import prediction_service_pb2 as pb

_BETA, _BETA_OF_PASSES, _SCALE, _MAX_SCALE, _MAX_PASSES = 0.4, 0.25, 1.35, 4.0, 100
_ACTIVATIONS = {
    pb.ACTIVATION_UNSPECIFIED: None,
    pb.ACTIVATION_NONE: "none",
    pb.ACTIVATION_SOFTMAX: "softmax",
    pb.ACTIVATION_SIGMOID: "sigmoid",
}


def read_preds_work(request: pb.GetPredsRequest, found: Violations) -> PredsWork:
    activation = request.activation
    found.check(activation in _ACTIVATIONS, "activation", f"{activation} is no Activation")
    found.number("n_batch", request.n_batch, 0, 2**31 - 1)
    return PredsWork(
        dataset=read_dataset(request.dataset, "valid", found),
        with_loss=request.with_loss,
        n_batch=request.n_batch or None,
        activ=_ACTIVATIONS.get(activation),
        **(_tta(request, found) if request.HasField("tta") else {}),
    )


def _tta(request: pb.GetPredsRequest, found: Violations) -> dict[str, Any]:
    tta = request.tta
    found.check(request.n_batch == 0, "n_batch", "cannot be limited under tta; leave it 0")
    beta = tta.beta if tta.HasField("beta") else _BETA_OF_PASSES if tta.passes else _BETA
    scale = tta.scale if tta.HasField("scale") else _SCALE
    found.number("tta.beta", beta, 0, 1)
    found.number("tta.scale", scale, 1, _MAX_SCALE)
    found.number("tta.passes", tta.passes, 0, _MAX_PASSES)
    if tta.passes:
        found.check(not tta.HasField("scale"), "tta.scale", "is of the zoomed variants; leave it out with passes")
        found.check(not request.with_loss, "with_loss", "gives no losses with tta.passes; leave it out")
    else:
        found.check(not tta.use_max, "tta.use_max", "is only for passes; give their number, or leave it out")
    if tta.apart:
        _check_apart(request, found)
    shared = {"tta_scale": scale, "tta_passes": tta.passes, "tta_use_max": tta.use_max, "tta_apart": tta.apart}
    return {"tta_beta": None if tta.apart else beta, **shared}


def _check_apart(request: pb.GetPredsRequest, found: Violations) -> None:
    """Two predictions of each item: nothing that is of one of them."""
    tta = request.tta
    found.check(not tta.HasField("beta"), "tta.beta", "weighs what tta.apart leaves apart; leave one of them out")
    found.check(not tta.passes, "tta.passes", "are averaged with the plain predictions; leave tta.apart out")
    told = "belong to one prediction, and tta.apart gives two; ask for those of the plain ones without tta"
    found.check(not request.with_loss, "with_loss", told)

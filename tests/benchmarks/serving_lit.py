"""What LitServe runs in its worker, which imports it by name (serving_peers.py)."""

# No annotations from __future__: LitServe looks at that of `decode_request`, and knows no text.

from typing import Any

import litserve
from fastapi import Request
from serving_peers import BATCH, WAIT_S, predictor_of


class Api(litserve.LitAPI):
    """Decodes as requests come, computes batches, answers probabilities."""

    def __init__(self, export: str) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=WAIT_S)
        self.export = export

    def setup(self, device: str) -> None:
        self.predictor = predictor_of(self.export)

    def decode_request(self, request: Request) -> Any:
        return self.predictor.transform.pixels(request["content"].file.read())

    def batch(self, inputs: Any) -> Any:
        return inputs

    def predict(self, x: Any) -> Any:
        return [list(answer.prediction.probabilities) for answer in self.predictor.answer(x)]

    def unbatch(self, output: Any) -> Any:
        return output

    def encode_response(self, output: Any) -> Any:
        return {"probabilities": output}

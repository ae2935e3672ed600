"""What users of Triton's client write. Run by the Python of `triton_venv`, which has nothing of ours.

Arguments: host:port, a picture file, its probabilities as JSON, the classes as JSON.
"""

from __future__ import annotations

import json
import queue
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton


def files(*contents: bytes) -> triton.InferInput:
    given = triton.InferInput("image", [len(contents)], "BYTES")
    given.set_data_from_numpy(np.array(contents, dtype=np.object_))
    return given


def refused(client: triton.InferenceServerClient, model: str, content: bytes) -> str:
    try:
        client.infer(model, [files(content)])
    except triton.InferenceServerException as error:
        return f"{error.status()} {error.message()}"
    raise AssertionError(f"{model} was asked about {len(content)} bytes and answered")


def main(address: str, path: str, expected_json: str, classes_json: str) -> None:
    content, expected, classes = Path(path).read_bytes(), json.loads(expected_json), json.loads(classes_json)
    with triton.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert not client.is_model_ready("none")
        client.load_model("pets")
        assert client.is_model_ready("pets")
        assert client.is_model_ready("pets", "3")
        assert client.get_server_metadata().name == "learnfleet"
        metadata = client.get_model_metadata("pets", as_json=True)
        assert metadata["versions"] == ["3"], metadata

        answer = client.infer("pets", [files(content, content)], request_id="7")
        assert np.allclose(answer.as_numpy("probabilities"), [expected, expected], rtol=1e-4)
        assert answer.get_response().id == "7"
        wanted = [triton.InferRequestedOutput("probabilities", class_count=2), triton.InferRequestedOutput("logits")]
        answer = client.infer("pets@champion", [files(content)], outputs=wanted, parameters={"thresh": 0.5})
        _, index, label = answer.as_numpy("probabilities")[0][0].decode().split(":")
        assert (int(index), label) == (int(np.argmax(expected)), classes[int(np.argmax(expected))])
        assert answer.as_numpy("logits").shape == (1, len(classes))

        side = int(metadata["inputs"][1]["shape"][-1])
        pixels = triton.InferInput("pixels", [1, 3, side, side], "FP32")
        pixels.set_data_from_numpy(np.zeros((1, 3, side, side), np.float32))
        assert np.isclose(client.infer("pets", [pixels], model_version="3").as_numpy("probabilities").sum(), 1)

        done: queue.Queue[object] = queue.Queue()
        client.async_infer("pets", [files(content)], lambda result, error: done.put(error or result))
        assert np.allclose(done.get(timeout=60).as_numpy("probabilities")[0], expected, rtol=1e-4)

        assert "NOT_FOUND" in refused(client, "none", content)
        assert "INVALID_ARGUMENT" in refused(client, "pets", b"no picture")
        client.unload_model("pets")
        assert not client.is_model_ready("pets")
    print("done")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])

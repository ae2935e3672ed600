"""BentoML with the same export, in an environment of its own: its OpenTelemetry is another than MLflow's and Ray's.

`bento_python` makes it once, in the user's cache; torch and learnfleet come from the environment that runs this. Run by
that Python the file is a server, as serving_peers.py has them:

    PYTHON tests/benchmarks/serving_bento.py EXPORT PORT
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_WANTED = "bentoml>=1.4,<2"
_INSTALL_S = 600


def bento_python() -> Path:
    """Raises RuntimeError where it cannot be installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "learnfleet-bench" / f"bentoml-py{sys.version_info.major}{sys.version_info.minor}"
    python, done = folder / "bin" / "python", folder / "complete"
    if done.exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=_INSTALL_S)
    install = [str(python), "-m", "pip", "install", "--quiet", _WANTED]
    made = subprocess.run(install, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    if made.returncode != 0:
        raise RuntimeError(f"BentoML cannot be installed here: {made.stderr.strip()[-300:]}")
    site = next(folder.glob("lib/python*/site-packages"))
    # After its own packages, so that it has its own OpenTelemetry.
    (site / "with-torch.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    done.touch()
    return python


def service() -> Any:
    """Imported by BentoML in its worker, with the export in the environment that `main` sets."""
    import bentoml
    from serving_peers import BATCH, answers, predictor_of

    @bentoml.service(workers=1, traffic={"timeout": 120, "max_concurrency": 64})  # type: ignore[untyped-decorator,unused-ignore]
    class Bench:
        def __init__(self) -> None:
            self.predictor = predictor_of(os.environ["BENCH_EXPORT"])

        @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=10_000)  # type: ignore[untyped-decorator,unused-ignore]
        def predict(self, content: list[Path]) -> list[list[float]]:
            return answers(self.predictor, [path.read_bytes() for path in content])

    return Bench


def main() -> None:
    export, port = sys.argv[1:]
    command = [sys.executable, "-m", "bentoml", "serve", "serving_bento:Bench", "--port", port, "--host", "127.0.0.1"]
    environment = {**os.environ, "BENCH_EXPORT": export, "BENTOML_DO_NOT_TRACK": "true", "BENTOML_QUIET": "true"}
    process = subprocess.Popen(command, cwd=_HERE, env=environment, stdout=sys.stderr)
    try:
        while not _is_ready(port):
            if process.poll() is not None:
                raise SystemExit("BentoML did not come up")
            time.sleep(0.2)
        print(f"ready 127.0.0.1:{port}", flush=True)
        sys.stdin.read()
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    main()
elif "BENCH_EXPORT" in os.environ:
    Bench = service()

"""The control server's settings.

**To add one**, add a field here. Its flag (`--tls-cert`), variable (`LEARNFLEET_TLS_CERT`), key in the file (`cert` in
`[tls]`), help, bounds, place in `learnfleet config show` and row in docs/config.md are made of it:

    tls_cert: Path | None = setting("tls", None, "Certificate chain, PEM. Read again when it changes.")

The first argument is the file's table; a name that no other field has makes a new one (its fields stand together). A
field is a str, bool, int, float or Path, one of these or None, or a tuple of any number of one of them; anything else
says how it is read from a string (`read=`, see settings/readers.py). What settings mean for each other is checked in
settings/checks.py. Then write docs/config.md anew: `python -m learnfleet.server.settings.page docs/config.md`. A
variable that begins with LEARNFLEET_ and is no setting is an error unless settings/environment.py has it in OTHERS.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from learnfleet.server.access.identity import Role
from learnfleet.server.access.oidc import ALGORITHMS
from learnfleet.server.settings.readers import (
    is_loopback,
    read_address,
    read_collector,
    read_jwks,
    read_metrics_address,
    read_quota,
    read_rate_limit,
    read_role,
    read_root,
    read_server_id,
    read_store,
    read_weight,
    write_quota,
    write_rate_limit,
    write_role,
    write_weight,
)
from learnfleet.server.settings.setting import setting

_CONNECTION_AGE_S = 3600.0  # where other machines are among the clients


@dataclass(frozen=True)
class Config:
    """Settings of one control server. `settings.merge` makes one of file, environment and flags, and checks it."""

    data_dir: Path = setting(
        "server",
        Path(".learnfleet"),
        "Store, checkpoints, exports, local MLflow: everything that must survive.",
        unset=lambda: Path(".learnfleet").resolve(),
    )
    data_roots: tuple[Path | str, ...] = setting(
        "server",
        (),
        "Folders that clients may name paths beneath, or URLs (s3://bucket/folder) for data sets.",
        flag="data-root",
        metavar="PATH|URL",
        read=read_root,
        unset=lambda: (Path.cwd(),),
        unset_text="the current folder",
    )
    listen: str = setting(
        "server", "127.0.0.1:8470", "Address; port 0 picks a free one.", metavar="HOST:PORT", read=read_address
    )
    health_listen: str | None = setting(
        "server",
        None,
        "Address of a second listener, without TLS, that answers health checks and nothing else: for probes.",
        metavar="HOST:PORT",
        read=read_address,
    )
    insecure: bool = setting("server", False, "Listen on other than loopback addresses without TLS or authentication.")
    port_file: Path | None = setting("server", None, "File to write the address to, once the server listens.")
    server_id: str = setting(
        "server",
        "",
        "Name among the servers of one database; one that is started again under its own need not wait for its lease.",
        read=read_server_id,
        unset_text="made up",
    )
    drain_s: float = setting(
        "server",
        30.0,
        "How long a server that is told to stop (SIGTERM) has for it: jobs save, MLflow hears of it, calls end. "
        "Then it ends, and what was not saved goes on from the newest checkpoint.",
        least=1,
    )
    store: str | None = setting(
        "server",
        None,
        "Database URL, postgresql://...; its password is best left to PGPASSWORD.",
        metavar="URL",
        read=read_store,
        unset_text="SQLite in the data directory",
    )
    lease_s: float = setting(
        "server", 3.0, "Of several servers another takes over when this one has not shown for so long.", least=0.5
    )

    tls_cert: Path | None = setting(
        "tls", None, "The server's certificate and those that lead to its authority, PEM. Read again when it changes."
    )
    tls_key: Path | None = setting("tls", None, "Its private key, PEM without a password.")
    tls_client_ca: Path | None = setting(
        "tls",
        None,
        "Authorities of clients, PEM: then each client must have a certificate.",
        unset_text="none is asked",
    )

    auth_file: Path | None = setting(
        "auth", None, "Who has which token or certificate (docs/security.md). Read again when it changes."
    )
    auth_failed_logins: int = setting(
        "auth",
        20,
        "Failed logins of one address at once, and one a second after that; further ones are told when to try again.",
        least=1,
    )
    oidc_issuer: str | None = setting(
        "oidc", None, "Issuer of JSON Web Tokens that are taken, as in their claim `iss`.", metavar="URL"
    )
    oidc_audience: str | None = setting("oidc", None, "What their claim `aud` must name.")
    oidc_jwks: str | None = setting(
        "oidc", None, "The issuer's public keys: an https:// URL or a file.", metavar="URL|PATH", read=read_jwks
    )
    oidc_algorithms: tuple[str, ...] = setting(
        "oidc", ("RS256", "ES256"), "Signatures that are taken.", flag="oidc-algorithm", choices=ALGORITHMS
    )
    oidc_tenant_claim: str = setting("oidc", "tenant", "Claim that names the tenant; dots lead inwards.")
    oidc_role_claim: str = setting("oidc", "role", "Claim with one role or several; dots lead inwards.")
    oidc_roles: tuple[tuple[str, Role], ...] = setting(
        "oidc",
        (),
        "What a value of that claim means: viewer, user or admin.",
        flag="oidc-role",
        metavar="VALUE=ROLE",
        read=read_role,
        write=write_role,
        unset_text="each role by its own name",
    )

    ray_address: str | None = setting(
        "ray", None, "Ray cluster to join.", unset_text="a local one that ends with the server"
    )
    ray_namespace: str = setting("ray", "learnfleet", "Ray namespace of the workers.")
    cpu_slots: int | None = setting(
        "ray", None, "CPU workers the local Ray has room for.", least=1, unset_text="the cores"
    )
    max_cpu_slots: int | None = setting(
        "ray",
        None,
        "CPU workers that --ray-address may grow to; jobs that need more are refused.",
        least=0,
        unset_text="not known: they wait",
    )
    max_gpu_slots: int | None = setting(
        "ray",
        None,
        "GPU workers that --ray-address may grow to; jobs that need more are refused.",
        least=0,
        unset_text="not known: they wait",
    )

    mlflow_uri: str | None = setting(
        "mlflow", None, "MLflow tracking URI.", metavar="URL", unset_text="SQLite and files in the data directory"
    )
    mlflow_checkpoint_max_mb: float = setting(
        "mlflow", 2000.0, "Larger checkpoints are named in MLflow and not sent; 0: none is.", least=0
    )

    idle_timeout_s: float = setting("scheduling", 600.0, "How long a learner's workers stay warm.", least=0)
    max_restarts: int = setting(
        "scheduling",
        3,
        "Restarts of a job after lost workers or faults of the server, where the job does not say.",
        least=0,
    )
    hang_timeout_s: float = setting(
        "scheduling", 300.0, "Workers that make no progress for so long are started anew.", least=1
    )
    min_run_s: float = setting("scheduling", 30.0, "A job that has run for less is not made to give way.", least=0)
    preemption: bool = setting("scheduling", True, "Jobs of greater priority take the slots of others.")
    quotas: tuple[tuple[str, int, int], ...] = setting(
        "scheduling",
        (),
        "Most slots of a tenant; '*' for each that is not named.",
        flag="quota",
        metavar="TENANT=CPUS[:GPUS]",
        read=read_quota,
        write=write_quota,
    )
    weights: tuple[tuple[str, float], ...] = setting(
        "scheduling",
        (),
        "Weight of a tenant in the fair share; 1 where not named.",
        flag="weight",
        metavar="TENANT=WEIGHT",
        read=read_weight,
        write=write_weight,
    )
    max_queued: int = setting("scheduling", 20_000, "Jobs of one tenant that have not ended.", least=1)
    system_metrics_every_s: float = setting(
        "scheduling", 10.0, "How often workers measure CPU, memory and GPU; 0: never.", least=0
    )

    max_message_mb: int = setting(
        "limits",
        32,
        "Greatest message in either direction, in MiB. Clients of larger ones must be told, too.",
        least=4,
        most=1024,
    )
    max_concurrent_streams: int = setting(
        "limits", 1000, "Calls at a time on one connection; further ones wait in the client.", least=1, most=100_000
    )
    call_default_s: float = setting(
        "limits", 300.0, "How long a call with one answer may take where its caller sets no deadline.", least=0.1
    )
    call_max_s: float = setting("limits", 3600.0, "The latest deadline that such a call may have.", least=0.1)
    stream_silence_s: float = setting(
        "limits", 60.0, "A caller that streams requests and sends none for so long is given up.", least=0.1
    )
    keepalive_s: float = setting(
        "limits", 60.0, "A client that has been silent for so long is asked whether it is there.", least=1
    )
    keepalive_timeout_s: float = setting(
        "limits", 20.0, "A client that does not answer that in time is cut off.", least=1
    )
    min_ping_s: float = setting(
        "limits", 10.0, "Clients that ask more often than this whether the server is there are cut off.", least=0.1
    )
    max_connection_age_s: float | None = setting(
        "limits",
        None,
        "A connection that is so old takes no more calls, so that its client looks for servers anew; 0: however old.",
        least=0,
        unset_text="0 on a loopback address, 3,600 on others",
    )
    max_connection_age_grace_s: float = setting(
        "limits",
        300.0,
        "Calls on such a connection have so long to end; then they are cut off, and can resume.",
        least=1,
    )
    upload_max_bytes: int = setting("limits", 200 * 2**30, "Greatest upload.", least=1)
    max_open_uploads: int = setting("limits", 100, "Uploads of one tenant that are not complete.", least=1)
    tenant_max_bytes: int = setting(
        "limits", 2**40, "Of one tenant's data sets that were uploaded or copied here, with its open uploads.", least=1
    )
    rate_limits: tuple[tuple[str, str, float, int], ...] = setting(
        "limits",
        (),
        "Calls a second of a tenant ('*': each by itself), and how many at once; KIND is read, write, predict or '*'."
        " The one that names most counts.",
        flag="rate-limit",
        metavar="TENANT:KIND=RATE[:BURST]",
        read=read_rate_limit,
        write=write_rate_limit,
    )

    replicas_min: int = setting(
        "predictions",
        0,
        "Predicting processes that are kept ready; 0: the first comes with the first question.",
        least=0,
    )
    replicas_max: int = setting(
        "predictions", 2, "As many come while those that are there are busy all the time.", least=1
    )
    replica_idle_s: float = setting(
        "predictions",
        600.0,
        "A predicting process with nothing to do for so long ends, down to --replicas-min.",
        least=1,
    )
    replica_threads: int = setting("predictions", 1, "CPU threads of one forward pass.", least=1)
    replica_cpus: float = setting(
        "predictions", 0.0, "CPUs that Ray sets aside for each; 0: they share those of the jobs.", least=0
    )
    replica_gpus: float = setting(
        "predictions", 0.0, "GPUs of each, a fraction below 1 shares one; 0: they compute on the CPU.", least=0
    )
    max_batch: int = setting("predictions", 32, "Pictures that are computed together at most.", least=1)
    batch_delay_s: float = setting(
        "predictions", 0.0, "How long a batch waits to be filled while a process is free.", least=0, most=10
    )
    max_waiting: int = setting("predictions", 1024, "Pictures that wait for one model.", least=1)
    model_cache_mb: int = setting(
        "predictions", 4096, "Models in each process's memory, in MiB; those asked last stay.", least=1
    )
    alias_ttl_s: float = setting("predictions", 5.0, "How long an alias means what it meant.", least=0)
    predict_precision: str | None = setting(
        "predictions",
        None,
        "Number format of predictions.",
        choices=("fp32", "bf16", "fp16"),
        unset_text="as each model was trained",
    )
    predict_channels_last: bool | None = setting(
        "predictions", None, "Memory format of predictions.", unset_text="as each model was trained"
    )

    metrics_listen: str | None = setting(
        "metrics",
        None,
        "Tell Prometheus at http://HOST:PORT/metrics. A port alone is on loopback. There is neither TLS nor"
        " authentication: elsewhere let only Prometheus reach it.",
        metavar="[HOST:]PORT",
        read=read_metrics_address,
        unset_text="no metrics",
    )
    log_format: str = setting(
        "log", "text", "What the log on standard error is written for: people or machines.", choices=("text", "json")
    )
    log_level: str = setting("log", "info", "The least that is logged.", choices=("debug", "info", "warning", "error"))
    audit_log: str | None = setting(
        "audit",
        None,
        "File of every call that was to change something, added to as JSON lines; '-' for standard error, or off.",
        metavar="FILE|-|off",
        unset_text="audit.jsonl in the data directory",
    )
    traces_endpoint: str | None = setting(
        "traces",
        None,
        "OTLP collector (gRPC) that spans are sent to: http://host:4317, https:// for TLS. Needs learnfleet[tracing].",
        metavar="URL",
        read=read_collector,
        unset_text="no traces",
    )
    traces_ratio: float = setting(
        "traces", 1.0, "Share of traces that are begun of calls that bring none with them.", least=0, most=1
    )

    @property
    def has_tls(self) -> bool:
        return self.tls_cert is not None

    @property
    def has_authentication(self) -> bool:
        """Whether callers are asked who they are."""
        return self.auth_file is not None or self.oidc_issuer is not None

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite:///{self.data_dir / 'learnfleet.db'}"

    @property
    def is_alone(self) -> bool:
        """Whether no other server may work on the store and the data directory."""
        return self.store_url.startswith("sqlite")

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_uri or f"sqlite:///{self.data_dir / 'mlflow' / 'mlflow.db'}"

    @property
    def connection_age_s(self) -> float:
        """Connections end at this age; 0: at none. Clients of other machines must come to know of other servers."""
        if self.max_connection_age_s is None:
            return 0.0 if is_loopback(self.listen) else _CONNECTION_AGE_S
        return self.max_connection_age_s

    @property
    def artifact_root(self) -> Path:
        return self.data_dir / "mlflow" / "artifacts"

    def learner_dir(self, learner_id: str) -> Path:
        return self.data_dir / "learners" / learner_id

    def checkpoint_root(self, learner_id: str) -> Path:
        return self.learner_dir(learner_id) / "checkpoints"

    def job_dir(self, learner_id: str, job_id: str) -> Path:
        """Pictures, event journals, interpretation and export of one job."""
        return self.learner_dir(learner_id) / "jobs" / job_id

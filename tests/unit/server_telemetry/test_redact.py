"""What must not be told is masked, whatever it stands in, and what may be told is left as it is."""

from __future__ import annotations

import pytest

from learnfleet.server.redact import Redactor

ENVIRONMENT = {
    "PGPASSWORD": "pg-pass-91",
    "MLFLOW_TRACKING_PASSWORD": "mlflow-pass-92",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE000000001",
    "AWS_SECRET_ACCESS_KEY": "aws/secret+key93",
    "RAY_AUTH_TOKEN": "ray-token-94",
    "RAY_AUTH_MODE": "token",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer otlp-95,x-team=vision",
    "HTTPS_PROXY": "http://proxy-user:proxy-pass-96@proxy:3128",
    "KUBECONFIG_FILE": "/etc/kube/config",
    "SSL_CERT_PATH": "/etc/ssl/cert.pem",
}


@pytest.fixture
def redacted() -> Redactor:
    return Redactor(ENVIRONMENT)


@pytest.mark.parametrize(
    "secret",
    [
        *("pg-pass-91", "mlflow-pass-92", "AKIAEXAMPLE000000001", "aws/secret+key93", "ray-token-94"),
        *("Bearer otlp-95", "proxy-pass-96", "aws%2Fsecret%2Bkey93"),
    ],
)
def test_secrets_of_the_environment_are_masked_wherever_they_stand(redacted: Redactor, secret: str) -> None:
    told = redacted(f"cannot log in with '{secret}' to the store")

    assert secret not in told
    assert told == "cannot log in with '***' to the store"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql://jobs:hunter2@db:5432/learnfleet", "postgresql://jobs:***@db:5432/learnfleet"),
        ("GET https://u:p%40ss@mlflow/api failed", "GET https://u:***@mlflow/api failed"),
        ("s3://key:se:cr@et@bucket/folder", "s3://key:***@bucket/folder"),
        (
            "postgresql://db/x?user=a&password=hunter2&sslmode=require",
            "postgresql://db/x?user=a&password=***&sslmode=require",
        ),
        ("https://bucket/x?X-Amz-Signature=0123456789abcdef", "https://bucket/x?X-Amz-Signature=***"),
        ("authorization: Bearer abcdefgh.ijkl", "authorization: Bearer ***"),
        ("redis://:hunter2@valkey:6379", "redis://:***@valkey:6379"),
        ("https://ghp_0123456789@git/repository", "https://***@git/repository"),
    ],
)
def test_secrets_in_urls_and_headers_are_masked_by_their_form(redacted: Redactor, text: str, told: str) -> None:
    assert redacted(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "jobs/a1 failed: rank 1 died; load checkpoint a1 @champion",
        "http://mlflow:5000/api/2.0 answered 503",
        "RAY_AUTH_MODE is token, the certificate is /etc/ssl/cert.pem",
        "models/pets@champion means models/pets/versions/3",
        "postgresql://jobs@db/learnfleet",
    ],
)
def test_what_is_no_secret_stays(redacted: Redactor, text: str) -> None:
    assert redacted(text) == text


def test_what_the_configuration_holds_is_masked_in_every_form(redacted: Redactor) -> None:
    redacted.keep_urls(["postgresql://jobs:hunter%402@db/learnfleet"])

    assert redacted("password hunter%402, that is hunter@2") == "password ***, that is ***"


def test_each_line_of_a_key_is_a_secret(redacted: Redactor) -> None:
    redacted.keep(["-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----"])

    assert "MIIEvQIBADANBg" not in redacted("line 2 was MIIEvQIBADANBg")

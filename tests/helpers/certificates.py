"""A certificate for 127.0.0.1 and localhost that nobody trusts but who asks for it here."""

from __future__ import annotations

import functools
import ssl
import subprocess
import tempfile
from pathlib import Path

__all__ = ["certificate_file", "client_context", "server_context"]

_CONFIG = """
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost, IP:127.0.0.1
basicConstraints = critical, CA:TRUE
"""


@functools.cache
def _files() -> tuple[Path, Path, tempfile.TemporaryDirectory[str]]:
    folder = tempfile.TemporaryDirectory(prefix="asyncbolt-tls-")
    path = Path(folder.name)
    (path / "config").write_text(_CONFIG)
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -config config"
    )
    subprocess.run(
        [*command.split(), "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=path,
        check=True,
        capture_output=True,
    )
    return path / "certificate.pem", path / "key.pem", folder


def server_context() -> ssl.SSLContext:
    certificate, key, _ = _files()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(_files()[0]))


def certificate_file() -> Path:
    return _files()[0]

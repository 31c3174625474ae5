"""What opens a websocket to an API server, as the client's configuration of a cluster says."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Upgrade:
    """What opens a websocket; it is never kept nor shown.

    Attributes:
        tls: None where the connection is not encrypted.
        server_name: that the certificate is for, where it is another than the host's.
    """

    url: str
    headers: dict[str, str] = field(repr=False)
    tls: ssl.SSLContext | None
    server_name: str | None
    proxy: str | None


def of(configuration: Any, path: str, headers: dict[str, str], *, proxied: bool) -> Upgrade:
    """The upgrade at a path of an API server.

    Args:
        configuration: of the Kubernetes client.
        headers: with the credentials.
        proxied: whether the configured proxy is meant for this server.
    """
    tls = None
    if configuration.host.startswith("https:"):
        tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if not configuration.verify_ssl:
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    url, name = configuration.host + path, configuration.tls_server_name
    return Upgrade(url, headers, tls, name or None, configuration.proxy if proxied else None)

"""A certificate authority for the tests, with server and client certificates."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import trustme

from tests.unit.api.servers import LOOPBACK


@dataclass(frozen=True)
class Certificates:
    """A certificate authority, a client certificate that it signed, and the files of both."""

    authority: trustme.CA
    folder: Path

    @property
    def ca_bundle(self) -> str:
        return str(self.folder / "ca.pem")

    @property
    def client_cert(self) -> str:
        return str(self.folder / "client.pem")

    @property
    def client_key(self) -> str:
        return str(self.folder / "client.key")

    @property
    def client_cert_with_key(self) -> str:
        return str(self.folder / "client-with-key.pem")

    @classmethod
    def made_in(cls, folder: Path) -> Self:
        certificates = cls(trustme.CA(), folder)
        client = certificates.authority.issue_cert("client@example.com")
        certificates.authority.cert_pem.write_to_path(certificates.ca_bundle)
        client.cert_chain_pems[0].write_to_path(certificates.client_cert)
        client.private_key_pem.write_to_path(certificates.client_key)
        client.private_key_and_cert_chain_pem.write_to_path(certificates.client_cert_with_key)
        return certificates

    def server_context(
        self, host: str = LOOPBACK, *, not_after: datetime | None = None
    ) -> ssl.SSLContext:
        """
        Return what a server with a certificate of this authority needs.

        :param not_after: When the certificate expires.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(host, not_after=not_after).configure_cert(context)
        return context

    def server_context_requiring_client_cert(self) -> ssl.SSLContext:
        context = self.server_context()
        self.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_certificate(self, folder: Path, *, not_after: datetime | None = None) -> str:
        """Return the path of a new client certificate with its key, written to *folder*."""
        issued = self.authority.issue_cert("other@example.com", not_after=not_after)
        path = folder / "other-client.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(path)
        return str(path)

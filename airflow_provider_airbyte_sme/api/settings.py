"""Where an Airbyte is, how to get in, and every URL of it that this provider uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self
from urllib.parse import urlsplit

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError
from airflow_provider_airbyte_sme.api.models import AirbyteConnection

# What people paste behind the root of an Airbyte: its API roots, one of the calls that the
# documentation shows, or a page of its UI.
_PASTED_TAIL = re.compile(
    r"/(?:api(?:/public)?(?:/v1)?(?:/applications/token|/health|/workspaces)?|workspaces(?:/.*)?)$"
)

# What RFC 9110, 5.5 and 5.6.2 allow, of which both HTTP libraries send the same.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")

# Airbyte Cloud has hosts of its own for the API and for people, and hides the config API.
_CLOUD_API_HOST = "api.airbyte.com"
_CLOUD_WEB_URL = "https://cloud.airbyte.com"


@dataclass(frozen=True, slots=True)
class AirbyteUrls:
    """
    The URLs of one Airbyte, none with a trailing slash.

    :param public: Root of the public API, as ``https://airbyte.example.com/api/public/v1``.
    :param config: Root of the internal config API; ``None`` where it is not to be used (Cloud).
    :param web: Where people open Airbyte.

    Layout: airbyte-platform ``ServerConstants.kt`` and ``WebUrlHelper.kt``.
    """

    public: str
    config: str | None
    web: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """
        Find the roots from whatever form of the URL people paste.

        :param url: The root, with or without trailing slash; ``/api``, ``/api/v1`` or
            ``/api/public/v1`` behind it; a page of the UI; all of it below a sub-path too;
            ``https://api.airbyte.com/v1``. Without a scheme, https is meant.
        :raises AirbyteConfigError: It is no http or https URL, or it carries credentials.
        """
        text = url.strip()
        if not text:
            raise AirbyteConfigError(
                "Host (Airbyte URL) of the Airflow connection is empty: enter the URL under which "
                "people open Airbyte, as https://airbyte.example.com."
            )
        try:
            parts = urlsplit(text if "://" in text else f"https://{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _no_url() from None
        if parts.scheme not in ("http", "https") or not host or re.search(r"\s", parts.netloc):
            raise _no_url()
        if "@" in parts.netloc:
            raise AirbyteConfigError(
                "Host (Airbyte URL) of the Airflow connection carries credentials: move them to "
                "Login (Client ID) and Password (Client secret)."
            )
        if host == _CLOUD_API_HOST:
            return cls(public=f"https://{host}/v1", config=None, web=_CLOUD_WEB_URL)
        authority = f"[{host}]" if ":" in host else host
        if port is not None:
            authority = f"{authority}:{port}"
        path = _PASTED_TAIL.sub("", re.sub(r"/+", "/", parts.path).rstrip("/"))
        root = f"{parts.scheme}://{authority}{path}"
        return cls(public=f"{root}/api/public/v1", config=f"{root}/api/v1", web=root)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The token endpoints, in the order to try them."""
        path = "applications/token"
        return tuple(f"{root}/{path}" for root in (self.public, self.config) if root)

    def job_page(self, connection: AirbyteConnection, job_id: int) -> str:
        """Return the page where people see one job of *connection*, its logs open."""
        return (
            f"{self.web}/workspaces/{connection.workspace_id}"
            f"/connections/{connection.connection_id}/timeline?jobId={job_id}&openLogs=true"
        )


def _no_url() -> AirbyteConfigError:
    return AirbyteConfigError(
        "Host (Airbyte URL) of the Airflow connection is no URL of an Airbyte: it should look like "
        "https://airbyte.example.com."
    )


@dataclass(frozen=True, slots=True)
class AirbyteSettings:
    """
    All that a client needs to know of one Airbyte.

    Equal settings mean the same Airbyte with the same credentials, so what is shared between
    clients may be keyed by them.

    :param urls: Where it is.
    :param client_id: Of an application; empty together with the secret when Airbyte asks for none.
    :param client_secret: Its secret.
    :param request_timeout: Seconds to wait for an answer to a read.
    :param verify_tls: Whether to check the server's certificate.
    :param ca_bundle: Path of a PEM file with the authorities to trust; empty for the usual ones.
    :param client_cert: Path of a PEM file with a client certificate (mTLS); empty for none.
    :param client_key: Path of its key, where it is not in the same file.
    :param proxy: URL of a proxy; empty for what ``HTTPS_PROXY`` and the like say.
    :param headers: Headers for every request (an identity-aware proxy, an API gateway).
    :param config_api: Whether to ask the internal API why a job failed.
    :raises AirbyteConfigError: Only one of client id and secret is given, or a value cannot work.
    """

    urls: AirbyteUrls
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    request_timeout: float = 30.0
    verify_tls: bool = True
    ca_bundle: str = ""
    client_cert: str = ""
    client_key: str = ""
    proxy: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    config_api: bool = True

    def __post_init__(self) -> None:
        if self.client_id and not self.client_secret:
            raise AirbyteConfigError(
                "Password (Client secret) of the Airflow connection is empty: enter the one that "
                "belongs to Login (Client ID), or empty both if this Airbyte has no sign-in."
            )
        if self.client_secret and not self.client_id:
            raise AirbyteConfigError(
                "Login (Client ID) of the Airflow connection is empty: enter the one that belongs "
                "to Password (Client secret), or empty both if this Airbyte has no sign-in."
            )
        if not self.request_timeout > 0:
            raise AirbyteConfigError(
                f"request_timeout of the Airflow connection should be above 0 seconds, "
                f"not {self.request_timeout:g}."
            )
        if self.client_key and not self.client_cert:
            raise AirbyteConfigError(
                "client_key of the Airflow connection is set without client_cert: enter the path "
                "of the certificate too."
            )
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise AirbyteConfigError(
                    f"headers of the Airflow connection hold {name!r}, which cannot be sent: name "
                    f"and value should be ASCII, in one line, and without blanks around them."
                )
            if self.client_id and name.lower() == "authorization":
                raise AirbyteConfigError(
                    "headers of the Airflow connection hold an Authorization, which carries "
                    "Airbyte's token: take it out, or empty Login (Client ID) and Password."
                )
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    @property
    def authenticates(self) -> bool:
        """Whether there are credentials to exchange for a token."""
        return bool(self.client_id)

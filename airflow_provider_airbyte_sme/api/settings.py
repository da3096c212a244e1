"""The settings of a client, and the only place that builds URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError
from airflow_provider_airbyte_sme.api.models import AirbyteConnection

QueryValue = str | int

# These patterns are strings, because most imports never need them compiled.
# What people paste after the root of an Airbyte: an API root, a call from the documentation, or a
# page of the UI.
_PASTED_TAIL = (
    r"/(?:api(?:/public)?(?:/v1)?(?:/applications/token|/health|/workspaces)?|workspaces(?:/.*)?)$"
)

# The part of RFC 9110, 5.5 and 5.6.2, that both HTTP libraries send unchanged.
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE = r"(?:[!-~](?:[ -~]*[!-~])?)?"

# Airbyte Cloud has separate hosts for the API and the UI, and hides the config API.
_CLOUD_API_HOST = "api.airbyte.com"
_CLOUD_WEB_URL = "https://cloud.airbyte.com"


@dataclass(frozen=True, slots=True)
class AirbyteUrls:
    """
    The URLs of one Airbyte, none with a trailing slash.

    :param public: Root of the public API, such as ``https://airbyte.example.com/api/public/v1``.
    :param config: Root of the internal config API; ``None`` for Airbyte Cloud, which hides it.
    :param web: Root of the UI.

    Layout: docs/airbyte-api.md §1 and §8.1.
    """

    public: str
    config: str | None
    web: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """
        Derive the roots from any form of the URL that people paste.

        :param url: The root, with or without a trailing slash; the root followed by ``/api``,
            ``/api/v1`` or ``/api/public/v1``; a page of the UI; any of these below a sub-path;
            ``https://api.airbyte.com/v1``. A missing scheme means https.
        :raises AirbyteConfigError: It is not an http or https URL, or it contains credentials.
        """
        text = url.strip()
        if not text:
            raise AirbyteConfigError(
                "Host (Airbyte URL) of the Airflow connection is empty: enter the URL under which "
                "people open Airbyte, such as https://airbyte.example.com."
            )
        try:
            parts = urlsplit(text if "://" in text else f"https://{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _invalid_url() from None
        if parts.scheme not in ("http", "https") or not host or re.search(r"\s", parts.netloc):
            raise _invalid_url()
        if "@" in parts.netloc:
            raise AirbyteConfigError(
                "Host (Airbyte URL) of the Airflow connection contains credentials: move them to "
                "Login (Client ID) and Password (Client secret)."
            )
        if host == _CLOUD_API_HOST:
            return cls(public=f"https://{host}/v1", config=None, web=_CLOUD_WEB_URL)
        authority = f"[{host}]" if ":" in host else host
        if port is not None:
            authority = f"{authority}:{port}"
        path = re.sub(_PASTED_TAIL, "", re.sub(r"/+", "/", parts.path).rstrip("/"))
        root = f"{parts.scheme}://{authority}{path}"
        return cls(public=f"{root}/api/public/v1", config=f"{root}/api/v1", web=root)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The token endpoints, in the order to try them."""
        roots = (root for root in (self.public, self.config) if root)
        return tuple(_join(root, ("applications", "token")) for root in roots)

    def public_url(
        self, *segments: str | int, query: Mapping[str, QueryValue | None] | None = None
    ) -> str:
        """
        Return the URL of a call of the public API.

        :param segments: Path below the root, unquoted: ``public_url("jobs", 42)``.
        :param query: Parameters; those that are ``None`` are left out.
        """
        return _join(self.public, segments, query)

    def config_url(self, *segments: str) -> str | None:
        """Return the URL of a call of the config API; ``None`` where Airbyte hides it."""
        return self.config and _join(self.config, segments)

    def job_page(self, connection: AirbyteConnection, job_id: int) -> str:
        """Return the page of the UI that shows one job of *connection*, with its logs open."""
        return (
            f"{self.web}/workspaces/{connection.workspace_id}"
            f"/connections/{connection.connection_id}/timeline?jobId={job_id}&openLogs=true"
        )


def _join(
    root: str,
    segments: Iterable[str | int],
    query: Mapping[str, QueryValue | None] | None = None,
) -> str:
    quoted = (str(part) if isinstance(part, int) else quote(part, safe="") for part in segments)
    url = "/".join((root, *quoted))
    given = {name: value for name, value in query.items() if value is not None} if query else {}
    return f"{url}?{urlencode(given)}" if given else url


def _invalid_url() -> AirbyteConfigError:
    return AirbyteConfigError(
        "Host (Airbyte URL) of the Airflow connection is not a valid URL: it should look like "
        "https://airbyte.example.com."
    )


@dataclass(frozen=True, slots=True)
class AirbyteSettings:
    """
    Everything that a client needs to know about one Airbyte.

    Equal settings mean the same Airbyte with the same credentials, so clients can be shared by
    settings.

    :param urls: Its URLs.
    :param client_id: Client id of an application; empty, together with the secret, for an Airbyte
        without sign-in.
    :param client_secret: Client secret of the same application.
    :param request_timeout: Seconds to wait for a response. Calls that Airbyte holds open have
        longer timeouts of their own.
    :param verify_tls: Whether to verify the server's certificate.
    :param ca_bundle: Path of a PEM file with the authorities to trust; empty for the default ones.
    :param client_cert: Path of a PEM file with a client certificate (mTLS); empty for none.
    :param client_key: Path of its private key, if that is not in the same file.
    :param proxy: URL of a proxy; empty for the proxy of the environment (``HTTPS_PROXY``).
    :param headers: Headers for every request, for an identity-aware proxy or an API gateway.
    :param config_api: Whether to ask the internal config API why a job failed.
    :raises AirbyteConfigError: A value is invalid, or only one of client id and secret is given.
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
                "Password (Client secret) of the Airflow connection is empty: enter the secret "
                "that belongs to Login (Client ID), or clear both if this Airbyte has no sign-in."
            )
        if self.client_secret and not self.client_id:
            raise AirbyteConfigError(
                "Login (Client ID) of the Airflow connection is empty: enter the id that belongs "
                "to Password (Client secret), or clear both if this Airbyte has no sign-in."
            )
        if not self.request_timeout > 0:
            raise AirbyteConfigError(
                f"request_timeout of the Airflow connection must be above 0 seconds, "
                f"not {self.request_timeout:g}."
            )
        if self.client_key and not self.client_cert:
            raise AirbyteConfigError(
                "client_key of the Airflow connection is set without client_cert: enter the path "
                "of the certificate too."
            )
        for name, value in self.headers.items():
            if not re.fullmatch(_HEADER_NAME, name) or not re.fullmatch(_HEADER_VALUE, value):
                raise AirbyteConfigError(
                    f"headers of the Airflow connection contain {name!r}, which cannot be sent: "
                    f"name and value must be ASCII, on one line, without surrounding spaces."
                )
            if self.client_id and name.lower() == "authorization":
                raise AirbyteConfigError(
                    "headers of the Airflow connection contain Authorization, which is needed "
                    "for Airbyte's token: remove it, or clear Login (Client ID) and Password."
                )
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    @property
    def authenticates(self) -> bool:
        """Whether there are credentials to exchange for a token."""
        return bool(self.client_id)

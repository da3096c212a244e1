"""The settings of a client, and the only place that builds URLs."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConfigApiError,
    AirbyteConfigError,
)
from airflow_provider_airbyte_sme.api.models import AirbyteConnection

QueryValue = str | int

# These patterns are strings, because most imports never need them compiled.
# What people paste after the root of an Airbyte: an API root, a call of either API, or a page of
# the UI. The calls are listed, because an ingress may serve Airbyte below a path such as /api/v1.
# docs/airbyte-api.md §1, §3.7, §8.1
_CALLS = (
    r"(?:applications|attempt|connections|connector_definitions|dataplanes|embedded|groups|health"
    r"|(?:source|destination)(?:s|_definitions|_definition_specifications)|instance_configuration"
    r"|jobs|logs|notifications|oauth|openapi|operations|organizations|permissions|regions|state"
    r"|streams|tags|users|web_backend|workspaces)(?:/.*)?"
)
_API = rf"/api(?:/public)?(?:/v1(?:/{_CALLS})?)?"
_PAGES = (
    r"/(?:workspaces(?:/.*)?|organizations?/[\da-fA-F-]{8,}(?:/.*)?|auth/realms/.*"
    r"|login|signup|setup)"
)
_PASTED_TAIL = rf"(?:{_API}|{_PAGES})$"
# At the root, people write the path of Airbyte Cloud's API.
_CLOUD_TAIL = rf"/v1(?:/{_CALLS})?"

# It stands in a URL, as one segment of its path. Both limits are ours.
_WEBHOOK_SECRET = r"[A-Za-z0-9_-]{32,256}"  # noqa: S105  a pattern

_HOST_NAME = r"[a-z\d_-]{1,63}(?:\.[a-z\d_-]{1,63})*"
_DEFAULT_PORTS = {"http": 80, "https": 443}

# The part of RFC 9110, 5.5 and 5.6.2, that both HTTP libraries send unchanged.
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE = r"(?:[!-~](?:[ -~]*[!-~])?)?"
# They tell where a message ends, or are for one connection only: the HTTP library writes them.
_FRAMING_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# Airbyte Cloud has separate hosts for the API and the UI, and hides the config API.
_CLOUD_API_HOST = "api.airbyte.com"
_CLOUD_WEB_HOST = "cloud.airbyte.com"

# The page of the UI below a workspace, by kind of resource.
_PAGE_OF = {"source": "source", "destination": "destination", "connection": "connections"}


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
            ``/api/v1`` or ``/api/public/v1``, or by a call below these; a page of the UI; any of
            these below a sub-path; ``https://api.airbyte.com/v1``. A missing scheme means https.
            Query and fragment are ignored.
        :raises AirbyteConfigError: It is not an http or https URL, or it contains credentials.
        """
        parts = _split(url)
        authority = _ascii_host(parts.hostname or "")
        if authority in (_CLOUD_API_HOST, _CLOUD_WEB_HOST):
            return cls(
                public=f"https://{_CLOUD_API_HOST}/v1",
                config=None,
                web=f"https://{_CLOUD_WEB_HOST}",
            )
        if parts.port not in (None, _DEFAULT_PORTS[parts.scheme]):
            authority = f"{authority}:{parts.port}"
        root = f"{parts.scheme}://{authority}{_root_path(parts.path)}"
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
        :raises AirbyteConfigError: A segment or a value cannot be sent.
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

    def resource_page(self, kind: str, resource_id: str, workspace_id: str) -> str:
        """
        Return the page of the UI that shows a resource.

        :param kind: ``source``, ``destination`` or ``connection``; anything else has no page of its
            own, and gets that of its workspace.
        """
        page = f"{self.web}/workspaces/{workspace_id}"
        return f"{page}/{_PAGE_OF[kind]}/{resource_id}" if kind in _PAGE_OF else page


def _join(
    root: str,
    segments: Iterable[str | int],
    query: Mapping[str, QueryValue | None] | None = None,
) -> str:
    given = {name: value for name, value in query.items() if value is not None} if query else {}
    try:
        url = "/".join((root, *map(_segment, segments)))
        return f"{url}?{urlencode(given)}" if given else url
    except UnicodeEncodeError as error:
        raise AirbyteConfigError(
            f"{error.object!r} cannot be sent to Airbyte: it is no valid Unicode."
        ) from None


def _segment(part: str | int) -> str:
    if part in ("", ".", ".."):
        # Servers and proxies drop such a segment, and so would carry out a call of another path.
        raise AirbyteConfigError(f"{part!r} cannot be an id in Airbyte: correct the id.")
    return str(part) if isinstance(part, int) else quote(part, safe="")


def _split(url: str) -> SplitResult:
    """
    Split what was entered as the URL, and check everything but the host name.

    :raises AirbyteConfigError: It is not an http or https URL, or it contains credentials.
    """
    text = url.strip().strip("\"'<>").strip()
    if not text:
        raise AirbyteConfigError(
            "Host (Airbyte URL) of the Airflow connection is empty: enter the URL under which "
            "people open Airbyte, such as https://airbyte.example.com."
        )
    # urlsplit() drops some control characters, the HTTP libraries refuse or quote others.
    # Surrogates cannot be encoded.
    if re.search(r"[\s\x00-\x1f\x7f\ud800-\udfff]", text.partition("?")[0]):
        raise _invalid_url()
    has_scheme = re.match(r"[A-Za-z][\w+.-]*://", text)
    try:
        parts = urlsplit(text if has_scheme else f"https://{text.removeprefix('//')}")
        is_port_zero = parts.port == 0  # the property raises ValueError for what is no port
    except ValueError:
        raise _invalid_url() from None
    if "@" in parts.netloc:
        raise AirbyteConfigError(
            "Host (Airbyte URL) of the Airflow connection contains credentials: move them to "
            "Login (Client ID) and Password (Client secret)."
        )
    if parts.scheme not in _DEFAULT_PORTS or is_port_zero:
        raise _invalid_url()
    return parts


def _ascii_host(host: str) -> str:
    """
    Return the host as it is looked up and sent: in ASCII, without the dot at the end.

    :raises AirbyteConfigError: It is no host name and no IP address.
    """
    if ":" in host:
        return f"[{host}]"  # urlsplit() has checked it
    if not host.isascii():
        # Late: rarely needed. requests depends on it, and both HTTP libraries convert hosts so.
        import idna

        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            raise _invalid_url() from None
    host = host.removesuffix(".")
    # "https" is a mistyped scheme, such as https:/airbyte.example.com.
    if not re.fullmatch(_HOST_NAME, host) or host in _DEFAULT_PORTS:
        raise _invalid_url()
    return host


def _root_path(path: str) -> str:
    """Return the path below which Airbyte is served: without what people paste after it."""
    path = re.sub(r"/+", "/", path).rstrip("/")
    if re.fullmatch(_CLOUD_TAIL, path):
        return ""
    path = re.sub(_PASTED_TAIL, "", path)
    stray_percent_signs = r"%(?![\dA-Fa-f]{2})"
    return quote(re.sub(stray_percent_signs, "%25", path), safe="/%:@!$&'()*+,;=~")


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
    :param config_api: Whether to use the internal config API, which says why a job failed and what
        a connector wants to know. Its token endpoint is used in any case where the public API
        has none.
    :param webhook_secret: What a call of the webhook must know; empty to refuse every call.
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
    webhook_secret: str = field(default="", repr=False)

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
        if self.webhook_secret and not re.fullmatch(_WEBHOOK_SECRET, self.webhook_secret):
            raise AirbyteConfigError(
                "webhook_secret of the Airflow connection must be 32 to 256 letters, digits, "
                "hyphens and underscores, since it stands in a URL and must not be guessed: enter "
                "the output of openssl rand -hex 32."
            )
        for name, value in self.headers.items():
            if not re.fullmatch(_HEADER_NAME, name) or not re.fullmatch(_HEADER_VALUE, value):
                raise AirbyteConfigError(
                    f"headers of the Airflow connection contain {name!r}, which cannot be sent: "
                    f"name and value must be ASCII, on one line, without surrounding spaces."
                )
            if name.lower() in _FRAMING_HEADERS:
                raise AirbyteConfigError(
                    f"headers of the Airflow connection contain {name}, which belongs to each "
                    f"message: remove it."
                )
            if self.client_id and name.lower() == "authorization":
                raise AirbyteConfigError(
                    "headers of the Airflow connection contain Authorization, which is needed "
                    "for Airbyte's token: remove it, or clear Login (Client ID) and Password."
                )
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not appear in any message."""
        password = _password(self.proxy)
        values = (
            *(self.client_secret, self.webhook_secret, password, unquote(password)),
            *self.headers.values(),
        )
        return tuple(filter(None, values))

    @property
    def reach(self) -> tuple[Hashable, ...]:
        """
        What reaches the server, as a key that must not be logged: it contains the secrets.

        Two Airflow connections that differ only in preferences, such as the URL for people or a
        timeout, reach the same Airbyte in the same way.
        """
        return (
            self.urls.public,
            self.client_id,
            self.client_secret,
            self.verify_tls,
            self.ca_bundle,
            self.client_cert,
            self.client_key,
            self.proxy,
            frozenset(self.headers.items()),
        )

    def config_api_url(self, *segments: str, purpose: str) -> str:
        """
        Return the URL of a call of the config API.

        :param purpose: What needs it, as the beginning of a message.
        :raises AirbyteConfigApiError: It is switched off, or this Airbyte hides it.
        """
        url = self.urls.config_url(*segments)
        if url is None or not self.config_api:
            raise AirbyteConfigApiError(purpose, is_hidden=url is None)
        return url

    @property
    def authenticates(self) -> bool:
        """Whether there are credentials to exchange for a token."""
        return bool(self.client_id)


def _password(url: str) -> str:
    """Return the password in *url*, as it is written there, also if the rest cannot be a URL."""
    authority = re.split(r"[/?#]", url.rpartition("://")[2], maxsplit=1)[0]
    return authority.rpartition("@")[0].partition(":")[2]

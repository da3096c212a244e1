"""
Tokens: how long one is valid, and what a failed exchange means.

Pure: no I/O and no clock of its own. Facts: docs/airbyte-api.md §2.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteBadRequestError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteError,
    AirbyteServerError,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

# Seconds, for a token without a readable lifetime. The shortest default of any release is 180 s.
DEFAULT_LIFETIME = 120.0
# A token is renewed this many seconds before it expires, or in the last fifth of a short lifetime.
_RENEWAL_MARGIN = 60.0
_RENEWAL_SHARE = 0.2

_MISSING_ROUTE_STATUSES = frozenset({404, 405, 415})


@dataclass(frozen=True, slots=True)
class Token:
    """
    One bearer token.

    :param renew_at: Time on the client's monotonic clock from which it is not used any more.
    :param lifetime: Seconds from its request to its end; 0 if unknown.
    :param endpoint: URL of the endpoint that issued it; empty if unknown.
    """

    value: str = field(repr=False)
    renew_at: float
    lifetime: float = field(default=0.0, compare=False)
    endpoint: str = field(default="", compare=False)

    @property
    def issued_at(self) -> float | None:
        """When it was issued, on the issuer's clock: seconds since the epoch, if it says so."""
        return _number(_claims(self.value).get("iat"))

    def is_fresh(self, now: float) -> bool:
        """Whether the token can be used at *now*, on the client's monotonic clock."""
        return now < self.renew_at

    @classmethod
    def from_json(
        cls, payload: Any, *, requested_at: float, wall_clock: float, endpoint: str = ""
    ) -> Token:
        """
        Parse the response of either token endpoint.

        :param requested_at: Time on the monotonic clock *before* the request, so that a slow
            exchange never makes a token look younger than it is.
        :param wall_clock: Seconds since the epoch at the same moment.
        :param endpoint: URL of the endpoint that issued it.
        :raises AirbyteDecodeError: ``access_token`` is missing or invalid.
        """
        value = payload.get("access_token") if isinstance(payload, Mapping) else None
        if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
            raise AirbyteDecodeError("field 'access_token' is missing or invalid")
        lifetime = token_lifetime(value, payload.get("expires_in"), wall_clock=wall_clock)
        return cls(
            value=value,
            renew_at=requested_at + lifetime - min(_RENEWAL_MARGIN, _RENEWAL_SHARE * lifetime),
            lifetime=lifetime,
            endpoint=endpoint,
        )


def token_lifetime(token: str, expires_in: object, *, wall_clock: float) -> float:
    """
    Return the lifetime of *token* in seconds, from its request.

    ``exp`` in the token comes first, because ``expires_in`` is only the server's current setting
    (docs/airbyte-api.md §2.3). With ``iat``, the lifetime is ``exp - iat``, so clock skew does not
    matter.
    """
    claims = _claims(token)
    expires_at, issued_at = _number(claims.get("exp")), _number(claims.get("iat"))
    claimed = None
    if expires_at is not None:
        claimed = expires_at - (wall_clock if issued_at is None else issued_at)
    for lifetime in (claimed, _number(expires_in)):
        if lifetime is not None and lifetime > 0:
            return lifetime
    return DEFAULT_LIFETIME


def token_request(settings: AirbyteSettings, url: str) -> Mapping[str, str]:
    """
    Return the JSON body of a token exchange.

    The published contract requires ``grant_type`` at the endpoint of the public API, and a gateway
    may hold requests to it; Airbyte ignores the field. The other endpoint does not know it.
    docs/airbyte-api.md §2.2.

    :param url: One of ``settings.urls.tokens``.
    """
    credentials = {"client_id": settings.client_id, "client_secret": settings.client_secret}
    if not url.startswith(f"{settings.urls.public}/"):
        return credentials
    return {**credentials, "grant_type": "client_credentials"}


def is_missing_endpoint(error: AirbyteError) -> bool:
    """
    Whether *error* means that the URL is not that of a token endpoint.

    If Airbyte wrote the response, it has no such endpoint. An HTML page or a redirect may be an
    ingress during an outage as well, so the other endpoint is worth a request. The 401 or 403 of a
    gateway without HTML says that it rejects the caller, which says nothing about the endpoint.
    """
    if isinstance(error, AirbyteDecodeError):
        return error.is_html
    if not isinstance(error, AirbyteApiError) or error.status >= 500:
        return False
    if error.status in _MISSING_ROUTE_STATUSES:
        return True
    if not error.problem.from_airbyte:
        return error.problem.is_html or error.status < 400
    # To a request without a token, Micronaut responds with 401 "Unauthorized" if the route is
    # unknown. The body is another one if the credentials are wrong. docs/airbyte-api.md §1, §2.5.
    return error.status == 401 and error.problem.text == "Unauthorized"


def as_credentials_error(error: AirbyteError) -> AirbyteError:
    """
    Map an error of the token endpoint to one about the credentials, if that is what it means.

    Wrong credentials are 401 with Keycloak and 400 with simple sign-in. With generic OIDC they are
    a 500 like any other, so both reasons are possible. docs/airbyte-api.md §2.5. What a gateway
    says is not about these credentials.
    """
    if not isinstance(error, AirbyteApiError) or not error.problem.from_airbyte:
        return error
    if isinstance(error, AirbyteServerError) and error.status == 500:
        return error.as_error(
            AirbyteServerError,
            f"the server failed, or the credentials are wrong ({error.problem.text}): check Login "
            f"(Client ID) and Password (Client secret)",
        )
    if isinstance(error, AirbyteAuthenticationError | AirbyteBadRequestError):
        return error.as_error(AirbyteCredentialsError)
    return error


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT, unverified: they only decide how long to keep it."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, Mapping) else {}

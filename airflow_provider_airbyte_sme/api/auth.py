"""
What a token is worth and for how long. Pure: no I/O, no clock of its own.

Lifetimes: 15 minutes by default, 60 or 3 minutes and 24 hours in other releases and settings. The
``expires_in`` of the answer is the server's *setting*, the ``exp`` in the token is what counts:
airbyte-platform ``ApplicationServiceKeycloakImpl.kt``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_airbyte_sme.api.errors import AirbyteDecodeError

# For a token that tells nothing. The shortest lifetime any release had by default is 180 s.
DEFAULT_LIFETIME = 120.0
# Renewed this long before the end, or in the last fifth of a shorter life.
_MARGIN = 60.0
_MARGIN_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Token:
    """
    One bearer token.

    :param renew_at: Instant of the client's monotonic clock from which it is not used any more.
    """

    value: str = field(repr=False)
    renew_at: float

    def is_fresh(self, now: float) -> bool:
        """Whether it can be used at *now*, on the client's monotonic clock."""
        return now < self.renew_at

    @classmethod
    def from_json(cls, payload: Any, *, requested_at: float, wall_clock: float) -> Token:
        """
        Read the answer of either token endpoint.

        :param requested_at: Instant of the monotonic clock *before* the request, so that a slow
            exchange never makes a token look younger than it is.
        :param wall_clock: Seconds since the epoch at the same instant.
        :raises AirbyteDecodeError: There is no ``access_token`` in it.
        """
        value = payload.get("access_token") if isinstance(payload, Mapping) else None
        if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
            raise AirbyteDecodeError("field 'access_token' is missing or is no token")
        lifetime = token_lifetime(value, payload.get("expires_in"), wall_clock=wall_clock)
        return cls(
            value=value,
            renew_at=requested_at + lifetime - min(_MARGIN, _MARGIN_SHARE * lifetime),
        )


def token_lifetime(token: str, expires_in: object, *, wall_clock: float) -> float:
    """
    Find how many seconds *token* is valid for, counted from its request.

    The token's own claims come first. Where it tells when it was issued, that is counted from, so
    that a clock that differs between here and there does no harm.
    """
    claims = _claims(token)
    ends, begins = _number(claims.get("exp")), _number(claims.get("iat"))
    own = None if ends is None else ends - (wall_clock if begins is None else begins)
    for lifetime in (own, _number(expires_in)):
        if lifetime is not None and lifetime > 0:
            return lifetime
    return DEFAULT_LIFETIME


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _claims(token: str) -> Mapping[str, Any]:
    """Read a JWT's claims. Nothing is verified: they only tell how long to keep it."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, Mapping) else {}

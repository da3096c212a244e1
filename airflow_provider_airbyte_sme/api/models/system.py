"""What an Airbyte reports about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from airflow_provider_airbyte_sme.api.models.fields import mapping, readable


class Instance(NamedTuple):
    """
    What an Airbyte reports about itself without a token.

    :param version: Such as ``2.0.0``; ``None`` if it is not reported.
    :param edition: Such as ``community`` or ``enterprise``; ``None`` if it is not reported.
    :param auth_mode: ``none``, ``simple`` or ``oidc``; ``None`` if it is not reported.
    :param url: Where it believes that people open it; ``None`` if it is not reported.
    """

    version: str | None = None
    edition: str | None = None
    auth_mode: str | None = None
    url: str | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse an ``InstanceConfigurationResponse``. Every field may be missing.

        :raises AirbyteDecodeError: It is not a JSON object.
        """
        fields = mapping(payload, "an instance configuration")
        auth = fields.get("auth")
        return cls(
            version=readable(fields, "version", str),
            edition=readable(fields, "edition", str),
            auth_mode=readable(auth, "mode", str) if isinstance(auth, Mapping) else None,
            url=readable(fields, "airbyteUrl", str),
        )

"""Airflow variables that remember between two runs which secrets were written."""

from __future__ import annotations

import json
import logging

from airflow.providers.common.compat.sdk import Variable

from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.scrubbing import scrub
from airflow_provider_airbyte_sme.provisioning.secrets import SecretRecord

log = logging.getLogger(__name__)

PREFIX = "airbyte_sme_fingerprints_"
_DESCRIPTION = (
    "Which secrets of an Airbyte resource were written, as keyed fingerprints. Without it, they "
    "are written once more."
)


class VariableStore:
    """
    A :class:`~.provisioning.secrets.SecretStore` with an Airflow variable for each resource.

    Such a variable is named ``airbyte_sme_fingerprints_<id of the resource>`` and contains no
    secret. It is never needed: if it cannot be read or written, the task goes on, and secrets are
    written to Airbyte once more.
    """

    def __init__(self) -> None:
        # What this task read or wrote, so that it does not depend on what Airflow has stored.
        self._known: dict[str, SecretRecord] = {}

    def read(self, resource_id: str) -> SecretRecord:
        """Return the record of a resource; an empty one if there is none that can be read."""
        if resource_id not in self._known:
            self._known[resource_id] = _read(PREFIX + resource_id)
        return self._known[resource_id]

    def write(self, resource_id: str, record: SecretRecord) -> None:
        """Replace the record of a resource."""
        self._known[resource_id] = record
        name = PREFIX + resource_id
        try:
            Variable.set(name, json.dumps(record.to_json(), sort_keys=True), _DESCRIPTION)
        # Whatever it is: Airbyte has the secret, and a retry would not help.
        except Exception as error:
            log.warning(
                "Airflow variable %s could not be written, so the next run writes the secrets to "
                "Airbyte once more. %s",
                name,
                _text(error),
            )

    def delete(self, resource_id: str) -> None:
        """Forget a resource."""
        self._known.pop(resource_id, None)
        name = PREFIX + resource_id
        try:
            if Variable.get(name, None) is not None:
                Variable.delete(name)
        # Whatever it is: the resource is gone, and so is the use of its variable.
        except Exception as error:
            log.warning(
                "Airflow variable %s could not be deleted: delete it by hand. %s",
                name,
                _text(error),
            )


def _read(name: str) -> SecretRecord:
    try:
        # By position, because the parameter has another name in Airflow 2.
        text = Variable.get(name, None)
        return SecretRecord.from_json(json.loads(text or "{}"))
    # Whatever it is: no JSON, or a secrets backend or the API server failed.
    except Exception as error:
        log.warning(
            "Airflow variable %s could not be read, so this run writes the secrets to Airbyte once "
            "more. %s",
            name,
            _text(error),
        )
        return SecretRecord()


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(scrub(str(error)))}"

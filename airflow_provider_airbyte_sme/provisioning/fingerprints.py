"""Whether a declared secret has to be written, told by fingerprints and coordinates."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.provisioning.declarations import UpdateSecrets
from airflow_provider_airbyte_sme.provisioning.schemas import is_stand_in
from airflow_provider_airbyte_sme.provisioning.secrets import SecretRecord

# A fingerprint of another format never equals a new one, so the secret is written once more.
_FORMAT = "scrypt1"
# 16 MiB and about 70 ms per fingerprint on one slow core.
_COST = 2**14
_BLOCK_SIZE = 8
_LENGTH = 32


class Fingerprints:
    """
    Makes fingerprints of secrets, from which nobody can get the secret.

    :param key: A secret that is not kept beside the fingerprints, such as the client secret of the
        Airbyte application. With another key all fingerprints are other ones, so each secret is
        written once more. Without one (an Airbyte without sign-in) whoever can read a fingerprint
        can try passwords against it, at about 70 ms each: it then protects good ones only.
    :param cost: Cost of one fingerprint, a power of two. Tests use a low one.
    """

    def __init__(self, key: bytes, *, cost: int = _COST) -> None:
        self._key = key
        self._cost = cost

    def of(self, resource_id: str, path: str, value: Any) -> str:
        """
        Return the fingerprint of one secret of one resource.

        The same value has another one elsewhere, so nobody can see where a password is used again.

        :param value: Text, or any other JSON.
        """
        text = json.dumps(value, sort_keys=True, default=str).encode()
        digest = hashlib.scrypt(
            hmac.digest(self._key, text, "sha256"),
            salt=json.dumps([resource_id, path]).encode(),
            n=self._cost,
            r=_BLOCK_SIZE,
            p=1,
            dklen=_LENGTH,
        )
        return f"{_FORMAT}:{digest.hex()}"


class SecretVerdict(NamedTuple):
    """
    Whether to write one declared secret.

    :param reason: Why, in a few words for people.
    """

    writes: bool
    reason: str


def judge_secrets(
    declared: Mapping[str, Any],
    record: SecretRecord,
    coordinates: Mapping[str, str],
    *,
    policy: UpdateSecrets,
    fingerprints: Fingerprints,
    resource_id: str,
) -> dict[str, SecretVerdict]:
    """
    Return for each declared secret whether to write it to the resource that exists.

    One that the resource does not have yet is written in any case: :func:`.actors.plan_actor`.

    :param declared: By path, as :func:`.schemas.secret_paths` returns them.
    :param record: What was last written.
    :param coordinates: Where Airbyte stores each now; empty if unreadable. The fingerprints alone
        decide then.
    """

    def verdict(path: str, value: Any) -> SecretVerdict:
        if is_stand_in(value):
            return SecretVerdict(False, "declared as the stored one")
        if policy != "when_changed":
            return SecretVerdict(policy == "always", f"update_secrets is {policy!r}")
        recorded = record.fingerprints.get(path)
        if recorded is None:
            return SecretVerdict(True, "not written by this provider yet")
        if foreign := _foreign_change(record.coordinates.get(path), coordinates.get(path)):
            return SecretVerdict(True, foreign)
        if fingerprints.of(resource_id, path, value) != recorded:
            return SecretVerdict(True, "the declared value changed")
        return SecretVerdict(False, "unchanged")

    return {path: verdict(path, value) for path, value in declared.items()}


def _foreign_change(before: str | None, now: str | None) -> str:
    """Word how somebody else changed a secret; empty if nobody did, or if it is unknown."""
    if not (before and now) or before == now:
        return ""
    (old_name, old), (name, new) = _name_and_version(before), _name_and_version(now)
    if old_name == name and old and new:
        return f"changed by somebody else: version {old} -> {new}"
    return "changed by somebody else: another secret is stored"


def _name_and_version(coordinate: str) -> tuple[str, str]:
    name, _, version = coordinate.rpartition("_v")
    return (name, version) if re.fullmatch(r"\d+", version) else (coordinate, "")


def record_of(
    written: Mapping[str, Any],
    coordinates: Mapping[str, str],
    fingerprints: Fingerprints,
    resource_id: str,
    previous: SecretRecord,
) -> SecretRecord:
    """
    Return the record after a write.

    :param written: The secrets that were sent, by path: those in the payload. All others keep what
        *previous* says of them, so that a change by somebody else still shows.
    :param coordinates: Where Airbyte stores each after the write; empty if unreadable.
    """
    sent = {path: value for path, value in written.items() if not is_stand_in(value)}
    kept = {path: at for path, at in previous.coordinates.items() if path not in sent}
    stored = {path: coordinates[path] for path in sent if path in coordinates}
    new = {path: fingerprints.of(resource_id, path, value) for path, value in sent.items()}
    return SecretRecord({**previous.fingerprints, **new}, {**kept, **stored})

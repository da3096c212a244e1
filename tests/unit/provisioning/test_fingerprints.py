"""Whether a declared secret is written is told without knowing the stored one."""

import time

import pytest

from airflow_provider_airbyte_sme.provisioning.fingerprints import (
    Fingerprints,
    SecretVerdict,
    judge_secrets,
    record_of,
)
from airflow_provider_airbyte_sme.provisioning.results import MASK
from airflow_provider_airbyte_sme.provisioning.secrets import SecretRecord
from tests.unit.provisioning.connectors import ACTOR_ID, coordinate

FINGERPRINTS = Fingerprints(b"client secret")
# Each takes many milliseconds by design.
OF_HUNTER2 = FINGERPRINTS.of(ACTOR_ID, "password", "hunter2")


def judged(value="hunter2", fingerprint=OF_HUNTER2, before=None, now=None, policy="when_changed"):
    record = SecretRecord(
        {"password": fingerprint} if fingerprint else {}, {"password": before} if before else {}
    )
    coordinates = {"password": now} if now else {}
    verdicts = judge_secrets(
        {"password": value},
        record,
        coordinates,
        policy=policy,
        fingerprints=FINGERPRINTS,
        resource_id=ACTOR_ID,
    )
    return verdicts["password"]


@pytest.mark.parametrize(
    ("situation", "writes", "reason"),
    [
        ({}, False, "unchanged"),
        ({"value": "hunter3"}, True, "the declared value changed"),
        ({"fingerprint": None}, True, "not written by this provider yet"),
        ({"fingerprint": "md5:abc"}, True, "the declared value changed"),
        ({"before": coordinate("a", 2), "now": coordinate("a", 2)}, False, "unchanged"),
        (
            {"before": coordinate("a", 2), "now": coordinate("a", 3)},
            True,
            "changed by somebody else: version 2 -> 3",
        ),
        (
            {"before": coordinate("a", 2), "now": coordinate("b", 1)},
            True,
            "changed by somebody else: another secret is stored",
        ),
        (
            {"before": coordinate("a", 2), "now": "secret_coordinate::vault/db"},
            True,
            "changed by somebody else: another secret is stored",
        ),
        ({"before": coordinate("a", 2)}, False, "unchanged"),
        ({"now": coordinate("a", 2)}, False, "unchanged"),
        ({"value": MASK, "policy": "always"}, False, "declared as the stored one"),
        ({"value": coordinate("a", 2)}, False, "declared as the stored one"),
        (
            {"value": "secret_coordinate::vault/db"},
            True,
            "the declared value changed",
        ),
        ({"policy": "always"}, True, "update_secrets is 'always'"),
        ({"policy": "never", "fingerprint": None}, False, "update_secrets is 'never'"),
        ({"policy": "never", "value": "hunter3"}, False, "update_secrets is 'never'"),
    ],
)
def test_a_secret_is_written_for_a_reason(situation, writes, reason):
    assert judged(**situation) == SecretVerdict(writes, reason)


@pytest.mark.parametrize(
    "other",
    [
        lambda: Fingerprints(b"client secret").of(ACTOR_ID, "password", "hunter3"),
        lambda: Fingerprints(b"client secret").of("another", "password", "hunter2"),
        lambda: Fingerprints(b"client secret").of(ACTOR_ID, "passphrase", "hunter2"),
        lambda: Fingerprints(b"another key").of(ACTOR_ID, "password", "hunter2"),
        lambda: Fingerprints(b"").of(ACTOR_ID, "password", "hunter2"),
    ],
)
def test_a_fingerprint_holds_for_one_value_of_one_secret_with_one_key(other):
    assert other() != OF_HUNTER2


def test_a_fingerprint_is_the_same_in_every_process():
    assert OF_HUNTER2 == (
        "scrypt1:c07bd85363edc4e94ca8db1a5db6d949c72ea5e88533658dc8350d2a63fee70d"
    )


def test_a_fingerprint_of_an_object_does_not_depend_on_the_order_of_its_keys():
    assert FINGERPRINTS.of("", "", {"a": 1, "b": [2]}) == FINGERPRINTS.of(
        "", "", {"b": [2], "a": 1}
    )


def test_guessing_a_fingerprint_is_slow():
    began = time.process_time()
    FINGERPRINTS.of(ACTOR_ID, "password", "hunter2")
    assert time.process_time() - began > 0.005


def test_the_record_of_a_write_tells_what_was_sent():
    record = record_of(
        {"password": "hunter2", "token": MASK},
        {"password": coordinate("a", 2), "token": coordinate("b", 5)},
        FINGERPRINTS,
        ACTOR_ID,
        SecretRecord(
            {"token": "old"}, {"password": coordinate("a", 1), "token": coordinate("b", 4)}
        ),
    )
    assert record.fingerprints == {"password": OF_HUNTER2, "token": "old"}
    assert record.coordinates == {"password": coordinate("a", 2), "token": coordinate("b", 4)}


def test_a_coordinate_that_is_unreadable_after_the_write_is_forgotten():
    previous = SecretRecord({"password": "old"}, {"password": coordinate("a", 1)})
    record = record_of({"password": "hunter2"}, {}, FINGERPRINTS, ACTOR_ID, previous)
    assert record == SecretRecord({"password": OF_HUNTER2}, {})

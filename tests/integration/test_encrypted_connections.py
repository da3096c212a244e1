"""A custom authority and a client certificate, with real ones, wherever Airbyte is reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.tasks import TaskRun, run_trigger
from tests.unit.api.certificates import Certificates
from tests.unit.api.encrypted import EncryptedEmulator


@pytest.fixture
def certificates(tmp_path_factory) -> Certificates:
    return Certificates.made_in(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def encrypted(emulator: Emulator, certificates: Certificates) -> Iterator[EncryptedEmulator]:
    context = certificates.server_context_requiring_client_cert()
    with EncryptedEmulator(emulator, context) as server:
        yield server


@pytest.fixture
def fields(emulator, encrypted, certificates) -> dict[str, object]:
    """Return the fields of an Airflow connection with which everything works."""
    return {
        "host": encrypted.url,
        "login": emulator.client_id,
        "password": emulator.client_secret,
        "extra": {
            "ca_bundle": certificates.ca_bundle,
            "client_cert": certificates.client_cert,
            "client_key": certificates.client_key,
        },
    }


def without(fields, *names):
    """Return the fields of an Airflow connection without some of its extras."""
    kept = {name: value for name, value in fields["extra"].items() if name not in names}
    return {**fields, "extra": kept}


def test_a_task_works_with_a_custom_authority_and_a_client_certificate(
    set_connection, fields, encrypted, sync_run, deferrable
):
    set_connection(**fields)
    run: TaskRun = sync_run(deferrable=deferrable)

    assert run.finish()["status"] == "succeeded"
    assert len(run.deferrals) == deferrable
    assert encrypted.requests


def test_a_deferred_sensor_works_with_them_too(
    set_connection, fields, emulator, running_job, sensor_run
):
    set_connection(**fields)
    run = sensor_run(running_job, deferrable=True)
    run.start()
    emulator.finish_job(running_job)

    assert run.resume(run_trigger(run.deferrals[-1].trigger))["status"] == "succeeded"


def test_the_connection_test_uses_the_same_certificates(hook_for, fields, encrypted):
    success, message = hook_for(**fields).test_connection()

    assert success
    assert f"at {encrypted.url}: " in message
    assert "encrypted" not in message


@pytest.mark.parametrize("missing", [("ca_bundle",), ("client_cert", "client_key")])
def test_the_connection_test_without_one_of_them_fails(hook_for, fields, encrypted, missing):
    success, message = hook_for(**without(fields, *missing)).test_connection()

    assert not success
    assert message.startswith("Airbyte cannot be reached. ")
    assert encrypted.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_connection_test_without_verification_warns(hook_for, fields):
    unverified = without(fields, "ca_bundle")
    unverified["extra"]["verify_tls"] = False

    success, message = hook_for(**unverified).test_connection()

    assert success
    assert message.endswith("can read the client secret. Set ca_bundle instead.")

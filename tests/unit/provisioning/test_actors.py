"""A source or destination is changed with the smallest write that does it, and keeps the rest."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api.models import ConnectorSpecification
from airflow_provider_airbyte_sme.provisioning.actors import plan_actor, plan_creation
from airflow_provider_airbyte_sme.provisioning.configuration import validate_configuration
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteDeclarationError,
    AirbyteImmutableFieldError,
)
from airflow_provider_airbyte_sme.provisioning.fingerprints import SecretVerdict
from airflow_provider_airbyte_sme.provisioning.results import MASK, FieldChange, Plan
from airflow_provider_airbyte_sme.provisioning.schemas import masked, secret_paths
from tests.unit.api.malformed import reproducible
from tests.unit.provisioning.connectors import (
    ACTOR_ID,
    DEFINITION_ID,
    SCHEMA,
    SPECIFICATION,
    coordinate,
    declared,
    existing,
)

VALID = {"host": "db", "port": 5432}
NO_TUNNEL = {"tunnel_method": "NO_TUNNEL"}
SSH_KEY = {"tunnel_method": "SSH_KEY", "tunnel_host": "bastion", "ssh_key": "ssh-1"}
SSH_PASSWORD = {"tunnel_method": "SSH_PASSWORD", "tunnel_host": "bastion", "tunnel_password": "p-1"}

KEPT = SecretVerdict(False, "unchanged")
WRITTEN = SecretVerdict(True, "the declared value changed")


def planned(
    configuration, stored, *, writes=(), specification=SPECIFICATION, actual=None, **fields
) -> Plan:
    """Plan for an actor with *stored*; the secrets at the paths *writes* have to be written."""
    paths = secret_paths(SCHEMA, configuration)
    verdicts = {path: WRITTEN if path in writes else KEPT for path in paths}
    actor = existing(masked(SCHEMA, stored), **(actual or {}))
    return plan_actor(declared(configuration, **fields), actor, specification, verdicts)


def problems(*arguments, **options) -> list[str]:
    with pytest.raises(AirbyteDeclarationError, match="source 'CRM'") as error:
        planned(*arguments, **options)
    return list(error.value.problems)


def test_what_is_declared_and_stored_needs_no_write():
    stored = {**VALID, "password": "pw", "tunnel_method": SSH_KEY, "accounts": [{"token": "t"}]}
    assert planned(stored, stored) == Plan()


def test_only_changed_keys_are_patched():
    stored = {**VALID, "ssl": True, "options": {"fetch": 1, "label": "a"}}
    plan = planned({**VALID, "port": 1, "options": {"fetch": 2, "label": "a"}}, stored)
    assert plan == Plan(
        (
            FieldChange("configuration.port", 5432, 1),
            FieldChange("configuration.options.fetch", 1, 2),
        ),
        {"configuration": {"port": 1, "options": {"fetch": 2}}},
        not_compared=("configuration.ssl",),
    )


def test_what_is_not_declared_is_listed_once():
    stored = {**VALID, "ssl": True, "options": {"fetch": 1, "label": "a"}}
    plan = planned({**VALID, "options": {"fetch": 1}}, stored, actual=ALLOCATED)
    assert plan == Plan(
        not_compared=("configuration.ssl", "configuration.options.label", "resource_allocation")
    )


def test_a_type_is_compared_too():
    assert planned({**VALID, "free": {"a": True}}, {**VALID, "free": {"a": 1}}).payload == {
        "configuration": {"free": {"a": True}}
    }


def test_an_array_is_replaced_as_a_whole():
    plan = planned({"schemas": ["b"]}, {"schemas": ["a", "b"]})
    assert plan.payload == {"configuration": {"schemas": ["b"]}}
    assert plan.changes == (FieldChange("configuration.schemas", ["a", "b"], ["b"]),)


def test_a_declaration_that_was_not_coerced_is_no_drift():
    stored = {**VALID, "options": {"fetch": 1}}
    given = {**VALID, "port": "5432", "options": '{"fetch": "1"}', "sourceType": "postgres"}
    assert planned(given, stored) == Plan()


def test_another_name_is_a_change():
    plan = planned(VALID, VALID, name="CRM 2")
    assert plan == Plan((FieldChange("name", "CRM", "CRM 2"),), {"name": "CRM 2"})


def test_a_secret_to_write_shows_the_reason_and_no_value():
    stored = {**VALID, "password": "old"}
    plan = planned({**VALID, "password": "new"}, stored, writes=["password"])
    assert plan == Plan(
        (FieldChange("configuration.password", "********** (the declared value changed)", MASK),),
        {"configuration": {"password": "new"}},
        secrets=("new",),
    )


def test_a_secret_that_is_not_stored_yet_is_written_in_any_case():
    plan = planned({**VALID, "password": "new"}, VALID)
    assert plan.changes == (FieldChange("configuration.password", None, MASK),)
    assert plan.payload == {"configuration": {"password": "new"}}


def test_a_secret_object_is_written_as_a_whole_without_nulls():
    key = {"kid": "k", "x": None}
    plan = planned({"key": key}, {"key": {"kid": "old"}}, writes=["key"])
    assert plan.payload == {"configuration": {"key": {"kid": "k"}}}


def test_a_new_object_is_patched_with_its_secrets():
    plan = planned({"tunnel_method": SSH_KEY}, {})
    assert plan.payload == {"configuration": {"tunnel_method": SSH_KEY}}
    assert plan.changes == (
        FieldChange("configuration.tunnel_method", None, {**SSH_KEY, "ssh_key": MASK}),
    )
    assert plan.secrets == ("ssh-1",)


def test_a_coordinate_in_the_actual_configuration_is_a_stored_secret():
    actual = existing({**VALID, "password": coordinate("a", 2)})
    declaration = declared({**VALID, "password": "pw"})
    assert plan_actor(declaration, actual, SPECIFICATION, {"password": KEPT}) == Plan()


@pytest.mark.parametrize("stand_in", [MASK, coordinate("a", 2)])
def test_the_mask_keeps_the_stored_secret(stand_in):
    plan = planned({"host": "new", "password": stand_in}, {"host": "db", "password": "pw"})
    assert plan.payload == {"configuration": {"host": "new"}}


@pytest.mark.parametrize("stand_in", [MASK, coordinate("a", 2)])
def test_the_mask_of_a_secret_that_is_not_stored_is_an_error(stand_in):
    assert problems({**VALID, "password": stand_in}, VALID) == [
        "configuration.password is masked, and there is no stored one: fill it in"
    ]


def test_a_reference_into_a_secret_manager_is_written():
    plan = planned({"password": "secret_coordinate::vault/db"}, {})
    assert plan.payload == {"configuration": {"password": "secret_coordinate::vault/db"}}


ACCOUNTS = [{"user": "a", "token": "t-0"}, {"user": "b", "token": "t-1"}]


def test_an_array_is_written_with_all_its_secrets_if_one_changes():
    plan = planned({"accounts": ACCOUNTS}, {"accounts": ACCOUNTS}, writes=["accounts[1].token"])
    assert plan.payload == {"configuration": {"accounts": ACCOUNTS}}
    assert [change.field for change in plan.changes] == ["configuration.accounts[1].token"]
    assert plan.secrets == ("t-0", "t-1")


def test_an_array_that_changes_shows_its_secrets_masked():
    plan = planned({"accounts": ACCOUNTS}, {"accounts": ACCOUNTS[:1]})
    assert plan.changes == (
        FieldChange(
            "configuration.accounts",
            [{"user": "a", "token": MASK}],
            [{"user": "a", "token": MASK}, {"user": "b", "token": MASK}],
        ),
    )


def test_an_array_cannot_be_written_with_a_masked_secret():
    accounts = [{"user": "a", "token": MASK}, {"user": "new", "token": "t-1"}]
    assert problems({"accounts": accounts}, {"accounts": ACCOUNTS}) == [
        "configuration.accounts[0].token must be declared with its value: configuration.accounts "
        "cannot change without it, and Airbyte never returns it"
    ]


def test_an_array_may_keep_its_masked_secrets_if_nothing_changes():
    accounts = [{**account, "token": MASK} for account in ACCOUNTS]
    assert planned({"accounts": accounts}, {"accounts": ACCOUNTS}) == Plan()


def test_another_branch_replaces_the_whole_configuration():
    stored = {**VALID, "ssl": True, "password": "pw", "tunnel_method": SSH_KEY}
    given = {**VALID, "password": "pw", "tunnel_method": SSH_PASSWORD}
    assert planned(given, stored) == Plan(
        (
            FieldChange("configuration.tunnel_method.ssh_key", MASK, None),
            FieldChange("configuration.tunnel_method.tunnel_method", "SSH_KEY", "SSH_PASSWORD"),
            FieldChange("configuration.tunnel_method.tunnel_password", None, MASK),
        ),
        {
            "name": "CRM",
            "configuration": {
                **VALID,
                "ssl": True,
                "password": "pw",
                "tunnel_method": SSH_PASSWORD,
            },
        },
        replaces=True,
        secrets=("pw", "p-1"),
        not_compared=("configuration.ssl",),
    )


@pytest.mark.parametrize("fields", [{}, {"password": MASK}, {"password": coordinate("a", 1)}])
def test_a_replacement_needs_the_value_of_every_stored_secret(fields):
    stored = {**VALID, "password": "pw", "tunnel_method": SSH_KEY}
    assert problems({**VALID, **fields, "tunnel_method": NO_TUNNEL}, stored) == [
        "configuration.password must be declared with its value: configuration.tunnel_method "
        "cannot change without it, and Airbyte never returns it"
    ]


def test_a_replacement_needs_no_secret_that_goes_with_its_branch():
    stored = {**VALID, "tunnel_method": SSH_KEY}
    plan = planned({**VALID, "tunnel_method": NO_TUNNEL}, stored)
    assert plan.payload["configuration"] == {**VALID, "tunnel_method": NO_TUNNEL}


def test_a_branch_of_the_whole_configuration_can_change():
    schema = {"oneOf": [branch_of("a", x={}), branch_of("b", y={})]}
    actual = existing({"kind": "a", "x": 1, "z": 2})
    plan = plan_actor(
        declared({"kind": "b", "y": 1}), actual, SPECIFICATION._replace(schema=schema), {}
    )
    assert plan.replaces
    assert plan.payload["configuration"] == {"kind": "b", "y": 1, "z": 2}


def branch_of(kind, **properties):
    return {"properties": {"kind": {"enum": [kind]}, **properties}}


@pytest.mark.parametrize(
    ("stored", "before"),
    [(True, True), ({"a": 1}, {"a": 1}), ([1], [1])],
)
def test_a_key_that_is_declared_as_null_is_removed(stored, before):
    plan = planned({**VALID, "ssl": None}, {**VALID, "ssl": stored})
    assert plan.changes == (FieldChange("configuration.ssl", before, None),)
    assert plan.replaces
    assert plan.payload == {"name": "CRM", "configuration": VALID}


@pytest.mark.parametrize("stored", [VALID, {**VALID, "ssl": None}])
def test_a_key_that_is_declared_as_null_and_absent_is_no_change(stored):
    assert planned({**VALID, "ssl": None}, stored) == Plan()


def test_a_secret_that_is_declared_as_null_is_removed_and_not_shown():
    plan = planned({**VALID, "password": None}, {**VALID, "password": "pw"})
    assert plan.changes == (FieldChange("configuration.password", MASK, None),)
    assert plan.payload == {"name": "CRM", "configuration": VALID}


@pytest.mark.parametrize("value", [1, "text", [1]])
def test_anything_else_in_place_of_an_object_needs_a_replacement(value):
    plan = planned({**VALID, "either": value}, {**VALID, "either": {"a": 1}})
    assert plan.replaces
    assert plan.payload["configuration"] == {**VALID, "either": value}


def test_no_null_is_ever_sent():
    plan = planned(
        {"free": {"a": None, "b": [{"c": None, "d": 1}]}, "ssl": None, "options": {"fetch": None}},
        {"options": {"label": "a"}},
    )
    assert plan.payload == {"configuration": {"free": {"b": [{"d": 1}]}}}


ALLOCATION = {"default": {"cpu_limit": "1", "memory_limit": "2Gi"}}
ALLOCATED = {"resource_allocation": ALLOCATION}


def test_a_write_never_clears_the_resource_allocation():
    plan = planned({**VALID, "port": 1}, VALID, actual=ALLOCATED)
    assert plan.payload == {"configuration": {"port": 1}, "resourceAllocation": ALLOCATION}


def test_a_declared_part_of_the_resource_allocation_is_laid_over_the_actual_one():
    given = {"default": {"cpu_limit": "4"}}
    plan = planned(VALID, VALID, actual=ALLOCATED, resource_allocation=given)
    assert plan == Plan(
        (FieldChange("resource_allocation.default.cpu_limit", "1", "4"),),
        {"resourceAllocation": {"default": {"cpu_limit": "4", "memory_limit": "2Gi"}}},
        not_compared=("resource_allocation.default.memory_limit",),
    )


def test_an_empty_resource_allocation_clears_the_actual_one():
    plan = planned(VALID, VALID, actual=ALLOCATED, resource_allocation={})
    assert plan.changes == (FieldChange("resource_allocation", ALLOCATION, {}),)
    assert plan.payload == {"name": "CRM"}  # what is left out is cleared
    assert planned(VALID, VALID, resource_allocation={}) == Plan()


def test_the_oauth_input_is_part_of_the_specification():
    flow: dict[str, Any] = {
        "completeOAuthServerInputSpecification": {"properties": {"client_id": {}}}
    }
    specification = ConnectorSpecification.from_json(
        {
            "destinationDefinitionId": DEFINITION_ID,
            "advancedAuth": {"oauthConfigSpecification": flow},
        }
    )
    assert specification.oauth_inputs == ("client_id",)


WITH_OAUTH = SPECIFICATION._replace(oauth_inputs=("host",))


def test_keys_of_the_oauth_input_are_written_by_replacement():
    stored = {**VALID, "password": "pw"}
    plan = planned({**stored, "host": "new"}, stored, specification=WITH_OAUTH)
    assert plan.replaces
    assert plan.payload["configuration"] == {"host": "new", "port": 5432, "password": "pw"}


def test_keys_of_the_oauth_input_are_patched_if_secrets_are_not_declared():
    stored = {**VALID, "password": "pw"}
    plan = planned({**VALID, "host": "new"}, stored, specification=WITH_OAUTH)
    assert not plan.replaces
    assert plan.payload == {"configuration": {"host": "new"}}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"connector": "mysql", "definition_id": "4" * 8}, "mysql"),
        ({"connector": "mysql", "definition_id": ""}, "mysql"),
        ({"connector": "", "definition_id": "4" * 8}, "44444444"),
    ],
)
def test_another_connector_is_an_error_that_names_both(fields, names):
    with pytest.raises(AirbyteImmutableFieldError) as error:
        planned(VALID, VALID, **fields)
    message = str(error.value)
    assert f"connector {names} is declared, but 'CRM' ({ACTOR_ID}) exists with postgres" in message


@pytest.mark.parametrize(
    "fields", [{"definition_id": DEFINITION_ID.upper()}, {"definition_id": "", "connector": ""}]
)
def test_the_same_connector_is_recognised(fields):
    assert planned(VALID, VALID, **fields) == Plan()


def test_a_creation_names_its_connector_and_masks_what_is_shown():
    configuration = {**VALID, "password": "pw-1", "ssl": None}
    declaration = declared(configuration, definition_id="", resource_allocation=ALLOCATION)
    assert plan_creation(declaration, configuration, SPECIFICATION) == Plan(
        (
            FieldChange("name", None, "CRM"),
            FieldChange("configuration.host", None, "db"),
            FieldChange("configuration.port", None, 5432),
            FieldChange("configuration.password", None, MASK),
            FieldChange("resource_allocation", None, ALLOCATION),
        ),
        {
            "name": "CRM",
            "definitionId": DEFINITION_ID,
            "configuration": {**VALID, "password": "pw-1"},
            "resourceAllocation": ALLOCATION,
        },
        secrets=("pw-1",),
    )


def test_a_creation_with_a_mask_is_an_error():
    configuration = {**VALID, "password": MASK, "accounts": [{"token": MASK}]}
    with pytest.raises(AirbyteDeclarationError) as error:
        plan_creation(declared(configuration), configuration, SPECIFICATION)
    assert error.value.problems == (
        "configuration.password is masked, and there is no stored one: fill it in",
        "configuration.accounts[0].token is masked, and there is no stored one: fill it in",
    )


def test_a_plan_shows_no_secret():
    configuration = {**VALID, "password": "pw-1"}
    assert "pw-1" not in repr(plan_creation(declared(configuration), configuration, SPECIFICATION))


# A model of the server's two writes: docs/airbyte-api.md §4.2.19 to §4.2.27.


def patched(stored: Any, sent: dict[str, Any]) -> dict[str, Any]:
    """Return what Airbyte stores after a PATCH."""
    result = dict(stored)
    for key, value in sent.items():
        if isinstance(stored.get(key), dict) and key != "key":
            # Anything but an object is ignored in place of one.
            result[key] = patched(stored[key], value if isinstance(value, dict) else {})
        else:
            result[key] = value
    return result


def applied(stored: dict[str, Any], plan: Plan) -> dict[str, Any]:
    sent = plan.payload.get("configuration")
    if sent is None:
        return stored
    return sent if plan.replaces else patched(stored, sent)


def _objects(**strategies):
    return st.fixed_dictionaries({}, optional=strategies)


texts = st.sampled_from(["a", "b"])
secrets = st.sampled_from(["secret1", "secret2"])
tunnels = st.sampled_from(
    [
        NO_TUNNEL,
        SSH_KEY,
        {**SSH_KEY, "ssh_key": "ssh-2"},
        {**SSH_KEY, "tunnel_host": "b"},
        SSH_PASSWORD,
    ]
)
configurations = _objects(
    port=st.integers(1, 2),
    ssl=st.booleans(),
    mode=st.sampled_from(["full", "fast"]),
    schemas=st.lists(texts, min_size=1, unique=True),
    password=secrets,
    key=st.fixed_dictionaries({"kid": secrets}),
    options=_objects(fetch=st.integers(1, 2), label=texts),
    free=_objects(a=st.integers(0, 1) | st.booleans(), b=st.lists(texts)),
    accounts=st.lists(_objects(user=texts, token=secrets), max_size=2),
    tunnel_method=tunnels,
)
removals = st.sets(st.sampled_from(["ssl", "mode", "schemas", "options", "free", "password"]))


@reproducible
@given(given=configurations, gone=removals, masks=st.booleans(), stored=configurations)
def test_one_plan_reaches_what_is_declared_and_loses_nothing(given, gone, masks, stored):
    nulls = dict.fromkeys(gone - given.keys())
    if masks and "password" in given:
        given = {**given, "password": MASK}
    given = {"host": "db", "port": 1, **given, **nulls}
    declaration = declared(given)
    configuration = dict(validate_configuration(declaration, SPECIFICATION))
    writes = {
        path
        for path, value in secret_paths(SCHEMA, configuration).items()
        if value not in (MASK, secret_paths(SCHEMA, stored).get(path))
    }
    before = copy.deepcopy(stored)
    try:
        plan = planned(configuration, stored, writes=writes)
    except AirbyteDeclarationError:
        assert masks or secret_paths(SCHEMA, stored).keys() - secret_paths(SCHEMA, given).keys()
        return
    after = applied(stored, plan)
    assert stored == before
    assert MASK not in repr(plan.payload)
    assert_declared(configuration, after, stored)
    assert_kept(stored, after, configuration)
    assert planned(configuration, after).changes == ()
    assert bool(plan.changes) == bool(plan.payload)


def assert_declared(given: Any, after: Any, stored: Any) -> None:
    """Assert that each declared value is stored, and that the mask kept what was."""
    for key, value in given.items():
        if value is None:
            assert after.get(key) is None
        elif value == MASK:
            assert after[key] == stored[key]
        elif isinstance(value, dict):
            assert_declared(value, after[key], stored.get(key))
        else:
            assert (type(after[key]), after[key]) == (type(value), value)


def assert_kept(stored: Any, after: Any, given: Any) -> None:
    """Assert that nothing is lost but what is declared as absent, or was of another branch."""
    kinds = [each.get("tunnel_method") for each in (stored, given)]
    has_switched = all(isinstance(kind, str) for kind in kinds) and kinds[0] != kinds[1]
    for key, value in stored.items():
        if key not in given:
            assert has_switched or after[key] == value
        elif isinstance(value, dict) and isinstance(given[key], dict) and key != "key":
            assert_kept(value, after[key], given[key])

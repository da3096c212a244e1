"""A configuration is checked against the specification of its connector before it is sent."""

import copy

import pytest

from airflow_provider_airbyte_sme.api.models import ConnectorSpecification
from airflow_provider_airbyte_sme.provisioning.configuration import validate_configuration
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError
from airflow_provider_airbyte_sme.provisioning.results import MASK
from airflow_provider_airbyte_sme.provisioning.schemas import (
    coordinates_of,
    masked,
    secret_paths,
    secret_values,
)
from tests.unit.provisioning.connectors import SCHEMA, SPECIFICATION, coordinate, declared

VALID = {"host": "db", "port": 5432}


def validated(**configuration):
    return validate_configuration(declared({**VALID, **configuration}), SPECIFICATION)


def problems(specification=SPECIFICATION, **configuration):
    with pytest.raises(AirbyteDeclarationError) as error:
        validate_configuration(declared({**VALID, **configuration}), specification)
    return list(error.value.problems)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("port", "5432", 5432),
        ("port", " 5432 ", 5432),
        ("ratio", "0.5", 0.5),
        ("ratio", "2", 2),
        ("ssl", "True", True),
        ("ssl", "false", False),
        ("schemas", "['a', 'b']", ["a", "b"]),
        ("options", '{"fetch": "10", "label": "7"}', {"fetch": 10, "label": "7"}),
        ("options", {"fetch": "10"}, {"fetch": 10}),
        ("tunnel_method", "{'tunnel_method': 'NO_TUNNEL'}", {"tunnel_method": "NO_TUNNEL"}),
        ("schemas", ("a", "b"), ["a", "b"]),
    ],
)
def test_a_text_becomes_the_value_that_the_schema_wants(key, text, value):
    result = validated(**{key: text})[key]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "configuration",
    [{"password": "12345"}, {"either": "12"}, {"free": {"a": "1"}}, {"host": "True"}],
)
def test_a_text_stays_where_the_schema_allows_text(configuration):
    assert validated(**configuration) == {**VALID, **configuration}


def test_the_declaration_is_never_changed():
    given = {**VALID, "port": "1", "sourceType": "postgres", "options": {"fetch": "1"}}
    before = copy.deepcopy(given)
    result = validate_configuration(declared(given), SPECIFICATION)
    result["options"]["fetch"] = 2
    assert given == before


def test_coercing_twice_changes_nothing():
    once = validated(options='{"fetch": "10"}', sourceType="postgres", ssl=None)
    assert validate_configuration(declared(once), SPECIFICATION) == once


def test_the_type_of_the_connector_is_dropped_at_the_top_only():
    assert "sourceType" not in validated(sourceType="postgres")
    assert problems(options={"sourceType": "x"}) == [
        "configuration.options.sourceType is unknown to the connector: remove it, or correct its "
        "name"
    ]


@pytest.mark.parametrize(
    ("configuration", "problem"),
    [
        ({"port": "many"}, "configuration.port must be integer, not text"),
        ({"port": "nan"}, "configuration.port must be integer, not text"),
        ({"ratio": "NaN"}, "configuration.ratio must be number, not text"),
        ({"port": 5.5}, "configuration.port must be integer, not number"),
        ({"port": None}, "configuration.port is missing (integer)"),
        ({"host": 5}, "configuration.host must be string, not integer"),
        ({"port": 0}, "configuration.port must be at least 1"),
        ({"port": 70000}, "configuration.port must be at most 65536"),
        ({"mode": "slow"}, 'configuration.mode must be one of "full", "fast"'),
        ({"since": "today"}, "configuration.since must match 'YYYY-MM-DD'"),
        ({"schemas": []}, "configuration.schemas must have 1 or more items"),
        ({"schemas": ["a", "a"]}, "configuration.schemas must not have an item twice"),
        ({"schemas": ["a", None]}, "configuration.schemas[1] must be string, not null"),
        (
            {"passw0rd": "abc"},
            "configuration.passw0rd is unknown to the connector: did you mean 'password'?",
        ),
        (
            {"accounts": [{"user": "a"}, {"tokn": "b"}]},
            "configuration.accounts[1].tokn is unknown to the connector: did you mean 'token'?",
        ),
        (
            {"tunnel_method": {"tunnel_method": "SSH_KEY", "tunnel_host": "bastion"}},
            "configuration.tunnel_method.ssh_key is missing (string)",
        ),
        (
            {"tunnel_method": {"tunnel_method": "NO_TUNNEL", "ssh_key": "x"}},
            "configuration.tunnel_method.ssh_key is unknown to the connector: remove it, or "
            "correct its name",
        ),
        (
            {"tunnel_method": {"tunnel_method": "VPN"}},
            "configuration.tunnel_method.tunnel_method must be one of "
            '"NO_TUNNEL", "SSH_KEY", "SSH_PASSWORD"',
        ),
        (
            {"tunnel_method": {}},
            "configuration.tunnel_method.tunnel_method is missing: it must be one of "
            '"NO_TUNNEL", "SSH_KEY", "SSH_PASSWORD"',
        ),
        ({"either": []}, "configuration.either must be integer or string, not array"),
    ],
)
def test_a_violation_names_its_path_and_what_is_right(configuration, problem):
    assert problems(**configuration) == [problem]


def test_all_violations_are_reported_at_once():
    with pytest.raises(AirbyteDeclarationError, match="source 'CRM'") as error:
        validate_configuration(
            declared({"prt": 1, "ssl": "maybe", "tunnel_method": {"tunnel_method": "SSH_KEY"}}),
            SPECIFICATION,
        )
    assert set(error.value.problems) == {
        "configuration.ssl must be boolean, not text",
        "configuration.tunnel_method.tunnel_host is missing (string)",
        "configuration.tunnel_method.ssh_key is missing (string)",
        "configuration.host is missing (string)",
        "configuration.port is missing (integer)",
        "configuration.prt is unknown to the connector: did you mean 'port'?",
    }


def test_no_message_contains_a_value():
    secret = "SECRET with capitals"
    found = problems(
        password=secret,
        host=[secret],
        port=secret,
        mode=secret,
        tunnel_method={"tunnel_method": secret},
        accounts=[secret],
        key=secret,
    )
    assert len(found) == 7
    assert secret not in "".join(found)


@pytest.mark.parametrize("stand_in", [MASK, coordinate("x", 2), "secret_coordinate::vault/db"])
@pytest.mark.parametrize(
    "secret",
    [
        lambda value: {"password": value},
        lambda value: {"key": value},
        lambda value: {"accounts": [{"token": value}]},
        lambda value: {
            "tunnel_method": {
                "tunnel_method": "SSH_KEY",
                "tunnel_host": "bastion",
                "ssh_key": value,
            }
        },
    ],
)
def test_what_stands_for_a_secret_passes_every_check_in_its_place(stand_in, secret):
    assert validated(**secret(stand_in)) == {**VALID, **secret(stand_in)}


def test_the_mask_passes_only_in_place_of_a_secret():
    assert problems(mode=MASK) == ['configuration.mode must be one of "full", "fast"']


def specification_of(**properties):
    return ConnectorSpecification("", {"type": "object", "properties": properties})


ALTERNATIVES = [
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
    {
        "type": "object",
        "required": ["b"],
        "properties": {"b": {"type": "string", "airbyte_secret": True, "pattern": "^x"}},
    },
]


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_alternatives_without_a_discriminator_are_listed(keyword):
    with pytest.raises(AirbyteDeclarationError) as error:
        validate_configuration(
            declared({"auth": {}}), specification_of(auth={keyword: ALTERNATIVES})
        )
    assert error.value.problems == (
        "configuration.auth must have the keys of one alternative: a; or b",
    )


def test_the_mask_passes_in_an_alternative_without_a_discriminator():
    specification = specification_of(auth={"oneOf": ALTERNATIVES})
    configuration = {"auth": {"b": MASK}}
    assert validate_configuration(declared(configuration), specification) == configuration


def test_a_missing_choice_is_listed_with_what_is_allowed():
    schema = {"type": "object", "required": ["mode"], "properties": SCHEMA["properties"]}
    with pytest.raises(AirbyteDeclarationError) as error:
        validate_configuration(declared({}), ConnectorSpecification("", schema))
    assert error.value.problems == ('configuration.mode is missing (one of "full", "fast")',)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"const": 1}, "configuration.x must be 1"),
        ({"exclusiveMinimum": 5}, "configuration.x must be more than 5"),
        ({"exclusiveMaximum": 5}, "configuration.x must be less than 5"),
        (
            {"multipleOf": 2},
            "configuration.x does not fulfil 'multipleOf' of the connector's specification",
        ),
    ],
)
def test_every_rule_of_a_schema_is_worded(schema, problem):
    with pytest.raises(AirbyteDeclarationError) as error:
        validate_configuration(declared({"x": 5}), specification_of(x=schema))
    assert error.value.problems == (problem,)


def test_a_required_key_that_is_not_described_is_missing_too():
    schema = {"type": "object", "required": ["x"], "additionalProperties": False}
    with pytest.raises(AirbyteDeclarationError) as error:
        validate_configuration(declared({}), ConnectorSpecification("", schema))
    assert error.value.problems == ("configuration.x is missing",)


def test_an_object_without_described_keys_takes_any():
    assert validated(free={"anything": 1}, key={"kid": "x"})["free"] == {"anything": 1}


def test_an_object_that_takes_no_keys_takes_none():
    with pytest.raises(AirbyteDeclarationError, match=r"configuration\.x\.a is unknown"):
        validate_configuration(
            declared({"x": {"a": 1}}), specification_of(x={"additionalProperties": False})
        )


def test_a_map_takes_any_key_and_checks_its_values():
    specification = specification_of(x={"additionalProperties": {"type": "integer"}})
    assert validate_configuration(declared({"x": {"a": "1"}}), specification) == {"x": {"a": 1}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "String"},
        {"required": True},
        {"pattern": "\\p{L}"},
        {"$ref": "#/definitions/missing"},
        {"$ref": "https://schemas.example.com/other.json"},
    ],
)
def test_a_specification_that_python_cannot_check_is_left_to_airbyte(schema):
    specification = specification_of(x=schema, y={"type": "integer"})
    given = declared({"x": "1", "y": "2"})
    assert validate_configuration(given, specification) == {"x": "1", "y": 2}


SECRETIVE = {
    "host": "db",
    "password": "pw-1",
    "key": {"kid": "id-1", "parts": ["part-1", 7, None]},
    "accounts": [{"user": "a", "token": "t-0"}, {"user": "b"}, {"token": None}],
    "tunnel_method": {"tunnel_method": "SSH_KEY", "ssh_key": "ssh-1"},
}


def test_secrets_are_found_by_the_specification_alone():
    assert secret_paths(SCHEMA, SECRETIVE) == {
        "password": "pw-1",
        "key": {"kid": "id-1", "parts": ["part-1", 7, None]},
        "accounts[0].token": "t-0",
        "tunnel_method.ssh_key": "ssh-1",
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"x": {"airbyte_secret": True}}}]},
        {
            "anyOf": [
                {"properties": {"x": {"type": "string"}}},
                {"properties": {"x": {"airbyte_secret": True}}},
            ]
        },
        {"if": {}, "then": {"properties": {"x": {"airbyte_secret": True}}}},
        {"properties": {"x": {"oneOf": [{"type": "integer"}, {"airbyte_secret": True}]}}},
        {"additionalProperties": {"airbyte_secret": True}},
    ],
)
def test_a_secret_is_found_in_every_part_of_a_schema(schema):
    assert secret_paths(schema, {"x": "s"}) == {"x": "s"}


def test_a_secret_of_another_branch_is_still_a_secret():
    configuration = {"tunnel_method": {"tunnel_method": "NO_TUNNEL", "ssh_key": "ssh-1"}}
    assert secret_paths(SCHEMA, configuration) == {"tunnel_method.ssh_key": "ssh-1"}


def test_secrets_in_arrays_are_found_by_the_schema_of_their_position():
    schema = {"properties": {"x": {"items": [{"airbyte_secret": True}]}}}
    assert secret_paths(schema, {"x": ["s"]}) == {"x[0]": "s"}


def test_each_secret_is_masked_as_a_whole():
    assert masked(SCHEMA, SECRETIVE) == {
        "host": "db",
        "password": MASK,
        "key": MASK,
        "accounts": [{"user": "a", "token": MASK}, {"user": "b"}, {"token": None}],
        "tunnel_method": {"tunnel_method": "SSH_KEY", "ssh_key": MASK},
    }


def test_the_texts_of_all_secrets_are_known():
    values = secret_values(SCHEMA, {**SECRETIVE, "password": MASK})
    assert values == ("id-1", "part-1", "7", "t-0", "ssh-1")


def test_coordinates_are_told_from_masks():
    actual = {"password": coordinate("a", 3), "tunnel_method": {"ssh_key": MASK}}
    assert coordinates_of(SCHEMA, actual) == {"password": coordinate("a", 3)}

"""
Mappers of streams: validated, stored with their secrets, masked in responses.

``docs/airbyte-api.md`` §4.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.emulator.masking import MASK
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import ProblemError
from airflow_provider_airbyte_sme.emulator.streams import Stream, configuration_key

# The fields of ``mapperConfiguration``, all required, by type, or for encryption by algorithm.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "hashing": ("targetField", "method", "fieldNameSuffix"),
    "field-renaming": ("originalFieldName", "newFieldName"),
    "field-filtering": ("targetField",),
    "row-filtering": ("conditions",),
    "AES": ("algorithm", "targetField", "fieldNameSuffix", "key", "mode", "padding"),
    "RSA": ("algorithm", "targetField", "fieldNameSuffix", "publicKey"),
}
_VALUES: Mapping[str, tuple[str, ...]] = {
    "method": ("MD2", "MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"),
    "mode": ("CBC", "CFB", "OFB", "CTR", "GCM", "ECB"),
    "padding": ("NoPadding", "PKCS5Padding"),
}
_AES_KEY = re.compile(r"(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{48}|[0-9a-fA-F]{64})")


def with_checked_mappers(
    selection: Sequence[Mapping[str, Any]],
    streams: Iterable[Stream],
    previous: Iterable[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """
    Return *selection* with its mappers as they are stored.

    :param selection: ``StreamConfiguration`` objects whose mappers have ids.
    :param streams: The streams of the source.
    :param previous: The stored selection, whose secrets replace masks.
    :raises ProblemError: 400: a mapper is invalid, or has a mask without a known id.
    """
    parsed = [
        {**configuration, "mappers": [_parsed(mapper) for mapper in configuration["mappers"]]}
        for configuration in selection
    ]
    fields = {stream.key: stream.top_level_fields for stream in streams}
    errors = [
        error
        for configuration in parsed
        for error in _errors(configuration, fields[configuration_key(configuration)])
    ]
    if errors:
        raise ProblemError(
            400,
            "Mapper validation failed",
            "The mapper configuration is invalid",
            {"errors": errors},
            kind="error:mapper-validation",
        )
    stored = {configuration_key(item): item["mappers"] for item in previous}
    return [
        {
            **configuration,
            "mappers": [
                _restored(mapper, stored.get(configuration_key(configuration), ()))
                for mapper in configuration["mappers"]
            ],
        }
        for configuration in parsed
    ]


def masked_mappers(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stream of a connection with the keys of its mappers masked."""
    return {**configuration, "mappers": [_masked(mapper) for mapper in configuration["mappers"]]}


def _masked(mapper: Mapping[str, Any]) -> dict[str, Any]:
    if "key" not in mapper["mapperConfiguration"]:
        return dict(mapper)
    return {**mapper, "mapperConfiguration": {**mapper["mapperConfiguration"], "key": MASK}}


def _parsed(mapper: Mapping[str, Any]) -> dict[str, Any]:
    """Return *mapper* with the known fields of its configuration, after checking their types."""
    given = mapper["mapperConfiguration"]
    kind = given.get("algorithm") if mapper["type"] == "encryption" else mapper["type"]
    if kind is None:
        raise _missing_parameter(mapper)
    if kind not in _FIELDS:
        raise _invalid_configuration(mapper, f"Unsupported encryption algorithm: {kind}")
    configuration = {name: given[name] for name in _FIELDS[kind] if given.get(name) is not None}
    if len(configuration) < len(_FIELDS[kind]):
        raise _missing_parameter(mapper)
    for name, value in configuration.items():
        if name == "conditions":
            _check_condition(mapper, value)
        elif not isinstance(value, str) or value not in _VALUES.get(name, (value,)):
            raise _invalid_configuration(mapper, f"Unexpected value '{value}'")
    return {"id": mapper["id"], "type": mapper["type"], "mapperConfiguration": configuration}


def _check_condition(mapper: Mapping[str, Any], condition: Any) -> None:
    kind = condition.get("type") if isinstance(condition, dict) else None
    if kind is None:
        raise _missing_parameter(mapper)
    if kind not in ("EQUAL", "NOT"):
        raise _invalid_configuration(mapper, f"Unsupported operation type: {kind}")
    if kind == "NOT":
        for nested in condition.get("conditions") or (None,):
            _check_condition(mapper, nested)
    elif condition.get("fieldName") is None or condition.get("comparisonValue") is None:
        raise _missing_parameter(mapper)


def _errors(configuration: Mapping[str, Any], top_level: Sequence[str]) -> list[dict[str, Any]]:
    """Return the errors of the mappers of one stream, each applied to the result of the last."""
    selected = [info["fieldPath"][0] for info in configuration["selectedFields"]]
    fields = list(selected or top_level)
    errors = []
    for mapper in configuration["mappers"]:
        error = _apply(mapper["type"], mapper["mapperConfiguration"], fields)
        if error:
            errors.append(
                {"stream": configuration["name"], "error": error, "mapper": _masked(mapper)}
            )
    return errors


def _apply(kind: str, configuration: Mapping[str, Any], fields: list[str]) -> str | None:
    """Apply one mapper to the names in *fields*, and return the error if that is impossible."""
    if kind == "row-filtering":
        return None
    key = configuration.get("key", MASK)
    if key != MASK and not _AES_KEY.fullmatch(key):
        return "INVALID_MAPPER_CONFIG"
    old, new = _renaming(kind, configuration)
    if new != old and new in fields:
        return "FIELD_ALREADY_EXISTS"
    if old not in fields:
        return "FIELD_NOT_FOUND"
    index = fields.index(old)
    fields[index : index + 1] = [] if new is None else [new]
    return None


def _renaming(kind: str, configuration: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the name of a mapper's field before and after; ``None``: it is removed."""
    if kind == "field-renaming":
        return configuration["originalFieldName"], configuration["newFieldName"]
    field: str = configuration["targetField"]
    return field, None if kind == "field-filtering" else field + configuration["fieldNameSuffix"]


def _restored(mapper: dict[str, Any], stored: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    if mapper["mapperConfiguration"].get("key") != MASK:
        return mapper
    for earlier in stored:
        if earlier["id"] == mapper["id"] and "key" in earlier["mapperConfiguration"]:
            key = earlier["mapperConfiguration"]["key"]
            configuration = {**mapper["mapperConfiguration"], "key": key}
            return {**mapper, "mapperConfiguration": configuration}
    raise _mapper_problem(
        mapper,
        "secret-not-found",
        "Mapper secret not found",
        "Attempted to use pre-existing secret values, but an existing secret for that mapper was "
        "not found. Please provide the secret values.",
    )


def _missing_parameter(mapper: Mapping[str, Any]) -> ProblemError:
    return _mapper_problem(
        mapper,
        "missing-required-param",
        "Mapper configuration missing required parameter",
        "The mapper configuration is missing a required parameter",
    )


def _invalid_configuration(mapper: Mapping[str, Any], message: str) -> ProblemError:
    return _mapper_problem(
        mapper,
        "invalid-config",
        "Invalid Mapper Configuration",
        "The mapper configuration is invalid and cannot be parsed",
        message,
    )


def _mapper_problem(
    mapper: Mapping[str, Any], kind: str, title: str, detail: str, message: str | None = None
) -> ProblemError:
    data = {"mapperId": mapper["id"], "mapperType": mapper["type"], "message": message}
    return ProblemError(
        400, title, detail, drop_nulls(data), kind=f"error:mapper-validation/{kind}"
    )

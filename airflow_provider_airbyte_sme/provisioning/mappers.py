"""
Mappers of streams: what is valid, which of the present ones is meant, and their secrets.

Types and configurations: docs/airbyte-api.md §4.4.9; ids and the mask: §4.4.8 and §4.4.10.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.provisioning.results import MASK

Mapper = Mapping[str, Any]

_CONFIGURATION = "mapperConfiguration"
# The field with the secret of AES, and the only one.
_SECRET = "key"  # noqa: S105  # its name
_HASHES = ("MD2", "MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512")
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "hashing": ("targetField", "method", "fieldNameSuffix"),
    "field-renaming": ("originalFieldName", "newFieldName"),
    "field-filtering": ("targetField",),
    "row-filtering": ("conditions",),
    "encryption": ("algorithm", "targetField", "fieldNameSuffix"),
}
_ENCRYPTION: Mapping[str, tuple[str, ...]] = {
    "AES": ("key", "mode", "padding"),
    "RSA": ("publicKey",),
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "method": _HASHES,
    "algorithm": tuple(_ENCRYPTION),
    "mode": ("CBC", "CFB", "OFB", "CTR", "GCM", "ECB"),
    "padding": ("NoPadding", "PKCS5Padding"),
}
_CONDITION: Mapping[str, tuple[str, ...]] = {
    "EQUAL": ("type", "fieldName", "comparisonValue"),
    "NOT": ("type", "conditions"),
}


def mapper_problems(mapper: Mapper) -> list[str]:
    """Return what is wrong with a declared mapper, without any of its secrets."""
    kind = mapper.get("type")
    if not isinstance(kind, str) or kind not in _REQUIRED:
        return [f"type must be one of {_listed(_REQUIRED)}, not {kind!r}"]
    problems = _key_problems(mapper, ("type", _CONFIGURATION), optional=("id",))
    configuration = mapper.get(_CONFIGURATION, {})
    if not isinstance(configuration, Mapping):
        return [*problems, f"{_CONFIGURATION} must be an object"]
    if _CONFIGURATION in mapper:
        problems += [
            f"{_CONFIGURATION}: {each}" for each in _configuration_problems(kind, configuration)
        ]
    return problems


def _configuration_problems(kind: str, configuration: Mapping[str, Any]) -> list[str]:
    algorithm = configuration.get("algorithm") if kind == "encryption" else None
    more = _ENCRYPTION.get(algorithm, ()) if isinstance(algorithm, str) else ()
    # Without a valid algorithm nobody knows which other keys belong here.
    optional = () if more or kind != "encryption" else sum(_ENCRYPTION.values(), ())
    problems = _key_problems(configuration, (*_REQUIRED[kind], *more), optional=optional)
    for key, choices in _CHOICES.items():
        if key in configuration and configuration[key] not in choices:
            problems.append(f"{key} must be one of {_listed(choices)}")
    if "conditions" in configuration:
        problems += _condition_problems(configuration["conditions"])
    return problems


def _condition_problems(condition: Any) -> list[str]:
    kind = condition.get("type") if isinstance(condition, Mapping) else None
    if not isinstance(kind, str) or kind not in _CONDITION:
        return [f"each condition must be an object with type {_listed(_CONDITION)}"]
    problems = _key_problems(condition, _CONDITION[kind])
    inner = condition.get("conditions") if kind == "NOT" else []
    if not isinstance(inner, Sequence) or isinstance(inner, str):
        return [*problems, "conditions of NOT must be a list"]
    return problems + [problem for each in inner for problem in _condition_problems(each)]


def _key_problems(
    fields: Mapping[str, Any], required: Sequence[str], optional: Collection[str] = ()
) -> list[str]:
    problems = []
    if missing := [key for key in required if fields.get(key) is None]:
        problems.append(f"missing: {_listed(missing)}")
    if unknown := [key for key in fields if key not in required and key not in optional]:
        problems.append(f"unknown: {_listed(unknown)}; known: {_listed((*required, *optional))}")
    return problems


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(str, names))


def secret_path(stream_path: str, position: int) -> str:
    """Return the path of the secret of a stream's mapper, counted from 0."""
    return f"{stream_path}.mappers.{position}.{_CONFIGURATION}.{_SECRET}"


def secret_of(mapper: Mapper) -> str | None:
    """Return the AES key of a mapper; ``None`` if it has none, or only the mask."""
    key = _configuration(mapper).get(_SECRET)
    return None if key is None or key == MASK else str(key)


def masked(mapper: Mapper) -> dict[str, Any]:
    """Return a mapper as changes show it: without its id and its secret."""
    configuration = dict(_configuration(mapper))
    if _SECRET in configuration:
        configuration[_SECRET] = MASK
    return {"type": mapper.get("type"), _CONFIGURATION: configuration}


def _configuration(mapper: Mapper) -> Mapping[str, Any]:
    value = mapper.get(_CONFIGURATION)
    return value if isinstance(value, Mapping) else {}


class PairedMappers(NamedTuple):
    """
    Declared mappers, as they are to be sent.

    :param mappers: With the ids, and the masks, of the present ones that are meant.
    :param differ: Whether anything but secrets differs.
    :param orphans: Positions of those whose mask stands for no stored secret.
    """

    mappers: tuple[Mapper, ...]
    differ: bool
    orphans: tuple[int, ...] = ()


def pair_mappers(
    declared: Sequence[Mapper], actual: Sequence[Mapper], changed: Collection[int]
) -> PairedMappers:
    """
    Find the present mapper that each declared one means.

    A mapper without its id would get a new one, and its masked secret would be lost.

    :param changed: Positions of the declared ones whose secret must be written.
    """
    free = list(enumerate(actual))
    found = [_take(free, mapper, _equal) for mapper in declared]
    equal = [match[0] if match else None for match in found] == list(range(len(actual)))
    for position, mapper in enumerate(declared):
        if found[position] is None and _is_masked(mapper):
            found[position] = _take(free, mapper, _same_target)
    return PairedMappers(
        tuple(
            _merged(mapper, match[1] if match else None, position in changed)
            for position, (mapper, match) in enumerate(zip(declared, found, strict=True))
        ),
        not equal,
        tuple(
            position
            for position, mapper in enumerate(declared)
            if found[position] is None and _is_masked(mapper)
        ),
    )


def _take(
    free: list[tuple[int, Mapper]], mapper: Mapper, matches: Callable[[Mapper, Mapper], bool]
) -> tuple[int, Mapper] | None:
    """Remove the first of *free* that matches, and return it."""
    for candidate in free:
        if matches(mapper, candidate[1]):
            free.remove(candidate)
            return candidate
    return None


def _merged(declared: Mapper, actual: Mapper | None, with_secret: bool) -> Mapper:
    if actual is None:
        # An id that Airbyte does not know would name a mapper that is not there.
        return {name: value for name, value in declared.items() if name != "id"}
    configuration = dict(_configuration(declared))
    if _SECRET in configuration and not with_secret:
        configuration[_SECRET] = MASK
    return {**actual, _CONFIGURATION: {**_configuration(actual), **configuration}}


def _is_masked(mapper: Mapper) -> bool:
    return bool(_configuration(mapper).get(_SECRET) == MASK)


def _equal(declared: Mapper, actual: Mapper) -> bool:
    return declared.get("type") == actual.get("type") and _covers(
        _without_secret(declared), _without_secret(actual)
    )


def _same_target(declared: Mapper, actual: Mapper) -> bool:
    return declared.get("type") == actual.get("type") and all(
        _configuration(declared).get(name) == _configuration(actual).get(name)
        for name in ("algorithm", "targetField")
    )


def _without_secret(mapper: Mapper) -> dict[str, Any]:
    return {name: value for name, value in _configuration(mapper).items() if name != _SECRET}


def _covers(declared: Any, actual: Any) -> bool:
    """Whether *actual* has all that is declared: Airbyte may add keys of its own."""
    if isinstance(declared, Mapping):
        return isinstance(actual, Mapping) and all(
            name in actual and _covers(value, actual[name]) for name, value in declared.items()
        )
    if isinstance(declared, list | tuple):
        return (
            isinstance(actual, list | tuple)
            and len(declared) == len(actual)
            and all(map(_covers, declared, actual))
        )
    return bool(declared == actual)

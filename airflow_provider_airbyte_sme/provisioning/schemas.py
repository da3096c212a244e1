"""
What the schema of a connector says about a configuration: its parts, its branches, its secrets.

A schema is JSON schema, draft 7, as docs/airbyte-api.md §4.2.32 describes it. Which values are
secret is told by ``airbyte_secret`` alone, never by a name. Like Airbyte, this looks at all the
branches of a ``oneOf``: a value is secret if any of them says so.

A path is text such as ``tunnel_method.ssh_key`` or ``accounts[0].token``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.provisioning.results import MASK

Schema = Mapping[str, Any]

COORDINATE_PREFIX = "secret_coordinate::"
# One that Airbyte made for a stored secret, and not a reference into a secret manager: §4.2.17.
_AIRBYTES_OWN = rf"{COORDINATE_PREFIX}airbyte_[\w-]+_secret_[\w-]+_v\d+"

BRANCHING = ("oneOf", "anyOf")


def joined(path: str, key: str) -> str:
    """Return the path of *key* in the object at *path*."""
    return f"{path}.{key}" if path else key


def indexed(path: str, index: int) -> str:
    """Return the path of an item of the array at *path*."""
    return f"{path}[{index}]"


def path_text(steps: Sequence[str | int]) -> str:
    """Return the path that consists of these keys and indices."""
    path = ""
    for step in steps:
        path = indexed(path, step) if isinstance(step, int) else joined(path, step)
    return path


def parts(schema: Any, value: Any = None) -> tuple[Schema, ...]:
    """
    Return *schema* and the schemas in it that hold for the same value.

    :param value: What tells the branch of a ``oneOf``. If it does not tell, all branches count.
    """
    return tuple(_parts(schema, value))


def _parts(schema: Any, value: Any) -> Iterator[Schema]:
    if not isinstance(schema, Mapping):
        return
    yield schema
    for part in (*_schemas(schema, "allOf"), schema.get("then"), schema.get("else")):
        yield from _parts(part, value)
    for keyword in BRANCHING:
        branches = _schemas(schema, keyword)
        branch = chosen_branch(branches, value)
        for part in branches if branch is None else [branches[branch]]:
            yield from _parts(part, value)


def _schemas(schema: Schema, keyword: str) -> Sequence[Any]:
    schemas = schema.get(keyword)
    return schemas if isinstance(schemas, list) else ()


def properties(schema: Any) -> Mapping[str, Any]:
    """Return the ``properties`` of *schema* itself."""
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def child(schema: Any, key: str, value: Any = None) -> Schema:
    """Return the schema of one key of an object. *value* is that object, as for :func:`parts`."""
    found = parts(schema, value)
    named = [properties(part)[key] for part in found if key in properties(part)]
    return {"allOf": named or [part.get("additionalProperties") for part in found]}


def items(schema: Any, value: Any = None) -> Schema:
    """Return the schema of the items of an array."""
    found = [part.get("items") for part in parts(schema, value)]
    listed = [item if isinstance(item, list) else [item] for item in found]
    return {"allOf": [each for item in listed for each in item]}


def types(schema: Any) -> frozenset[str]:
    """Return the JSON types that *schema* names; empty if it names none."""
    named: set[str] = set()
    for part in parts(schema):
        kind: Any = part.get("type", "object" if properties(part) else [])
        named.update([kind] if isinstance(kind, str) else kind)
    return frozenset(named)


def known_keys(schema: Any, value: Any) -> frozenset[str] | None:
    """Return the keys that the object *value* may have; ``None`` if it may have any."""
    found = parts(schema, value)
    is_open = any(
        isinstance(part.get("additionalProperties"), Mapping) or "patternProperties" in part
        for part in found
    )
    is_described = any(
        properties(part) or part.get("additionalProperties") is False for part in found
    )
    if is_open or not is_described:
        return None
    return frozenset(key for part in found for key in properties(part))


def discriminator(branches: Sequence[Any]) -> tuple[str, tuple[tuple[Any, ...], ...]] | None:
    """
    Return the key that tells the branches of a ``oneOf`` apart, and its values for each.

    That is a key whose ``const`` or ``enum`` no two branches share; ``None`` if there is none.
    """
    for key in properties(branches[0]) if branches else ():
        values = tuple(_constants(properties(branch).get(key)) for branch in branches)
        every = [value for each in values for value in each]
        if all(values) and len(every) == len({repr(value) for value in every}):
            return key, values
    return None


def _constants(schema: Any) -> tuple[Any, ...]:
    if not isinstance(schema, Mapping):
        return ()
    if "const" in schema:
        return (schema["const"],)
    return tuple(dict.fromkeys(_hashable(schema.get("enum"))))


def _hashable(values: Any) -> list[Any]:
    return [value for value in values or () if isinstance(value, str | int | float)]


def chosen_branch(branches: Sequence[Any], value: Any) -> int | None:
    """Return the index of the branch that *value* names; ``None`` if it names none."""
    found = discriminator(branches) if isinstance(value, Mapping) else None
    if found is None:
        return None
    key, values = found
    return next((index for index, each in enumerate(values) if value.get(key) in each), None)


def has_switched(schema: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two objects name different branches of a ``oneOf`` or ``anyOf``."""
    alternatives = [_schemas(part, keyword) for part in parts(schema) for keyword in BRANCHING]
    chosen = ((chosen_branch(each, before), chosen_branch(each, after)) for each in alternatives)
    return any(None not in pair and pair[0] != pair[1] for pair in chosen)


def outdated_keys(
    schema: Any, before: Mapping[str, Any], after: Mapping[str, Any]
) -> frozenset[str]:
    """Return the keys that only the branches of *before* know, and not those of *after*."""
    old, new = (
        {key for part in parts(schema, value) for key in properties(part)}
        for value in (before, {**before, **after})
    )
    return frozenset(key for key in old - new if key in before and key not in after)


def is_stand_in(value: object) -> bool:
    """Whether *value* stands for the stored secret: the mask, or Airbyte's own coordinate."""
    return isinstance(value, str) and (
        value == MASK or re.fullmatch(_AIRBYTES_OWN, value) is not None
    )


def is_coordinate(value: object) -> bool:
    """Whether *value* says where a secret is stored."""
    return isinstance(value, str) and value.startswith(COORDINATE_PREFIX)


def is_secret(schema: Any) -> bool:
    """Whether *schema* marks its value, with all that is in it, as a secret."""
    return any(part.get("airbyte_secret") is True for part in parts(schema))


def secret_paths(schema: Schema, configuration: Any) -> dict[str, Any]:
    """
    Return the secrets in *configuration*, by their paths.

    A secret may be an object or an array as a whole, without its nulls. ``None`` is no secret.
    """
    return dict(_secrets(schema, configuration, ""))


def _secrets(schema: Any, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if value is not None and is_secret(schema):
        yield path, without_nulls(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(child(schema, key), item, joined(path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _secrets(items(schema), item, indexed(path, index))


def secret_values(schema: Schema, configuration: Any) -> tuple[str, ...]:
    """Return the secrets in *configuration* as texts, which no message may contain."""
    secrets = secret_paths(schema, configuration).values()
    texts = (text for secret in secrets for text in _texts(secret))
    return tuple(dict.fromkeys(text for text in texts if text and text != MASK))


def _texts(secret: Any) -> Iterator[str]:
    if isinstance(secret, Mapping):
        for item in secret.values():
            yield from _texts(item)
    elif isinstance(secret, list | tuple):
        for item in secret:
            yield from _texts(item)
    elif secret is not None and not isinstance(secret, bool):
        yield str(secret)


def masked(schema: Schema, configuration: Any) -> Any:
    """Return a copy of *configuration* with the mask in place of each secret."""
    return replaced(configuration, dict.fromkeys(secret_paths(schema, configuration), MASK))


def replaced(value: Any, values: Mapping[str, Any], path: str = "") -> Any:
    """Return a copy of *value* with other values at some paths."""
    if path in values:
        return values[path]
    if isinstance(value, Mapping):
        return {key: replaced(item, values, joined(path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(item, values, indexed(path, i)) for i, item in enumerate(value)]
    return value


def without_paths(value: Any, paths: Collection[str], path: str = "") -> Any:
    """Return a copy of *value* without the keys of objects at some paths."""
    if not isinstance(value, Mapping):
        return value
    return {
        key: without_paths(item, paths, joined(path, key))
        for key, item in value.items()
        if joined(path, key) not in paths
    }


def coordinates_of(schema: Schema, configuration: Any) -> dict[str, str]:
    """
    Return where Airbyte stores each secret, by its path.

    :param configuration: As read with ``includeSecretCoordinates``; empty if it is only masked.
    """
    found = secret_paths(schema, configuration)
    return {path: value for path, value in found.items() if is_coordinate(value)}


def same_json(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON. To Python, true is 1 as well."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)


def without_nulls(value: Any) -> Any:
    """Return a copy of *value* without the keys that are null, at every depth."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value]
    return value

"""
The configuration of a source or destination, checked before anything is sent.

Airbyte ignores a misspelt key without a word and reports only the first layer of errors, so this
finds all of them, and names each by its path. No message quotes a value: it may be a secret.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_airbyte_sme.api.models import ConnectorSpecification
from airflow_provider_airbyte_sme.literals import parse_literal
from airflow_provider_airbyte_sme.provisioning.declarations import ActorDeclaration
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError
from airflow_provider_airbyte_sme.provisioning.schemas import (
    BRANCHING,
    child,
    chosen_branch,
    discriminator,
    indexed,
    is_coordinate,
    is_stand_in,
    items,
    joined,
    known_keys,
    path_text,
    properties,
    secret_paths,
    types,
    without_nulls,
)

if TYPE_CHECKING:
    from jsonschema import ValidationError

ROOT = "configuration"

# What is wrong, for a keyword of a schema and its value.
_RULES: Mapping[str, Callable[[Any], str]] = {
    "const": lambda value: f"must be {_listed([value])}",
    "enum": lambda values: f"must be one of {_listed(values)}",
    "pattern": lambda pattern: f"must match {pattern!r}",
    "minimum": lambda limit: f"must be at least {limit}",
    "maximum": lambda limit: f"must be at most {limit}",
    "exclusiveMinimum": lambda limit: f"must be more than {limit}",
    "exclusiveMaximum": lambda limit: f"must be less than {limit}",
    "minLength": lambda limit: f"must have {limit} or more characters",
    "maxLength": lambda limit: f"must have {limit} or fewer characters",
    "minItems": lambda limit: f"must have {limit} or more items",
    "maxItems": lambda limit: f"must have {limit} or fewer items",
    "uniqueItems": lambda _: "must not have an item twice",
}


def validate_configuration(
    declaration: ActorDeclaration, specification: ConnectorSpecification
) -> Mapping[str, Any]:
    """
    Return the declared configuration as the connector wants it.

    A text that is the literal of a number, a boolean, an array or an object becomes that where the
    schema wants one and no text. A null means that the key should not be there: it stays in the
    result, and counts as missing. The mask, or a coordinate, passes in place of any secret.

    :raises AirbyteDeclarationError: It does not fit the specification, with all the violations.
    """
    schema = specification.schema
    configuration = coerced_configuration(declaration, specification)
    present = without_nulls(configuration)
    passed = {
        joined(ROOT, path)
        for path, value in secret_paths(schema, present).items()
        if is_stand_in(value) or is_coordinate(value)
    }
    problems = [*_violations(schema, present, passed)]
    for path, hint in unknown_keys(schema, present, ROOT):
        problems.append(f"{path} is unknown to the connector: {hint}")
    problems += _valueless(schema, present)
    if problems:
        what = f"{declaration.kind} {declaration.name!r}"
        raise AirbyteDeclarationError(what, tuple(dict.fromkeys(problems)))
    return configuration


def coerced_configuration(
    declaration: ActorDeclaration, specification: ConnectorSpecification
) -> dict[str, Any]:
    """
    Return a copy of the declared configuration with the types that the schema wants.

    Without ``sourceType`` or ``destinationType``, which Airbyte does not store:
    docs/airbyte-api.md §4.2.13. Coercing the result again changes nothing.
    """
    given = declaration.configuration
    stored = {key: value for key, value in given.items() if key != f"{declaration.kind}Type"}
    copy: dict[str, Any] = _coerced(specification.schema, stored)
    return copy


def _coerced(schema: Any, value: Any) -> Any:
    converted = _converted(types(schema), value) if isinstance(value, str) else value
    if isinstance(converted, Mapping):
        return {
            str(key): _coerced(child(schema, str(key), converted), item)
            for key, item in converted.items()
        }
    if isinstance(converted, list | tuple):
        return [_coerced(items(schema), item) for item in converted]
    return converted


def _converted(wanted: frozenset[str], text: str) -> Any:
    """Return the value of which *text* is the literal, if only that value fits."""
    if not wanted or "string" in wanted:
        return text
    try:
        value = parse_literal(text.strip())
    except ValueError:
        return text
    return value if _json_types(value) & wanted else text


def _json_types(value: Any) -> frozenset[str]:
    """Return the types of JSON schema that *value* has; empty if it is no JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return frozenset()
    names: Mapping[type, tuple[str, ...]] = {
        bool: ("boolean",),
        int: ("integer", "number"),
        float: ("number",),
        str: ("text",),
        list: ("array",),
        dict: ("object",),
    }
    return frozenset(names.get(type(value), ()))


def _violations(schema: Any, value: Any, passed: set[str]) -> Iterator[str]:
    """Yield what is wrong with *value*, except at the paths *passed*."""
    # Late: it takes longer to import than the rest of this package.
    from jsonschema import Draft7Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # An invalid one is the connector's fault; Airbyte validates the configuration in its own way.
    if not _is_valid_schema(json.dumps(schema)):
        return
    # Without a registry, a reference to another document would be fetched from the network.
    validator = Draft7Validator(schema, registry=Registry())
    with suppress(Unresolvable):
        yield from _messages(validator.iter_errors(value), passed)


@lru_cache(maxsize=64)
def _is_valid_schema(text: str) -> bool:
    """Whether a JSON schema is valid. This takes much longer than to use it."""
    from jsonschema import Draft7Validator, SchemaError

    try:
        Draft7Validator.check_schema(json.loads(text))
    except SchemaError:
        return False
    return True


def _messages(errors: Iterable[ValidationError], passed: set[str]) -> Iterator[str]:
    for error in errors:
        path = path_text((ROOT, *error.absolute_path))
        if path not in passed:
            yield from (
                _of_branches(error, path, passed)
                if error.validator in BRANCHING
                else (_of_one(error, path))
            )


def _of_one(error: ValidationError, path: str) -> Iterator[str]:
    # The message of the library quotes the value.
    rule, expected = str(error.validator), cast("Any", error.validator_value)
    if rule == "required":
        absent = [key for key in expected if key not in cast("Any", error.instance)]
        yield from (f"{joined(path, key)} is missing{_expected(error, key)}" for key in absent)
    elif rule == "type":
        yield f"{path} must be {_alternatives(expected)}, not {_kind(error.instance)}"
    elif rule == "pattern":
        yield f"{path} {_RULES[rule](_descriptor(error))}"
    elif rule in _RULES:
        yield f"{path} {_RULES[rule](expected)}"
    elif rule != "additionalProperties":  # found by unknown_keys
        yield f"{path} does not fulfil {rule!r} of the connector's specification"


def _valueless(schema: Any, value: Any) -> Iterator[str]:
    """Yield each secret that is the text of None, which would replace the stored one."""
    for path, secret in secret_paths(schema, value).items():
        if secret == "None":  # noqa: S105  # what a template makes of no value
            yield f"{joined(ROOT, path)} is the text 'None': its template has no value; fill it in"


def _descriptor(error: ValidationError) -> Any:
    """Return how the connector words the pattern, such as ``YYYY-MM-DD``, else the pattern."""
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    return schema.get("pattern_descriptor") or error.validator_value


def _expected(error: ValidationError, key: str) -> str:
    """Return what a missing key must be, in brackets; empty if the schema does not tell."""
    schema = child(error.schema, key, error.instance)
    allowed = [value for part in schema["allOf"] for value in _enumerated(part)]
    if allowed:
        return f" (one of {_listed(allowed)})"
    named = sorted(types(schema))
    return f" ({_alternatives(named)})" if named else ""


def _enumerated(schema: Any) -> Sequence[Any]:
    if not isinstance(schema, Mapping):
        return ()
    return [schema["const"]] if "const" in schema else schema.get("enum") or ()


def _of_branches(error: ValidationError, path: str, passed: set[str]) -> Iterator[str]:
    branches: Any = error.validator_value
    branch = chosen_branch(branches, error.instance)
    found = [_branch_messages(error, index, passed) for index in range(len(branches))]
    if branch is not None:
        yield from found[branch]
    elif not error.context or all(found):  # otherwise one fits, but for what stands for a secret
        yield _which_branch(error, path)


def _branch_messages(error: ValidationError, branch: int, passed: set[str]) -> list[str]:
    return list(_messages((e for e in error.context if e.schema_path[0] == branch), passed))


def _which_branch(error: ValidationError, path: str) -> str:
    """Word that *path* fits none of the branches, or several."""
    branches: Any = error.validator_value
    if not isinstance(error.instance, Mapping):
        wanted = sorted({name for branch in branches for name in types(branch)})
        return f"{path} must be {_alternatives(wanted)}, not {_kind(error.instance)}"
    if found := discriminator(branches):
        key, values = found
        allowed = _listed([value for each in values for value in each])
        verb = "must be" if key in error.instance else "is missing: it must be"
        return f"{joined(path, key)} {verb} one of {allowed}"
    alternatives = "; or ".join(", ".join(sorted(properties(branch))) for branch in branches)
    return f"{path} must have the keys of one alternative: {alternatives}"


def unknown_keys(schema: Any, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """
    Yield the keys that the connector does not know, and what to do about each.

    :param path: Of *value*. The path of each key begins with it.
    """
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_keys(items(schema), item, indexed(path, index))
    if not isinstance(value, Mapping):
        return
    known = known_keys(schema, value)
    for key, item in value.items():
        if known is None or key in known:
            yield from unknown_keys(child(schema, key, value), item, joined(path, key))
        else:
            yield joined(path, key), _hint(key, known)


def _hint(key: str, known: Iterable[str]) -> str:
    close = get_close_matches(key, sorted(known), n=1)
    return f"did you mean {close[0]!r}?" if close else "remove it, or correct its name"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(json.dumps(value, default=str) for value in values)


def _alternatives(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else " or ".join(names) or "something else"


def _kind(value: Any) -> str:
    """Return the JSON type of *value* for a message."""
    if value is None:
        return "null"
    return next(iter(sorted(_json_types(value))), type(value).__name__)

"""
How a source or destination has to change: compared with what is declared, in the smallest write.

Airbyte offers two writes (docs/airbyte-api.md §4.2.19 to §4.2.29). PATCH merges objects into the
stored ones; it cannot remove a key, and ignores anything but an object in place of an object. PUT
replaces the whole configuration, with all its secrets. So PATCH is the rule, and PUT is for

- another branch of a ``oneOf``, whose old keys have to go;
- a key that is declared as null: it should not be there. To be absent and to be null is the same
  to the comparison, and no null is ever sent, because PATCH ignores it or stores it, and the
  validation that follows rejects it;
- anything else in place of a stored object;
- keys of the connector's OAuth input, which Airbyte refuses in a PATCH, if all the secrets that a
  PUT needs are declared. If not, PATCH is tried, and Airbyte's reason tells what to do.

Neither ever contains the mask or the coordinate of a stored secret: PATCH would store it as the
secret. Each write clears a resource allocation that it leaves out, so it is always sent along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_airbyte_sme.api.models import Actor, ConnectorSpecification, label
from airflow_provider_airbyte_sme.provisioning.configuration import ROOT, coerced_configuration
from airflow_provider_airbyte_sme.provisioning.declarations import ActorDeclaration
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteDeclarationError,
    AirbyteImmutableFieldError,
)
from airflow_provider_airbyte_sme.provisioning.fingerprints import SecretVerdict
from airflow_provider_airbyte_sme.provisioning.results import MASK, FieldChange, Plan
from airflow_provider_airbyte_sme.provisioning.schemas import (
    Schema,
    child,
    has_switched,
    indexed,
    is_coordinate,
    is_secret,
    is_stand_in,
    joined,
    masked,
    outdated_keys,
    same_json,
    secret_paths,
    secret_values,
    without_nulls,
)

_ALLOCATION = "resource_allocation"
_MISSING = SecretVerdict(True, "not stored yet")


def check_connector(declaration: ActorDeclaration, actual: Actor) -> None:
    """
    Check that what exists has the declared connector.

    :raises AirbyteImmutableFieldError: It has another one, which Airbyte cannot change.
    """
    declared, existing = declaration.definition_id.lower(), actual.definition_id.lower()
    if not declared:
        declared, existing = declaration.connector, actual.connector
    if declared and existing and declared != existing:
        raise AirbyteImmutableFieldError(
            f"{_what(declaration)}: connector {declaration.connector or declared} is declared, but "
            f"{label(actual.actor_id, actual.name)} exists with {actual.connector or existing}, "
            f"and Airbyte cannot change that. Declare it under another name, or delete the "
            f"existing one first."
        )


def plan_actor(
    declaration: ActorDeclaration,
    actual: Actor,
    specification: ConnectorSpecification,
    verdicts: Mapping[str, SecretVerdict],
) -> Plan:
    """
    Return how the actual source or destination has to change.

    :param declaration: Its configuration has passed
        :func:`.configuration.validate_configuration`.
    :param actual: As read, its secrets masked or as coordinates.
    :param verdicts: For each declared secret, from :func:`.fingerprints.judge_secrets`. One that is
        not stored yet is written in any case.
    :raises AirbyteImmutableFieldError: Another connector is declared.
    :raises AirbyteDeclarationError: Secrets have to be sent that are not declared.
    """
    check_connector(declaration, actual)
    schema = specification.schema
    declared = coerced_configuration(declaration, specification)
    stored = dict(actual.configuration or {})
    comparison = _Comparison(verdicts)
    patch = comparison.patch(schema, declared, stored)
    allocation, allocation_changes, extra = _allocation(declaration, actual)
    changes = (*_renaming(declaration, actual), *comparison.changes, *allocation_changes)
    not_compared = (*comparison.not_compared, *extra)
    if not changes:
        return Plan(not_compared=not_compared)
    whole = _overlaid(schema, stored, declared)
    replaces = bool(comparison.causes) or _needs_put(specification, patch, whole, declared)
    configuration = whole if replaces else patch
    causes = comparison.causes or [change.field for change in comparison.changes]
    _require_secrets(declaration, configuration, declared, causes)
    payload: dict[str, Any] = {}
    if configuration or replaces:
        payload["configuration"] = configuration
    if allocation:
        payload["resourceAllocation"] = allocation
    if replaces or declaration.name != actual.name or not payload:  # an empty body says nothing
        payload["name"] = declaration.name
    return Plan(changes, payload, replaces, secret_values(schema, configuration), not_compared)


def plan_creation(
    declaration: ActorDeclaration,
    configuration: Mapping[str, Any],
    specification: ConnectorSpecification,
) -> Plan:
    """
    Return how to create a source or destination. Its payload still lacks the ``workspaceId``.

    :param configuration: As :func:`.configuration.validate_configuration` returned it.
    :raises AirbyteDeclarationError: A secret is declared as the mask.
    """
    schema = specification.schema
    sent = without_nulls(configuration)
    _require_secrets(declaration, sent, sent, causes=list(_unsendable(sent, sent)))
    payload: dict[str, Any] = {
        "name": declaration.name,
        "definitionId": declaration.definition_id or specification.definition_id,
        "configuration": sent,
    }
    shown = {joined(ROOT, key): value for key, value in masked(schema, sent).items()}
    if allocation := without_nulls(declaration.resource_allocation or {}):
        payload["resourceAllocation"] = shown[_ALLOCATION] = allocation
    changes = [FieldChange(name, None, value) for name, value in shown.items()]
    changes.insert(0, FieldChange("name", None, declaration.name))
    return Plan(tuple(changes), payload, secrets=secret_values(schema, sent))


def _what(declaration: ActorDeclaration) -> str:
    return f"{declaration.kind} {declaration.name!r}"


def _renaming(declaration: ActorDeclaration, actual: Actor) -> Iterator[FieldChange]:
    if declaration.name != actual.name:
        yield FieldChange("name", actual.name, declaration.name)


def _allocation(
    declaration: ActorDeclaration, actual: Actor
) -> tuple[Mapping[str, Any], Sequence[FieldChange], Sequence[str]]:
    """Return the resource allocation to send with a write, its changes, what is not compared."""
    stored = without_nulls(actual.resource_allocation or {})
    if declaration.resource_allocation is None:
        return stored, (), (_ALLOCATION,) if stored else ()
    declared = without_nulls(declaration.resource_allocation)
    if not declared:
        return {}, [FieldChange(_ALLOCATION, stored, {})] if stored else (), ()
    comparison = _Comparison(root=_ALLOCATION)
    comparison.patch({}, declared, stored)
    return _overlaid({}, stored, declared), comparison.changes, comparison.not_compared


@dataclass(frozen=True)
class _Comparison:
    """
    Compares what is declared, and nothing else, and collects what it finds.

    :param verdicts: For each declared secret.
    :param root: What all fields are named below.
    :param causes: Fields for which PATCH is not enough.
    """

    verdicts: Mapping[str, SecretVerdict] = field(default_factory=dict)
    root: str = ROOT
    changes: list[FieldChange] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)

    def patch(
        self, schema: Schema, declared: Mapping[str, Any], stored: Mapping[str, Any], path: str = ""
    ) -> dict[str, Any]:
        """Return the keys of *declared* that differ from *stored*, or that have to be written."""
        gone = self._outdated(schema, declared, stored, path)
        undeclared = (key for key in stored if key not in declared and key not in gone)
        self.not_compared.extend(self._name(joined(path, key)) for key in undeclared)
        patch = {
            key: self._change(child(schema, key), value, stored.get(key), joined(path, key))
            for key, value in declared.items()
        }
        return {key: value for key, value in patch.items() if value is not None}

    def _name(self, path: str) -> str:
        return joined(self.root, path) if path else self.root

    def _outdated(
        self, schema: Schema, declared: Mapping[str, Any], stored: Mapping[str, Any], path: str
    ) -> frozenset[str]:
        """Return the keys of a branch that is no longer the declared one."""
        if not has_switched(schema, stored, declared):
            return frozenset()
        self.causes.append(self._name(path))
        keys = outdated_keys(schema, stored, declared)
        shown = masked(schema, stored)
        self.changes.extend(
            FieldChange(self._name(joined(path, key)), shown[key], None) for key in sorted(keys)
        )
        return keys

    def _change(self, schema: Schema, declared: Any, stored: Any, path: str) -> Any:
        """Return what to write for one key; ``None`` if nothing."""
        if declared is None:
            return self._removal(schema, stored, path)
        if is_secret(schema):
            return without_nulls(declared) if self._writes_secret(stored, path) else None
        if isinstance(declared, Mapping) and isinstance(stored, Mapping):
            return self.patch(schema, declared, stored, path) or None
        if isinstance(stored, Mapping):
            self.causes.append(self._name(path))
        return without_nulls(declared) if self._writes(schema, declared, stored, path) else None

    def _removal(self, schema: Schema, stored: Any, path: str) -> None:
        if stored is not None:
            self.causes.append(self._name(path))
            self.changes.append(FieldChange(self._name(path), masked(schema, stored), None))

    def _writes(self, schema: Schema, declared: Any, stored: Any, path: str) -> bool:
        """Whether to write a scalar, an array, or an object where none is stored."""
        before, after = (masked(schema, without_nulls(value)) for value in (stored, declared))
        if not same_json(before, after):
            self.changes.append(FieldChange(self._name(path), before, after))
            return True
        actual = secret_paths(schema, stored)
        secrets = secret_paths(schema, declared)  # of an array: their paths begin with an index
        written = [self._writes_secret(actual.get(at), f"{path}{at}") for at in secrets]
        return any(written)

    def _writes_secret(self, stored: Any, path: str) -> bool:
        verdict = _MISSING if stored is None else self.verdicts[path]
        if verdict.writes:
            before = None if stored is None else f"{MASK} ({verdict.reason})"
            self.changes.append(FieldChange(self._name(path), before, MASK))
        return verdict.writes


def _needs_put(
    specification: ConnectorSpecification,
    patch: Mapping[str, Any],
    whole: Mapping[str, Any],
    declared: Mapping[str, Any],
) -> bool:
    """Whether Airbyte would refuse *patch*, but not *whole*: docs/airbyte-api.md §4.2.29."""
    refused = _names(patch) & set(specification.oauth_inputs)
    return bool(refused) and not list(_unsendable(whole, declared))


def _overlaid(schema: Schema, stored: Any, declared: Any) -> Any:
    """Return what should be stored: what is declared, and of the rest what belongs to it."""
    if not (isinstance(stored, Mapping) and isinstance(declared, Mapping)) or is_secret(schema):
        return without_nulls(declared)
    gone = {key for key, value in declared.items() if value is None}
    if has_switched(schema, stored, declared):
        gone |= outdated_keys(schema, stored, declared)
    both = {**stored, **declared}
    return {
        key: _overlaid(child(schema, key), stored.get(key), value) if key in declared else value
        for key, value in both.items()
        if key not in gone and value is not None
    }


def _require_secrets(
    declaration: ActorDeclaration,
    configuration: Mapping[str, Any],
    declared: Mapping[str, Any],
    causes: Sequence[str],
) -> None:
    """
    Check that only declared secrets would be sent.

    :raises AirbyteDeclarationError: Stored ones would have to be sent too.
    """
    problems = [
        f"{path} is masked, and there is no stored one: fill it in"
        if path in causes
        else f"{path} must be declared with its value: {', '.join(causes)} cannot change without "
        f"it, and Airbyte never returns it"
        for path in _unsendable(configuration, declared)
    ]
    if problems:
        raise AirbyteDeclarationError(_what(declaration), problems)


def _unsendable(configuration: Any, declared: Any) -> Iterator[str]:
    """Yield where *configuration* has what stands for a stored secret, and not a declared one."""
    own = dict(_leaves(declared, ROOT))
    for path, value in _leaves(configuration, ROOT):
        if is_stand_in(value) or (is_coordinate(value) and own.get(path) != value):
            yield path


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, joined(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, indexed(path, index))
    else:
        yield path, value


def _names(value: Any) -> set[str]:
    """Return all the keys in *value*, at every depth."""
    if not isinstance(value, Mapping):
        return set()
    return {name for key, item in value.items() for name in (key, *_names(item))}

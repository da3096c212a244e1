"""
Streams of a connection: what differs, and what to send.

A PATCH rebuilds each stream from what the source offers (docs/airbyte-api.md §4.3.18), so all
streams are sent whole: the present ones overlaid with what is declared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from airflow_provider_airbyte_sme.api.models.connections import (
    ConnectionStream,
    FieldPath,
    StreamProperties,
    is_incremental,
    stream_label,
)
from airflow_provider_airbyte_sme.provisioning.declarations import AllStreams, StreamDeclaration
from airflow_provider_airbyte_sme.provisioning.mappers import (
    PairedMappers,
    masked,
    pair_mappers,
    secret_of,
    secret_path,
)
from airflow_provider_airbyte_sme.provisioning.results import MASK, FieldChange
from airflow_provider_airbyte_sme.provisioning.stream_rules import (
    DEFAULT_SYNC_MODE,
    ambiguous_stream,
    declared_path,
    dotted,
    offer_problems,
    unknown_stream,
    uses_cursor,
    uses_key,
)

_Identity = tuple[str, str | None]
S = TypeVar("S", ConnectionStream, StreamProperties)
DeclaredStreams = tuple[StreamDeclaration, ...] | AllStreams


class StateLoss(NamedTuple):
    """A stream whose state a change of its sync mode would delete."""

    stream: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.stream} ({self.before} → {self.after})"


class StreamsPlan(NamedTuple):
    """
    How the streams of a connection have to change.

    :param changes: Empty: *streams* need not be sent.
    :param streams: All that the connection should have, in Airbyte's format.
    :param problems: Why they cannot be sent.
    """

    changes: tuple[FieldChange, ...] = ()
    streams: tuple[dict[str, Any], ...] = ()
    secrets: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    losses: tuple[StateLoss, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pair:
    """A declared stream, and the present and the offered one that it means."""

    declared: StreamDeclaration
    actual: ConnectionStream | None
    offered: StreamProperties | None

    @property
    def identity(self) -> _Identity:
        return _identity(self.actual or self.offered or self.declared)

    @property
    def path(self) -> str:
        return declared_path(self.declared)


@dataclass(frozen=True, slots=True)
class _Target:
    """A stream as it should be, and what the source offers of it."""

    path: str
    stream: ConnectionStream
    offered: StreamProperties | None
    exists: bool


def plan_streams(
    declared: DeclaredStreams,
    actual: Sequence[ConnectionStream],
    offered: Sequence[StreamProperties] | None,
    *,
    exact: bool = False,
    changed_keys: Collection[str] = (),
) -> StreamsPlan:
    """
    Compare declared streams with those of a connection.

    :param declared: ``all``: every offered stream; the present ones stay as they are.
    :param actual: Empty for a new connection.
    :param offered: What the source offers; ``None``: unknown, so nothing is checked against it.
    :param exact: Whether streams and fields that are not declared are drift.
    :param changed_keys: Paths of the mappers' secrets to write, as :func:`declared_secrets` has.
    """
    catalog = None if offered is None else _Index(offered)
    pairs, problems = _pairs(_expanded(declared, offered), _Index(actual), catalog)
    compared = [_Comparison.of(pair, exact, changed_keys) for pair in pairs]
    meant = {pair.identity for pair in pairs}
    extra = [_present(each, catalog) for each in actual if _identity(each) not in meant]
    changes = [change for each in compared for change in each.changes]
    targets = [each.target for each in compared]
    if exact:
        changes += map(_removal, extra)
    else:
        targets += extra
    if changes and offered is not None:
        targets, gone = _without_what_is_gone(targets)
        changes += gone
    return StreamsPlan(
        changes=tuple(changes),
        streams=tuple(map(_payload, targets)),
        secrets=tuple(_secrets(targets)),
        not_compared=(
            *(("streams.*",) if declared == "all" else _not_compared(compared, exact)),
            *(() if exact else (each.path for each in extra)),
        ),
        losses=tuple(loss for pair in pairs for loss in _losses(pair)),
        problems=(*problems, *(problem for each in compared for problem in each.problems)),
    )


def declared_secrets(declared: DeclaredStreams) -> Mapping[str, str]:
    """Return the declared secrets of mappers by path; the mask is none."""
    streams = () if declared == "all" else declared
    return {
        secret_path(declared_path(stream), position): secret
        for stream in streams
        for position, mapper in enumerate(stream.mappers or ())
        if (secret := secret_of(mapper)) is not None
    }


def _identity(stream: StreamDeclaration | ConnectionStream | StreamProperties) -> _Identity:
    return stream.name, stream.namespace or None


def _expanded(
    declared: DeclaredStreams, offered: Sequence[StreamProperties] | None
) -> tuple[StreamDeclaration, ...]:
    if declared != "all":
        return declared
    return tuple(StreamDeclaration(each.name, each.namespace or "") for each in offered or ())


class _Index(Generic[S]):
    """Streams, found by name."""

    def __init__(self, streams: Sequence[S]) -> None:
        self.streams: Sequence[S] = streams
        self._by_name: dict[str, list[S]] = defaultdict(list)
        for stream in streams:
            self._by_name[stream.name].append(stream)

    def named(self, name: str) -> list[S]:
        return self._by_name.get(name, [])

    def meant(self, declared: StreamDeclaration) -> list[S]:
        namespace = declared.namespace
        return [
            each
            for each in self.named(declared.name)
            if namespace is None or namespace == (each.namespace or "")
        ]

    def get(self, identity: _Identity) -> S | None:
        found = (each for each in self.named(identity[0]) if _identity(each) == identity)
        return next(found, None)


def _pairs(
    declared: Sequence[StreamDeclaration],
    actual: _Index[ConnectionStream],
    offered: _Index[StreamProperties] | None,
) -> tuple[list[_Pair], list[str]]:
    found = [_find(stream, actual, offered) for stream in declared]
    pairs = [each for each in found if isinstance(each, _Pair)]
    counted = Counter(pair.identity for pair in pairs)
    twice = [
        f"streams.{stream_label(*identity)}: declared {count} times, with and without its namespace"
        for identity, count in counted.items()
        if count > 1
    ]
    return pairs, [*(each for each in found if isinstance(each, str)), *twice]


def _find(
    declared: StreamDeclaration,
    actual: _Index[ConnectionStream],
    offered: _Index[StreamProperties] | None,
) -> _Pair | str:
    """Return the streams that are meant, or why none is."""
    present = actual.meant(declared)
    if offered is None:
        if len(present) > 1:
            return ambiguous_stream(declared, [each.namespace for each in present])
        return _Pair(declared, next(iter(present), None), None)
    choices = _choices(declared, present, offered)
    if not choices:
        return unknown_stream(declared, offered.streams)
    if len(choices) > 1:
        return ambiguous_stream(declared, [each.namespace for each in choices])
    return _Pair(declared, actual.get(_identity(choices[0])), choices[0])


def _choices(
    declared: StreamDeclaration,
    present: Sequence[ConnectionStream],
    offered: _Index[StreamProperties],
) -> list[StreamProperties]:
    named = offered.named(declared.name)
    if len(named) == 1:
        # Airbyte ignores the namespace then: docs/airbyte-api.md §4.4.3.
        return named
    # Of several with the name, the one that the connection has is meant.
    identities = {_identity(each) for each in present}
    choices = offered.meant(declared)
    return [each for each in choices if _identity(each) in identities] or choices


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A declared stream, compared."""

    pair: _Pair
    target: _Target
    changes: tuple[FieldChange, ...]
    problems: tuple[str, ...]

    @classmethod
    def of(cls, pair: _Pair, exact: bool, changed_keys: Collection[str]) -> _Comparison:
        before = pair.actual or ConnectionStream(*pair.identity)
        paired = _paired_mappers(pair, before, changed_keys)
        stream = _overlaid(pair, before, paired, exact)
        changes = (
            _changes(pair, before, stream, paired, changed_keys)
            if pair.actual
            else [FieldChange(pair.path, None, _as_json(pair.declared))]
        )
        return cls(
            pair=pair,
            target=_Target(pair.path, stream, pair.offered, pair.actual is not None),
            changes=tuple(changes),
            problems=(
                *_orphan_problems(pair, paired),
                *(offer_problems(pair.declared, stream, pair.offered) if pair.offered else ()),
            ),
        )


def _paired_mappers(
    pair: _Pair, before: ConnectionStream, changed_keys: Collection[str]
) -> PairedMappers:
    declared = pair.declared.mappers
    if declared is None:
        return PairedMappers(before.mappers, differ=False)
    changed = [
        position
        for position in range(len(declared))
        if secret_path(pair.path, position) in changed_keys
    ]
    return pair_mappers(declared, before.mappers, changed)


def _orphan_problems(pair: _Pair, paired: PairedMappers) -> list[str]:
    return [
        f"{secret_path(pair.path, position)}: the mask keeps the stored key, and there is none for "
        "this mapper; declare the key itself"
        for position in paired.orphans
    ]


def _overlaid(
    pair: _Pair, before: ConnectionStream, paired: PairedMappers, exact: bool
) -> ConnectionStream:
    declared = pair.declared
    return replace(
        before,
        sync_mode=declared.sync_mode or before.sync_mode,
        cursor_field=_or(declared.cursor_field, before.cursor_field),
        primary_key=_or(declared.primary_key, before.primary_key),
        selected_fields=_selection(declared.selected_fields, before.selected_fields, exact),
        mappers=paired.mappers,
    )


def _or(declared: tuple[Any, ...] | None, before: tuple[Any, ...]) -> tuple[Any, ...]:
    return before if declared is None else declared


def _selection(
    declared: tuple[FieldPath, ...] | None, before: tuple[FieldPath, ...], exact: bool
) -> tuple[FieldPath, ...]:
    """Return the fields to select; empty: all. Fields that somebody added stay, unless *exact*."""
    if declared is None:
        return before
    if exact or not declared or not before:
        return declared
    return (*before, *(path for path in declared if path not in before))


def _changes(
    pair: _Pair,
    before: ConnectionStream,
    after: ConnectionStream,
    paired: PairedMappers,
    changed_keys: Collection[str],
) -> Iterator[FieldChange]:
    declared, path = pair.declared, pair.path
    if after.sync_mode != before.sync_mode:
        yield FieldChange(f"{path}.sync_mode", before.sync_mode or None, after.sync_mode)
    if declared.cursor_field is not None and uses_cursor(after.sync_mode):
        wanted = declared.cursor_field or _default_cursor(pair.offered)
        if wanted != before.cursor_field:
            yield FieldChange(f"{path}.cursor_field", list(before.cursor_field), list(wanted))
    if declared.primary_key is not None and uses_key(after.sync_mode):
        key = declared.primary_key or _default_key(pair.offered)
        # The order of its fields does not matter to whoever deduplicates by it.
        if set(key) != set(before.primary_key):
            yield FieldChange(f"{path}.primary_key", _lists(before.primary_key), _lists(key))
    if set(after.selected_fields) != set(before.selected_fields):
        yield FieldChange(
            f"{path}.selected_fields", _lists(before.selected_fields), _lists(after.selected_fields)
        )
    if paired.differ:
        yield FieldChange(
            f"{path}.mappers", [*map(masked, before.mappers)], [*map(masked, after.mappers)]
        )
    for secret in declared_secrets((declared,)):
        if secret in changed_keys:
            yield FieldChange(secret, MASK, MASK)


def _default_cursor(offered: StreamProperties | None) -> FieldPath:
    return offered.default_cursor_field if offered else ()


def _default_key(offered: StreamProperties | None) -> tuple[FieldPath, ...]:
    return offered.source_defined_primary_key if offered else ()


def _lists(paths: Iterable[FieldPath]) -> list[list[str]]:
    return [list(path) for path in paths]


def _losses(pair: _Pair) -> Iterator[StateLoss]:
    """Yield the change between full refresh and incremental: docs/airbyte-api.md §4.3.19."""
    before, after = pair.actual, pair.declared.sync_mode
    if before and after and is_incremental(before.sync_mode) != is_incremental(after):
        yield StateLoss(str(before), before.sync_mode, after)


def _present(stream: ConnectionStream, offered: _Index[StreamProperties] | None) -> _Target:
    match = offered.get(_identity(stream)) if offered else None
    return _Target(f"streams.{stream}", stream, match, exists=True)


def _removal(target: _Target) -> FieldChange:
    return FieldChange(target.path, _as_json(target.stream), None)


def _without_what_is_gone(targets: Iterable[_Target]) -> tuple[list[_Target], list[FieldChange]]:
    """
    Leave out what the source offers no more: Airbyte refuses to store it again.

    That happens only to what is not declared; a declared stream or field is a problem instead.
    """
    kept, changes = [], []
    for target in targets:
        if target.offered is None:
            changes.append(_removal(target))
            continue
        selected = target.stream.selected_fields
        known = target.offered.fields
        left = tuple(path for path in selected if path in known) if known else selected
        # An empty selection would mean all fields.
        if left and left != selected:
            field = f"{target.path}.selected_fields"
            changes.append(FieldChange(field, _lists(selected), _lists(left)))
            target = replace(target, stream=replace(target.stream, selected_fields=left))
        kept.append(target)
    return kept, changes


def _payload(target: _Target) -> dict[str, Any]:
    """Return a stream as it is sent, without what Airbyte ignores or the source defines itself."""
    stream, offered = target.stream, target.offered
    fields = stream.to_json()
    if not uses_cursor(stream.sync_mode) or (offered and offered.source_defined_cursor):
        fields.pop("cursorField", None)
    if not uses_key(stream.sync_mode) or (offered and offered.source_defined_primary_key):
        fields.pop("primaryKey", None)
    if target.exists:
        # Left out, it would be reset to the default, which need not be False.
        fields["includeFiles"] = stream.include_files
    return fields


def _secrets(targets: Iterable[_Target]) -> Iterator[str]:
    for target in targets:
        yield from filter(None, map(secret_of, target.stream.mappers))


def _as_json(stream: StreamDeclaration | ConnectionStream) -> dict[str, Any]:
    """Return a stream as one would declare it, with masked secrets."""
    fields = {
        "name": stream.name,
        "namespace": stream.namespace or None,
        "sync_mode": stream.sync_mode or None,
        "cursor_field": list(stream.cursor_field or ()),
        "primary_key": _lists(stream.primary_key or ()),
        "selected_fields": _lists(stream.selected_fields or ()),
        "mappers": [*map(masked, stream.mappers or ())],
    }
    return {name: value for name, value in fields.items() if value}


def _not_compared(compared: Iterable[_Comparison], exact: bool) -> Iterator[str]:
    for each in compared:
        if each.pair.actual is not None:
            yield from _fields_not_compared(
                each.pair.declared, each.pair.actual, each.target, exact
            )


def _fields_not_compared(
    declared: StreamDeclaration, actual: ConnectionStream, target: _Target, exact: bool
) -> Iterator[str]:
    mode = target.stream.sync_mode
    used = {"cursor_field": uses_cursor(mode), "primary_key": uses_key(mode)}
    for name in ("sync_mode", "cursor_field", "primary_key", "selected_fields", "mappers"):
        if getattr(declared, name) is None:
            if getattr(actual, name) and used.get(name, True):
                yield f"{target.path}.{name}"
        elif not used.get(name, True):
            yield f"{target.path}.{name} (Airbyte ignores it with {mode or DEFAULT_SYNC_MODE})"
    if declared.selected_fields and not exact:
        for path in actual.selected_fields:
            if path not in declared.selected_fields:
                yield f"{target.path}.selected_fields.{dotted(path)}"

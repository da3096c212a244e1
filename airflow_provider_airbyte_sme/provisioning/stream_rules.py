"""
What is valid for a stream: by itself, and with what its source offers.

Airbyte's own checks: docs/airbyte-api.md §4.4.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from airflow_provider_airbyte_sme.api.models.connections import (
    ConnectionStream,
    FieldPath,
    StreamProperties,
    is_incremental,
    stream_label,
)
from airflow_provider_airbyte_sme.provisioning.declarations import StreamDeclaration
from airflow_provider_airbyte_sme.provisioning.mappers import mapper_problems

SYNC_MODES = (
    "full_refresh_overwrite",
    "full_refresh_overwrite_deduped",
    "full_refresh_append",
    "full_refresh_update",
    "full_refresh_soft_delete",
    "incremental_append",
    "incremental_deduped_history",
    "incremental_update",
    "incremental_soft_delete",
)
# What Airbyte stores for a stream that is sent without one: docs/airbyte-api.md §4.3.18.
DEFAULT_SYNC_MODE = "full_refresh_overwrite"
# Airbyte accepts it, and never lists it: docs/airbyte-api.md §4.4.16.
_UNLISTED_MODE = "full_refresh_overwrite_deduped"
_MODES_WITHOUT_KEY = ("full_refresh_append", "full_refresh_overwrite")
_MODES_SELECTING_KEY = (
    "full_refresh_overwrite_deduped",
    "full_refresh_update",
    "incremental_deduped_history",
    "incremental_update",
)
_MODES_NEEDING_CURSOR = ("incremental_append", "incremental_deduped_history")
_MODE_NEEDING_KEY = "incremental_deduped_history"
_LISTED_AT_MOST = 10


def uses_cursor(sync_mode: str) -> bool:
    """Whether Airbyte stores a cursor that it is sent with this sync mode."""
    return not (sync_mode or DEFAULT_SYNC_MODE).startswith("full_refresh")


def uses_key(sync_mode: str) -> bool:
    """Whether Airbyte stores a primary key that it is sent with this sync mode."""
    return (sync_mode or DEFAULT_SYNC_MODE) not in _MODES_WITHOUT_KEY


def declared_path(declared: StreamDeclaration) -> str:
    """Return how changes and problems name a declared stream."""
    return f"streams.{stream_label(declared.name, declared.namespace)}"


def dotted(path: FieldPath) -> str:
    """Return a field path as one text."""
    return ".".join(path)


def some(names: Iterable[str]) -> str:
    """Return names as one text; of many only the first ones."""
    listed = list(names)
    more = len(listed) - _LISTED_AT_MOST
    text = ", ".join(listed[:_LISTED_AT_MOST])
    return f"{text} and {more} more" if more > 0 else text


def declared_problems(declared: Sequence[StreamDeclaration]) -> list[str]:
    """Return what is wrong with declared streams, as far as it is known without Airbyte."""
    counted = Counter((each.name, each.namespace) for each in declared)
    problems = [
        f"streams.{stream_label(*identity)}: declared {count} times"
        for identity, count in counted.items()
        if count > 1
    ]
    for stream in declared:
        path = declared_path(stream)
        problems += [f"{path}.{problem}" for problem in _stream_problems(stream)]
    return problems if declared else ["streams: empty, so nothing would be synced"]


def _stream_problems(stream: StreamDeclaration) -> Iterator[str]:
    if not stream.name:
        yield "name: empty"
    if stream.sync_mode is not None and stream.sync_mode not in SYNC_MODES:
        yield f"sync_mode: {stream.sync_mode!r} is not one of {', '.join(SYNC_MODES)}"
    yield from _path_problems(stream)
    yield from _selection_problems(
        stream.sync_mode or "",
        stream.cursor_field or (),
        stream.primary_key or (),
        stream.selected_fields or (),
    )
    for position, mapper in enumerate(stream.mappers or ()):
        for problem in mapper_problems(mapper):
            yield f"mappers.{position}: {problem}"


def _path_problems(stream: StreamDeclaration) -> Iterator[str]:
    cursor = (stream.cursor_field,) if stream.cursor_field else ()
    for name, paths in (
        ("cursor_field", cursor),
        ("primary_key", stream.primary_key or ()),
        ("selected_fields", stream.selected_fields or ()),
    ):
        if not all(path and all(path) for path in paths):
            yield f"{name}: a field path is empty"
        if twice := [dotted(path) for path, count in Counter(paths).items() if count > 1]:
            yield f"{name}: {some(twice)} declared more than once"
    if nested := [dotted(path) for path in stream.selected_fields or () if len(path) > 1]:
        yield f"selected_fields: Airbyte selects top-level fields only, not {some(nested)}"


def _selection_problems(
    sync_mode: str, cursor: FieldPath, key: Collection[FieldPath], selected: Collection[FieldPath]
) -> Iterator[str]:
    """Yield what a selection lacks: docs/airbyte-api.md §4.4.6."""
    names = {path[0] for path in selected if path}
    if not names:
        return
    if sync_mode in _MODES_SELECTING_KEY and not {path[0] for path in key if path} <= names:
        yield f"selected_fields: the primary key {some(map(dotted, key))} must be among them"
    if is_incremental(sync_mode) and cursor and cursor[0] not in names:
        yield f"selected_fields: the cursor {dotted(cursor)} must be among them"


def unknown_stream(declared: StreamDeclaration, offered: Sequence[StreamProperties]) -> str:
    """Say that the source offers no such stream, and which one may be meant."""
    labels = [str(each) for each in offered]
    close = difflib.get_close_matches(
        stream_label(declared.name, declared.namespace), labels, n=1
    ) or [str(each) for each in offered if each.name.lower() == declared.name.lower()]
    return (
        f"{declared_path(declared)}: the source offers no such stream{_hint(close)}; it offers "
        f"{some(labels) or 'none'}"
    )


def _hint(close: Sequence[str]) -> str:
    return f" (did you mean {close[0]}?)" if close else ""


def ambiguous_stream(declared: StreamDeclaration, namespaces: Iterable[str | None]) -> str:
    """Say that the name alone does not tell which stream is meant."""
    listed = some(sorted(repr(each or "") for each in namespaces))
    return f"{declared_path(declared)}: several streams have this name; declare namespace: {listed}"


def offer_problems(
    declared: StreamDeclaration, target: ConnectionStream, offered: StreamProperties
) -> list[str]:
    """
    Return why Airbyte would refuse a stream.

    :param target: As it would be stored.
    """
    path = declared_path(declared)
    problems = [
        *_mode_problems(declared, offered),
        *_field_problems(declared, target, offered),
        *_cursor_problems(declared, target, offered),
        *_key_problems(declared, target, offered),
        *_selection_problems(
            target.sync_mode,
            _stored_cursor(target, offered),
            offered.source_defined_primary_key or target.primary_key,
            target.selected_fields,
        ),
    ]
    return [f"{path}.{problem}" for problem in problems]


def _mode_problems(declared: StreamDeclaration, offered: StreamProperties) -> Iterator[str]:
    modes = offered.sync_modes
    if modes and declared.sync_mode not in (None, _UNLISTED_MODE, *modes):
        yield (
            f"sync_mode: source and destination do not support {declared.sync_mode}; they "
            f"support {', '.join(modes)}"
        )


def _field_problems(
    declared: StreamDeclaration, target: ConnectionStream, offered: StreamProperties
) -> Iterator[str]:
    cursor = (declared.cursor_field,) if declared.cursor_field else ()
    for name, paths in (
        ("cursor_field", cursor if uses_cursor(target.sync_mode) else ()),
        ("primary_key", declared.primary_key if uses_key(target.sync_mode) else ()),
        ("selected_fields", declared.selected_fields),
    ):
        for path in paths or ():
            if offered.fields and path not in offered.fields:
                yield f"{name}: {_unknown_field(path, offered.fields)}"


def _unknown_field(path: FieldPath, fields: Sequence[FieldPath]) -> str:
    names = [dotted(each) for each in fields]
    close = difflib.get_close_matches(dotted(path), names, n=1)
    return f"the stream has no field {dotted(path)}{_hint(close)}; it has {some(names)}"


def _stored_cursor(target: ConnectionStream, offered: StreamProperties) -> FieldPath:
    if offered.source_defined_cursor:
        return offered.default_cursor_field
    return target.cursor_field or offered.default_cursor_field


def _cursor_problems(
    declared: StreamDeclaration, target: ConnectionStream, offered: StreamProperties
) -> Iterator[str]:
    if not uses_cursor(target.sync_mode):
        return
    default = offered.default_cursor_field
    if offered.source_defined_cursor:
        if declared.cursor_field and declared.cursor_field != default:
            yield (
                f"cursor_field: the source defines {dotted(default) or 'its own'} and allows no "
                "other; leave it out"
            )
    elif target.sync_mode in _MODES_NEEDING_CURSOR and not (target.cursor_field or default):
        yield f"cursor_field: {target.sync_mode} needs one, and the source has no default"


def _key_problems(
    declared: StreamDeclaration, target: ConnectionStream, offered: StreamProperties
) -> Iterator[str]:
    own = offered.source_defined_primary_key
    if not uses_key(target.sync_mode):
        return
    if own and declared.primary_key and set(declared.primary_key) != set(own):
        yield (
            f"primary_key: the source defines {some(map(dotted, own))} and allows no other; leave "
            "it out"
        )
    if target.sync_mode == _MODE_NEEDING_KEY and not (own or target.primary_key):
        yield f"primary_key: {target.sync_mode} needs one, and the source defines none"

"""
Declarations as files: docs/pipeline-file.md.

A file is read first and its texts are rendered then, so that a rendered value, such as a password,
cannot change the structure of the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_airbyte_sme.api.identifiers import is_uuid
from airflow_provider_airbyte_sme.api.models.connections import FieldPath
from airflow_provider_airbyte_sme.provisioning.declarations import (
    ActorDeclaration,
    PipelineConnection,
    PipelineDeclaration,
    StreamDeclaration,
    TagDeclaration,
    WorkspaceDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError

_TEMPLATE = re.compile(r"\{[{%]")


def read_document(source: str | Path) -> Mapping[str, Any]:
    """
    Read a document without rendering it.

    :param source: The text itself, or the path of a file. A file whose name ends in ``.json``, and
        a text that begins with a brace, are JSON; all others are YAML.
    :raises AirbyteDeclarationError: The file cannot be read, is invalid, or has a key twice.
    """
    what = str(source) if isinstance(source, Path) else "the document"
    text = _read(source) if isinstance(source, Path) else source
    is_json = (
        source.suffix.lower() == ".json"
        if isinstance(source, Path)
        else text.lstrip().startswith("{")
    )
    document = _read_json(text, what) if is_json else _read_yaml(text, what)
    if not isinstance(document, Mapping):
        raise AirbyteDeclarationError(what, ["it must be a mapping, such as workspace: Sales"])
    return document


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AirbyteDeclarationError(
            str(path), [f"it cannot be read: {error.strerror}"]
        ) from error
    except UnicodeDecodeError:
        raise AirbyteDeclarationError(str(path), ["it is not UTF-8: save it as such"]) from None


def _read_json(text: str, what: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}: {error.msg}"
        raise AirbyteDeclarationError(what, [_with_advice(problem, text, error.lineno)]) from None
    except (ValueError, RecursionError) as error:
        raise AirbyteDeclarationError(what, [str(error)]) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """
    Return the object of *pairs*.

    :raises ValueError: A key is there twice.
    """
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return document


def _read_yaml(text: str, what: str) -> Any:
    # Late: PyYAML is slow to import.
    from airflow_provider_airbyte_sme.provisioning.yaml_text import YamlError, load

    try:
        document = load(text)
        json.dumps(document)  # tags and aliases can make what no JSON has
    except YamlError as error:
        problem = f"line {error.line}: {error}" if error.line else str(error)
        raise AirbyteDeclarationError(what, [_with_advice(problem, text, error.line)]) from None
    except (TypeError, ValueError, RecursionError):
        raise AirbyteDeclarationError(
            what, ["it may only have text, numbers, true, false, null, lists and mappings"]
        ) from None
    return document


def _with_advice(problem: str, text: str, line: int) -> str:
    """Return *problem*, with advice if it comes from a template without quotes."""
    lines = text.splitlines()
    if 0 < line <= len(lines) and _TEMPLATE.search(lines[line - 1]):
        return f'{problem}; a template must be in quotes, such as name: "{{{{ var.value.name }}}}"'
    return problem


def write_yaml(document: Mapping[str, Any], header_comment: str = "") -> str:
    """
    Return a document as YAML.

    :param header_comment: Lines to write before it, without ``#``.
    """
    from airflow_provider_airbyte_sme.provisioning.yaml_text import dump

    comment = "".join(f"# {line}".rstrip() + "\n" for line in header_comment.splitlines())
    return f"{comment}\n{dump(document)}" if comment else dump(document)


def to_document(pipeline: PipelineDeclaration) -> dict[str, Any]:
    """Return a pipeline as a document with only what is declared, in an order to be read."""
    return _declared(
        {
            "workspace": _workspace(pipeline.workspace),
            "sources": [_actor(each) for each in pipeline.sources],
            "destinations": [_actor(each) for each in pipeline.destinations],
            "tags": [_tag(each) for each in pipeline.tags],
            "connections": [_connection(each) for each in pipeline.connections],
        },
        empty=[],
    )


def _declared(fields: Mapping[str, Any], *, empty: Any = "") -> dict[str, Any]:
    """
    Return the fields that are declared.

    :param empty: What means, besides ``None``, that a field is not declared.
    """
    return {name: value for name, value in fields.items() if value is not None and value != empty}


def _workspace(workspace: WorkspaceDeclaration) -> dict[str, Any] | str:
    fields = {
        "name": workspace.name,
        "workspace_id": workspace.workspace_id or None,
        "region_id": workspace.region_id,
        "notifications": workspace.notifications,
    }
    declared = _declared(fields)
    return declared if len(declared) > 1 else workspace.name


def _actor(actor: ActorDeclaration) -> dict[str, Any]:
    changed = actor.update_secrets != "when_changed"
    return _declared(
        {
            "name": actor.name,
            f"{actor.kind}_id": actor.resource_id,
            f"{actor.kind}_type": actor.connector,
            "definition_id": actor.definition_id,
            "update_secrets": actor.update_secrets if changed else None,
            "resource_allocation": actor.resource_allocation,
            "configuration": actor.configuration,
        }
    )


def _tag(tag: TagDeclaration) -> dict[str, Any]:
    return _declared({"name": tag.name, "tag_id": tag.tag_id, "color": tag.color})


def _connection(connection: PipelineConnection) -> dict[str, Any]:
    declaration = connection.declaration
    streams = declaration.streams
    return {
        **_declared({"name": declaration.name, "connection_id": declaration.connection_id}),
        _end_key("source", connection.source): connection.source,
        _end_key("destination", connection.destination): connection.destination,
        **_declared(
            {
                "status": declaration.status,
                "schedule": declaration.schedule,
                "schema_changes": declaration.schema_changes,
                "namespace_definition": declaration.namespace_definition,
                "namespace_format": declaration.namespace_format,
                "prefix": declaration.prefix,
                "tags": _list(declaration.tags),
                "allow_state_loss": declaration.allow_state_loss or None,
                "exact": declaration.exact or None,
                "streams": streams if streams == "all" else [_stream(each) for each in streams],
            },
            empty=None,
        ),
    }


def _end_key(kind: str, name: str) -> str:
    return f"{kind}_id" if is_uuid(name) else kind


def _stream(stream: StreamDeclaration) -> dict[str, Any] | str:
    fields = {
        "name": stream.name,
        "namespace": stream.namespace,
        "sync_mode": stream.sync_mode,
        "cursor_field": None if stream.cursor_field is None else _path(stream.cursor_field),
        "primary_key": _paths(stream.primary_key),
        "selected_fields": _list(_path(path) for path in stream.selected_fields)
        if stream.selected_fields is not None
        else None,
        "mappers": _list(stream.mappers),
    }
    declared = _declared(fields, empty=None)
    return declared if len(declared) > 1 else stream.name


def _list(items: Iterable[Any] | None) -> list[Any] | None:
    return None if items is None else list(items)


def _path(path: FieldPath) -> str | list[str]:
    return path[0] if len(path) == 1 else list(path)


def _paths(paths: tuple[FieldPath, ...] | None) -> str | list[Any] | None:
    """Return the shortest form: a key of one field is its name."""
    if paths is None:
        return None
    found = [_path(path) for path in paths]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else found

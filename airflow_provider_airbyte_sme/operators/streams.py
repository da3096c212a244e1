"""Streams of a connection, as people name them, and what works on some of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteConnection
from airflow_provider_airbyte_sme.api.models.connections import stream_label
from airflow_provider_airbyte_sme.api.resources.job_starts import StreamId
from airflow_provider_airbyte_sme.hooks.lookups import closest
from airflow_provider_airbyte_sme.operators.jobs import AirbyteJobOperator
from airflow_provider_airbyte_sme.parameters import check_unless_template, validate_streams

Streams = str | Sequence[str | Mapping[str, str | None]]


class AirbyteStreamsOperator(AirbyteJobOperator):
    """
    Base class of the operators whose job is about all streams of a connection, or about some.

    Its other parameters and its result are those of :class:`.AirbyteJobOperator`.

    :param streams: The streams: names, or dicts with ``name`` and ``namespace``; by default all.
        The connection must select them. (templated)
    """

    template_fields: Sequence[str] = (*AirbyteJobOperator.template_fields, "streams")

    def __init__(self, *, streams: Streams | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.streams = streams
        # A template that is rendered to nothing does not mean all.
        self._takes_all = streams is None
        if streams is not None:
            check_unless_template(validate_streams, streams, "streams")

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        if not self._takes_all:
            validate_streams(self.streams, "streams")

    def _selected(self, connection: AirbyteConnection) -> list[StreamId]:
        """Return the streams, each with its namespace; none for all."""
        if self._takes_all:
            return []
        return selected_streams(connection, validate_streams(self.streams, "streams"))


def selected_streams(connection: AirbyteConnection, named: Iterable[StreamId]) -> list[StreamId]:
    """
    Return the streams of *connection* that are named, each with its namespace.

    Airbyte ignores a stream that the connection does not select, and reports success.

    :param named: Without a namespace, the name must belong to one stream only.
    :raises AirbyteConfigError: A stream is not selected, or its namespace is missing; or the
        connection was deleted.
    """
    if connection.is_deleted:
        raise AirbyteConfigError(f"Connection {connection} was deleted, so it has no streams.")
    return list(dict.fromkeys(_selected_stream(connection, *stream) for stream in named))


def _selected_stream(connection: AirbyteConnection, name: str, namespace: str | None) -> StreamId:
    found = [
        stream
        for stream in connection.streams
        if stream.name == name and namespace in (None, stream.namespace)
    ]
    if len(found) == 1:
        return found[0].name, found[0].namespace
    label = stream_label(name, namespace)
    if found:
        namespaces = ", ".join(repr(stream.namespace) for stream in found)
        raise AirbyteConfigError(
            f"Connection {connection} selects stream {label!r} in several namespaces: name the "
            f"one that is meant, of {namespaces}."
        )
    names = [str(stream) for stream in connection.streams]
    raise AirbyteConfigError(
        f"Connection {connection} does not select stream {label!r}: {closest(label, names)}"
    )

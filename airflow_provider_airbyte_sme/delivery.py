"""What a job has delivered: its streams, the tables that they are written to, and the counters."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError, AirbyteError
from airflow_provider_airbyte_sme.api.job_reports import closed_text
from airflow_provider_airbyte_sme.api.models import (
    AirbyteConnection,
    ConnectionStream,
    Destination,
    JobDetails,
    Source,
    StreamCounters,
    StreamProperties,
)
from airflow_provider_airbyte_sme.api.resources.job_starts import DETAILS_PATIENCE
from airflow_provider_airbyte_sme.api.retry import is_closed
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL, FAILURE_BUDGET
from airflow_provider_airbyte_sme.datasets import (
    Dataset,
    NamespaceRule,
    connector_of,
    destination_dataset,
    fallback_dataset,
    source_dataset,
)
from airflow_provider_airbyte_sme.outcome import TrackedJob

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook

log = logging.getLogger(__name__)

R = TypeVar("R")
StreamKey = tuple[str, str | None]
# Reads what the config API knows of a job: `Jobs.poll_details`.
ReadDetails = Callable[..., JobDetails]


class StreamField(NamedTuple):
    """
    A column of a stream.

    :param type: As in its JSON schema, such as ``string``; empty if unknown.
    """

    name: str
    type: str = ""


class DeliveredStream(NamedTuple):
    """
    What a job has delivered of one stream.

    :param namespace: The source's own; ``None`` if it has none.
    :param destination: The table that it is written to.
    :param source: What it is read from; ``None`` if that has no standard name.
    :param rows: Rows that the job has committed; ``None`` if unknown, 0 only if there were none.
    :param bytes: Likewise.
    :param fields: Its selected columns; empty if unknown.
    """

    name: str
    namespace: str | None
    destination: Dataset
    source: Dataset | None = None
    rows: int | None = None
    bytes: int | None = None
    fields: tuple[StreamField, ...] = ()


class DeliveredTable(NamedTuple):
    """
    What a job has delivered to one table, which several streams may be written to.

    :param dataset: The name of the table.
    """

    dataset: Dataset
    streams: tuple[DeliveredStream, ...]

    @property
    def rows(self) -> int | None:
        """Rows of all its streams; ``None`` if those of one are unknown."""
        return _total(stream.rows for stream in self.streams)

    @property
    def bytes(self) -> int | None:
        """Bytes, likewise."""
        return _total(stream.bytes for stream in self.streams)


def _total(counters: Iterable[int | None]) -> int | None:
    total = 0
    for counter in counters:
        if counter is None:
            return None
        total += counter
    return total


class Delivery(NamedTuple):
    """
    What a job has delivered.

    :param tracked: The job, as it has ended, with the number of rows that counts.
    :param streams: The selected streams of its connection: a refresh of some syncs all of them
        (docs/airbyte-api.md §3.7.24).
    """

    tracked: TrackedJob
    streams: tuple[DeliveredStream, ...] = ()

    @property
    def tables(self) -> tuple[DeliveredTable, ...]:
        """The tables that the streams are written to, each once."""
        streams: dict[Dataset, list[DeliveredStream]] = {}
        for stream in self.streams:
            streams.setdefault(stream.destination, []).append(stream)
        return tuple(DeliveredTable(table, tuple(each)) for table, each in streams.items())


def read_delivery(
    hook: AirbyteHook,
    tracked: TrackedJob,
    read_details: ReadDetails,
    *,
    dataset_namespace: str | None = None,
    with_lineage: bool = False,
    poll_interval: float = DEFAULT_POLL_INTERVAL,
    failure_budget: float = FAILURE_BUDGET,
) -> Delivery:
    """
    Read what a job has delivered that has ended.

    :param read_details: Reads from the config API, given the number of the job, and as
        *failure_budget* the seconds that are left. If that API does not say, the rows of single
        streams are unknown.
    :param dataset_namespace: Namespace of the tables, instead of what the destination says.
    :param with_lineage: Whether to read what the streams are read from, and their columns, too; as
        far as that can be read.
    :param poll_interval: Seconds between two failed reads.
    :param failure_budget: Seconds after which to give up while Airbyte is unavailable, for all
        reads together.
    :raises AirbyteError: The connection or its destination cannot be read.
    """
    read = _Reader(hook, poll_interval, failure_budget)
    connection = read(
        lambda left: hook.get_airbyte_connection(tracked.job.connection_id, timeout=left)
    )
    destination = read(lambda left: hook.get_destination(connection.destination_id, timeout=left))
    counters = _Counters(_details(tracked, partial(read_details, failure_budget=read.left)))
    source, columns = _lineage(hook, connection, read) if with_lineage else (None, {})
    rows = max(
        filter(None, (tracked.job.rows_synced, counters.rows)), default=tracked.job.rows_synced
    )
    name_table = _table_namer(connection, destination, dataset_namespace)
    return Delivery(
        tracked.with_job(replace(tracked.job, rows_synced=rows)),
        tuple(
            DeliveredStream(
                name=stream.name,
                namespace=stream.namespace,
                destination=name_table(stream),
                source=_source_of(source, stream),
                rows=counters.rows_of(stream),
                bytes=counters.bytes_of(stream),
                fields=_fields(stream, columns.get(_key(stream))),
            )
            for stream in connection.streams
        ),
    )


class _Reader:
    """Reads through an outage of Airbyte; all reads together outlast it for the failure budget."""

    def __init__(self, hook: AirbyteHook, poll_interval: float, failure_budget: float) -> None:
        self._hook = hook
        self._poll_interval = poll_interval
        self._until = time.monotonic() + failure_budget

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self._until - time.monotonic())

    def __call__(self, read: Callable[[float], R]) -> R:
        """
        Return the result of *read*, repeated while Airbyte is unavailable.

        :param read: Gets the seconds that are left.
        """
        return self._hook.read_through_outage(
            lambda: read(self.left), poll_interval=self._poll_interval, failure_budget=self.left
        )

    def once(self, what: str, read: Callable[[float], R]) -> R | None:
        """
        Return the result of *read* if it can be read now, and else ``None``.

        :param what: What the lineage lacks then, for the log.
        :param read: Gets seconds after which to give up.
        """
        try:
            return read(min(self.left, DETAILS_PATIENCE))
        except AirbyteError as error:
            log.info("The lineage lacks %s: %s", what, error)
            return None


class _Counters:
    """
    The counters of the streams of a job.

    They may lack what the streams have moved since they were stored the last time
    (docs/airbyte-api.md §3.7.36). So a stream without rows had none only if the others have the
    rows of all attempts: what a failed one has moved must not stand for what the last one has.

    :ivar rows: Of the whole job; ``None`` if unknown.
    """

    def __init__(self, details: JobDetails | None) -> None:
        details = details or JobDetails()
        self.rows = details.rows
        self._streams = {(each.name, each.namespace): each for each in details.streams}
        of_attempts = _total(each.rows for each in details.attempts) if details.attempts else None
        counted = sum(each.rows or 0 for each in details.streams)
        self._are_complete = of_attempts is not None and counted >= of_attempts

    def rows_of(self, stream: ConnectionStream) -> int | None:
        return self._counter(self._of(stream).rows)

    def bytes_of(self, stream: ConnectionStream) -> int | None:
        return self._counter(self._of(stream).bytes)

    def _of(self, stream: ConnectionStream) -> StreamCounters:
        return self._streams.get(_key(stream), StreamCounters(stream.name))

    def _counter(self, counted: int | None) -> int | None:
        return counted or (0 if self._are_complete else None)


def _key(stream: ConnectionStream | StreamProperties) -> StreamKey:
    return stream.name, stream.namespace


def _details(tracked: TrackedJob, read_details: Callable[[int], JobDetails]) -> JobDetails | None:
    try:
        return read_details(tracked.job.job_id)
    except AirbyteError as error:
        reason = closed_text(error) if is_closed(error) else str(error)
        log.info("%s: the rows of single streams are unknown. %s", tracked, reason)
        return None


def _table_namer(
    connection: AirbyteConnection, destination: Destination, dataset_namespace: str | None
) -> Callable[[ConnectionStream], Dataset]:
    """Return what names the table of a stream: after its connection if nothing better is known."""
    connector, rule = connector_of(destination), NamespaceRule.of(connection)
    configuration = destination.configuration or {}
    said: set[str] = set()

    def name(stream: ConnectionStream) -> Dataset:
        schema, table = rule.apply(stream.name, stream.namespace)
        try:
            return destination_dataset(
                connector, configuration, table, schema, dataset_namespace=dataset_namespace
            )
        except AirbyteConfigError as error:
            if str(error) not in said:
                said.add(str(error))
                log.info("The streams of connection %s are named after it: %s", connection, error)
            return fallback_dataset(connection.connection_id, stream.name, stream.namespace)

    return name


def _lineage(
    hook: AirbyteHook, connection: AirbyteConnection, read: _Reader
) -> tuple[Source | None, Mapping[StreamKey, StreamProperties]]:
    """Return the source and what it offers, as far as they can be read."""
    source = read.once(
        "the source", lambda left: hook.get_source(connection.source_id, timeout=left)
    )
    catalog = read.once(
        "the columns of the streams",
        lambda left: hook.get_airbyte_connection_catalog(connection.connection_id, timeout=left),
    )
    return source, {_key(each): each for each in catalog or ()}


def _source_of(source: Source | None, stream: ConnectionStream) -> Dataset | None:
    if source is None:
        return None
    return source_dataset(
        connector_of(source), source.configuration or {}, stream.name, stream.namespace
    )


def _fields(
    stream: ConnectionStream, properties: StreamProperties | None
) -> tuple[StreamField, ...]:
    """
    Return the selected columns. A nested field is part of its column, which is an object.

    They are unknown if a mapper changes them on their way.
    """
    if properties is None or any(each.get("type") != "row-filtering" for each in stream.mappers):
        return ()
    selected = {path[0] for path in stream.selected_fields}
    types = {
        path[0]: type_ if len(path) == 1 else "object"
        for path, type_ in zip(properties.fields, properties.types, strict=True)
    }
    return tuple(
        StreamField(name, type_)
        for name, type_ in types.items()
        if not selected or name in selected
    )

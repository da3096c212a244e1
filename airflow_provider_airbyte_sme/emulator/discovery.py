"""
Discovering the streams of a source, and the catalogs that are kept of it.

The server runs the connector only if it has no catalog for the source's stored configuration
(``docs/airbyte-api.md`` §4.4). A raw secret that is written changes that configuration, also if it
is equal: §4.2.
"""

from __future__ import annotations

import hashlib
import json

from airflow_provider_airbyte_sme.emulator.masking import with_coordinates
from airflow_provider_airbyte_sme.emulator.problems import unexpected
from airflow_provider_airbyte_sme.emulator.streams import Stream, streams_of
from airflow_provider_airbyte_sme.emulator.world import Actor, Catalog, World


def discover(world: World, source: Actor, *, ignore_cache: bool = False) -> list[Stream]:
    """
    Return the streams of *source*, from the kept catalog or else from its connector.

    :param ignore_cache: Whether to run the connector in any case.
    :raises ProblemError: 500: the connector fails, because the source is deleted.
    """
    if source.deleted:
        raise unexpected("Something went wrong in the connector. logs:")
    catalog = world.catalogs.get(source.id)
    digest = _digest(source)
    if catalog is None or catalog.digest != digest or ignore_cache:
        runs = 1 if catalog is None else catalog.runs + 1
        streams = [stream.to_seed() for stream in streams_of(source)]
        catalog = world.catalogs[source.id] = Catalog(digest, streams, runs)
    return [Stream.from_seed(seed) for seed in catalog.streams]


def _digest(source: Actor) -> str:
    stored = json.dumps(with_coordinates(source), sort_keys=True)
    return hashlib.sha256(stored.encode()).hexdigest()

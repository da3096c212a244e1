"""The only place that knows which feature of the provider needs which Airflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Feature(NamedTuple):
    """
    A feature that not every supported Airflow has.

    :param since: The first Airflow with it, as major and minor version.
    :param name: What a user calls it.
    """

    since: tuple[int, int]
    name: str


# The oldest first.
FEATURES = (
    Feature((3, 0), "DAGs that start when Airbyte has synced (airbyte_asset)"),
    Feature((3, 0), "the webhook that Airbyte calls after a sync"),
    Feature((3, 1), "the page Airbyte in Airflow's UI"),
    Feature((3, 2), "the command airflow airbyte-sme doctor"),
    Feature((3, 2), "typed inputs with help in the connection form"),
    Feature((3, 3), "a retry knows the sync of a try that died"),
    Feature((3, 3), "clearing or marking a deferred task cancels its sync"),
    Feature((3, 3), "start_from_trigger: a wait begins without a worker"),
    Feature((3, 3), "asset watchers share requests, and remember what they have seen"),
    Feature((3, 3), "retry_policy: retries that depend on why a sync failed"),
    Feature((3, 3), "slow_after with mode='reschedule'"),
)


class Package(NamedTuple):
    """
    A package that the provider can do without.

    :param distribution: Its name in a package index.
    :param name: What it is needed for.
    """

    distribution: str
    name: str


PACKAGES = (
    Package("fastapi", "the webhook and the page Airbyte"),
    Package("apache-airflow-providers-openlineage", "lineage"),
    Package("libcst", "the command migrate"),
)


def lacking(airflow: Sequence[int]) -> list[Feature]:
    """Return the features that an Airflow of this version does not have, the newest last."""
    return [feature for feature in FEATURES if tuple(airflow[:2]) < feature.since]

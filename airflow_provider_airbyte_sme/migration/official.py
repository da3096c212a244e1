"""
The names of the official provider, and what they are called here.

They are those of ``apache-airflow-providers-airbyte`` 3.0 to 6.2.
"""

from __future__ import annotations

import re
from enum import Enum

PACKAGE = "airflow.providers.airbyte"
OUR_PACKAGE = "airflow_provider_airbyte_sme"
DEFAULT_CONN_ID = "airbyte_default"


class Thing(Enum):
    """What a class of the official provider makes."""

    OPERATOR = "operator"
    SENSOR = "sensor"
    HOOK = "hook"
    TRIGGER = "trigger"


TASKS = (Thing.OPERATOR, Thing.SENSOR)

CLASSES = {
    f"{PACKAGE}.operators.airbyte.AirbyteTriggerSyncOperator": Thing.OPERATOR,
    f"{PACKAGE}.sensors.airbyte.AirbyteJobSensor": Thing.SENSOR,
    f"{PACKAGE}.hooks.airbyte.AirbyteHook": Thing.HOOK,
    f"{PACKAGE}.triggers.airbyte.AirbyteSyncTrigger": Thing.TRIGGER,
}
MODULES = frozenset(path.rpartition(".")[0] for path in CLASSES)
KNOWN = frozenset(
    {
        *CLASSES,
        *MODULES,
        *(module.rpartition(".")[0] for module in MODULES),
        PACKAGE,
        f"{PACKAGE}.get_provider_info",
        f"{PACKAGE}.get_provider_info.get_provider_info",
    }
)
"""The paths that this provider has too."""
CLASS_NAMES = {path.rpartition(".")[2]: path for path in CLASSES}

RENAMED = {
    f"{PACKAGE}.triggers.airbyte.AirbyteSyncTrigger": (
        f"{OUR_PACKAGE}.triggers.airbyte.AirbyteJobTrigger"
    ),
    "airbyte_api.models.JobStatusEnum": f"{OUR_PACKAGE}.api.JobStatus",
    "airbyte_api.models.jobstatusenum.JobStatusEnum": f"{OUR_PACKAGE}.api.JobStatus",
    "airbyte_api.models.JobTypeEnum": f"{OUR_PACKAGE}.api.JobType",
    "airbyte_api.models.jobtypeenum.JobTypeEnum": f"{OUR_PACKAGE}.api.JobType",
}
"""Names that do not merely change their package."""

IMPORTED_NAMES = {
    "AirbyteHook": f"{PACKAGE}.hooks.airbyte.AirbyteHook",
    "AirbyteSyncTrigger": f"{PACKAGE}.triggers.airbyte.AirbyteSyncTrigger",
    "JobStatusEnum": "airbyte_api.models.JobStatusEnum",
    "JobTypeEnum": "airbyte_api.models.JobTypeEnum",
}
"""What official modules import themselves, so that it can be imported from them."""
OTHER_IMPORTED_NAMES = frozenset(
    {
        "AirbyteAPI",
        "AirflowException",
        "AirflowSkipException",
        "Any",
        "AsyncIterator",
        "BaseHook",
        "BaseOperator",
        "BaseSensorOperator",
        "BaseTrigger",
        "Sequence",
        "TYPE_CHECKING",
        "TriggerEvent",
        "asyncio",
        "conf",
        "datetime",
        "time",
    }
)
"""The same, of things that are in neither provider."""

SDK = "airbyte_api"
"""The client that the official provider depends on, and this one does not."""

HOOK_METHODS = {
    "submit_sync_connection": "create_job",
    "submit_reset_connection": "create_job",
    "get_job_details": "get_job",
    "get_job_status": "get_job",
    "get_job": "get_job",
    "cancel_job": "cancel_job",
    "wait_for_job": "wait_for_job",
}
OFFICIAL_ONLY_METHODS = frozenset(
    {"submit_sync_connection", "submit_reset_connection", "get_job_details", "get_job_status"}
)
TELLING_METHODS = OFFICIAL_ONLY_METHODS | {"wait_for_job"}
"""The methods after which an unknown object is likely to be the hook, and that are others here."""
UNCHANGED_HOOK_MEMBERS = frozenset(
    {"airbyte_conn_id", "get_connection", "log", "test_connection", "get_job", "cancel_job"}
)
HOOK_STATUSES = ("RUNNING", "SUCCEEDED", "CANCELLED", "PENDING", "FAILED", "ERROR", "INCOMPLETE")
"""Constants of the hook up to 4.0, which are these names in lower case."""

CLASS_PATH = re.compile(r"airflow\.providers\.airbyte(?:\.\w+)*")


def is_official(path: str) -> bool:
    """Whether a dotted path is in the official provider."""
    return path == PACKAGE or path.startswith(f"{PACKAGE}.")


def new_path(path: str) -> str | None:
    """Return the path here of an official dotted path; ``None`` if that is something else."""
    for old, new in RENAMED.items():
        if path == old or path.startswith(f"{old}."):
            return new + path[len(old) :]
    return OUR_PACKAGE + path[len(PACKAGE) :] if is_official(path) else None


def new_text_path(path: str) -> str:
    """Return the path here of one in a string, which may go on to a method of the hook."""
    head, _, last = path.rpartition(".")
    if CLASSES.get(head) is Thing.HOOK:
        return f"{new_path(head)}.{HOOK_METHODS.get(last, last)}"
    return new_path(path) or path


def imported_from(path: str) -> str | None:
    """Return where a name is from that an official module imports itself."""
    module, _, name = path.rpartition(".")
    return IMPORTED_NAMES.get(name) if module in MODULES and path not in CLASSES else None


def is_member(path: str) -> bool:
    """Whether a path ends with something of a class, such as a method."""
    return path.rpartition(".")[0] in CLASSES

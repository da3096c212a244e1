"""
The objects of Airbyte's API, as frozen values.

Each class reads the fields that this provider uses and ignores the others, so a newer server does
not break it.
"""

from airflow_provider_airbyte_sme.api.models.administration import (
    Application,
    ConnectorDefinition,
    Dataplane,
    DataplaneCredentials,
    DeclarativeDefinition,
    Definition,
    Group,
    GroupMember,
    GroupPermission,
    Organization,
    Permission,
    Region,
    User,
)
from airflow_provider_airbyte_sme.api.models.attempt_logs import end_of_log
from airflow_provider_airbyte_sme.api.models.connections import (
    AirbyteConnection,
    ConnectionStream,
    Schedule,
    StreamProperties,
    Tag,
    streams_of_catalog,
)
from airflow_provider_airbyte_sme.api.models.fields import label
from airflow_provider_airbyte_sme.api.models.job_details import (
    Attempt,
    AttemptFailure,
    JobDetails,
    StreamCounters,
)
from airflow_provider_airbyte_sme.api.models.jobs import (
    TERMINAL_STATUSES,
    CreatedJob,
    Job,
    JobStatus,
    JobType,
    Ownership,
)
from airflow_provider_airbyte_sme.api.models.resources import (
    Actor,
    ActorKind,
    ConnectionCheck,
    ConnectionState,
    ConnectorSpecification,
    Destination,
    Source,
    Workspace,
)
from airflow_provider_airbyte_sme.api.models.system import Instance

__all__ = [
    "TERMINAL_STATUSES",
    "Actor",
    "ActorKind",
    "AirbyteConnection",
    "Application",
    "Attempt",
    "AttemptFailure",
    "ConnectionCheck",
    "ConnectionState",
    "ConnectionStream",
    "ConnectorDefinition",
    "ConnectorSpecification",
    "CreatedJob",
    "Dataplane",
    "DataplaneCredentials",
    "DeclarativeDefinition",
    "Definition",
    "Destination",
    "Group",
    "GroupMember",
    "GroupPermission",
    "Instance",
    "Job",
    "JobDetails",
    "JobStatus",
    "JobType",
    "Organization",
    "Ownership",
    "Permission",
    "Region",
    "Schedule",
    "Source",
    "StreamCounters",
    "StreamProperties",
    "Tag",
    "User",
    "Workspace",
    "end_of_log",
    "label",
    "streams_of_catalog",
]

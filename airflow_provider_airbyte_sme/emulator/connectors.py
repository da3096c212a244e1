"""
The connectors of an emulated Airbyte: the built-in definitions, and the spec of every definition.

Definition ids and names are Airbyte's own (``docs/airbyte-api.md §4.2``). Only the most common
connectors are listed; any other can be added as a custom definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_airbyte_sme.emulator.destination_specs import DESTINATIONS
from airflow_provider_airbyte_sme.emulator.source_specs import SOURCES
from airflow_provider_airbyte_sme.emulator.specs import ANYTHING, Schema, Spec
from airflow_provider_airbyte_sme.emulator.world import ActorKind, World

DEFINITIONS: Mapping[ActorKind, Mapping[str, str]] = {
    "source": {
        "airtable": "14c6e7ea-97ed-4f5e-a7b5-25e9a80b8212",
        "amazon-seller-partner": "e55879a8-0ef8-4557-abcf-ab34c53ec460",
        "amplitude": "fa9f58c6-2d03-4237-aaa4-07d75e0c1396",
        "azure-blob-storage": "fdaaba68-4875-4ed9-8fcd-4ae1e0a25093",
        "bigquery": "bfd1ddf8-ae8a-4620-b1d7-55597d2ba08c",
        "bing-ads": "47f25999-dd5e-4636-8c39-e7cea2453331",
        "chargebee": "686473f1-76d9-4994-9cc7-9b13da46147c",
        "clickhouse": "bad83517-5e54-4a3d-9b53-63e85fbd4d7c",
        "dynamodb": "50401137-8871-4c5a-abb7-1f5fda35545a",
        "e2e-test": "d53f9084-fa6b-4a5a-976c-5b8392f4ad8a",
        "elasticsearch": "7cf88806-25f5-4e1a-b422-b2fa9e1b0090",
        "faker": "dfd88b22-b603-4c3d-aad7-3701784586b1",
        "file": "778daa7c-feaf-4db6-96f3-70fd645acc77",
        "freshdesk": "ec4b9503-13cb-48ab-a4ab-6ade4be46567",
        "gcs": "2a8c41ae-8c23-4be0-a73f-2ab10ca1a820",
        "github": "ef69ef6e-aa7f-4af1-a01d-ef775033524e",
        "gitlab": "5e6175e5-68e1-4c17-bff9-56103bbb0d80",
        "google-ads": "253487c0-2246-43ba-a21f-5116b20a2c50",
        "google-analytics-data-api": "3cc2eafd-84aa-4dca-93af-322d9dfeec1a",
        "google-search-console": "eb4c9e00-db83-4d63-a386-39cfa91012a8",
        "google-sheets": "71607ba1-c0ac-4799-8049-7f4b90dd50f7",
        "greenhouse": "59f1e50a-331f-4f09-b3e8-2e8d4d355f44",
        "hubspot": "36c891d9-4bd9-43ac-bad2-10e12756272c",
        "intercom": "d8313939-3782-41b0-be29-b3ca20d8dd3a",
        "iterable": "2e875208-0c0b-4ee4-9e92-1cb3156ea799",
        "jira": "68e63de2-bb83-4c7e-93fa-a8a9051e3993",
        "kafka": "d917a47b-8537-4d0d-8c10-36a9928d4265",
        "klaviyo": "95e8cffd-b8c4-4039-968e-d32fb4a69bde",
        "linkedin-ads": "137ece28-5434-455c-8f34-69dc3782f451",
        "mailchimp": "b03a9f3e-22a5-11eb-adc1-0242ac120002",
        "marketo": "9e0556f4-69df-4522-a3fb-03264d36b348",
        "mixpanel": "12928b32-bf0a-4f1e-964f-07e12e37153a",
        "monday": "80a54ea2-9959-4040-aac1-eee42423ec9b",
        "mongodb-v2": "b2e713cd-cc36-4c0a-b5bd-b47cb8a0561e",
        "mssql": "b5ea17b1-f170-46dc-bc31-cc744ca984c1",
        "mysql": "435bb9a5-7887-4809-aa58-28c27df0d7ad",
        "netsuite": "4f2f093d-ce44-4121-8118-9d13b7bfccd0",
        "notion": "6e00b415-b02e-4160-bf02-58176a0ae687",
        "oracle": "b39a7370-74c3-45a6-ac3a-380d48520a83",
        "pipedrive": "d8286229-c680-4063-8c59-23b9b391c700",
        "postgres": "decd338e-5647-4c0b-adf4-da0e75f5a750",
        "posthog": "af6d50ee-dddf-4126-a8ee-7faee990774f",
        "recharge": "45d2e135-2ede-49e1-939f-3e3ec357a65e",
        "redshift": "e87ffa8e-a3b5-f69c-9076-6011339de1f6",
        "s3": "69589781-7828-43c5-9f63-8925b1c1ccc2",
        "salesforce": "b117307c-14b6-41aa-9422-947e34922962",
        "sendgrid": "fbb5fbe2-16ad-4cf4-af7d-ff9d9c316c87",
        "sftp": "a827c52e-791c-4135-a245-e233c5255199",
        "sftp-bulk": "31e3242f-dee7-4cdc-a4b8-8e06c5458517",
        "shopify": "9da77001-af33-4bcd-be46-6252bf9342b9",
        "slack": "c2281cee-86f9-4a86-bb48-d23286b4c7bd",
        "smartsheets": "374ebc65-6636-4ea0-925c-7d35999a8ffc",
        "snowflake": "e2d65910-8c8b-40a1-ae7d-ee2416b2bfa2",
        "square": "77225a51-cd15-4a13-af02-65816bd0ecf4",
        "stripe": "e094cb9a-26de-4645-8761-65c0c425d1de",
        "tiktok-marketing": "4bfac00d-ce15-44ff-95b9-9e3c3e8fbd35",
        "trello": "8da67652-004c-11ec-9a03-0242ac130003",
        "twilio": "b9dc6155-672e-42ea-b10d-9f1f1fb95ab1",
        "typeform": "e7eff203-90bf-43e5-a240-19ea3056c474",
        "zendesk-chat": "40d24d0f-b8f9-4fe0-9e6c-b06c0f3f45e4",
        "zendesk-support": "79c1aa37-dae3-42ae-b333-d1c105477715",
        "zoho-crm": "4942d392-c7b5-4271-91f9-3b4f4e51eb3e",
    },
    "destination": {
        "aws-datalake": "99878c90-0fbd-46d3-9d98-ffde879d17fc",
        "azure-blob-storage": "b4c5d105-31fd-4817-96b6-cb923bfc04cb",
        "bigquery": "22f6c74f-5699-40ff-833c-4a879ea40133",
        "clickhouse": "ce0d828e-1dc4-496c-b122-2da42e637e48",
        "csv": "8be1cf83-fde1-477f-a4ad-318d23c9f3c6",
        "databricks": "072d5540-f236-4294-ba7c-ade8fd918496",
        "duckdb": "94bd199c-2ff0-4aa2-b98e-17f0acb72610",
        "dynamodb": "8ccd8909-4e99-4141-b48d-4984b70b2d89",
        "e2e-test": "2eb65e87-983a-4fd7-b3e3-9d9dc6eb8537",
        "elasticsearch": "68f351a7-2745-4bef-ad7f-996b8e51bb8c",
        "firestore": "27dc7500-6d1b-40b1-8b07-e2f2aea3c9f4",
        "gcs": "ca8f6566-e555-4b40-943a-545bf123117a",
        "google-sheets": "a4cbd2d1-8dbe-4818-b8bc-b90ad782d12a",
        "iceberg": "df65a8f3-9908-451b-aa9b-445462803560",
        "kafka": "9f760101-60ae-462f-9ee6-b7a9dafd454d",
        "local-json": "a625d593-bba5-4a1c-a53d-2d246268a816",
        "mongodb": "8b746512-8c2e-6ac1-4adc-b59faafd473c",
        "mssql": "d4353156-9217-4cad-8dd7-c108fd4f74cf",
        "mysql": "ca81ee7c-3163-4246-af40-094cc31e5e42",
        "oracle": "3986776d-2319-4de9-8af8-db14c0996e72",
        "postgres": "25c5221d-dce2-4163-ade9-739ef790f503",
        "pubsub": "356668e2-7e34-47f3-a3b0-67a8a481b692",
        "redis": "d4d3fef9-e319-45c2-881a-bd02ce44cc9f",
        "redshift": "f7a7d195-377f-cf5b-70a5-be6b819019dc",
        "s3": "4816b78f-1489-44c1-9060-4b19d5fa9362",
        "s3-glue": "471e5cab-8ed1-49f3-ba11-79c687784737",
        "snowflake": "424892c4-daac-4491-b35d-c6688ba547ba",
        "sqlite": "b76be0a6-27dc-4560-95f6-2623da0bd7b6",
        "starburst-galaxy": "4528e960-6f7b-4412-8555-7e0097e1da17",
        "teradata": "58e6f9da-904e-11ed-a1eb-0242ac120002",
        "typesense": "36be8dc6-9851-49af-b776-9d4c30e4ab6a",
        "weaviate": "7b7d7a0d-954c-45a0-bcfc-39a634b97736",
    },
}

# Destinations that write files or messages can neither deduplicate nor refresh.
_APPEND_ONLY = frozenset(
    {"azure-blob-storage", "csv", "e2e-test", "gcs", "kafka", "local-json", "pubsub"}
    | {"dev-null", "s3"}
)

# In Airbyte's catalog, but without a name in its table of names and definitions (§4.2).
_UNNAMED: Mapping[ActorKind, Mapping[str, str]] = {
    "source": {},
    "destination": {"a7bcc9d8-13b3-4e49-b80d-d020b90045e3": "dev-null"},
}

# Connectors that a licence has to name (``EntitlementDefinitions.kt``); this one names none.
ENTERPRISE: Mapping[ActorKind, frozenset[str]] = {
    "source": frozenset(
        {
            "196a42fc-39f2-473f-88ff-d68b2ea702e9",  # Oracle
            "23867633-144a-4d7f-845a-a8bd9b9b9e5d",  # ServiceNow
            "7b8b9550-331c-46c8-a299-943fb6ae2a72",  # Workday
            "ab26f98b-e0cd-4513-9975-0741a97441dc",  # SharePoint lists
            "b6935898-aadb-46ae-99ca-d697207994c1",  # SAP HANA
            "b979cb59-34b3-4f8b-9bf7-ae82d6371e2a",  # NetSuite
            "c8e0fa7d-47a2-4f1f-b69b-03860f528263",  # SharePoint
            "d2542966-8cc8-4899-9b74-413a7d9bb28e",  # Db2
        }
    ),
    "destination": frozenset({"c0b24000-d34d-b33f-fea7-6b96dc0e5f0d"}),  # Salesforce
}

_SPECS: Mapping[ActorKind, Mapping[str, Spec]] = {"source": SOURCES, "destination": DESTINATIONS}

_NAMES: Mapping[ActorKind, Mapping[str, str]] = {
    kind: {definition_id: name for name, definition_id in table.items()}
    for kind, table in DEFINITIONS.items()
}


def definition_id_of(kind: ActorKind, name: str) -> str | None:
    """Return the definition id of the built-in connector *name*, or ``None`` if there is none."""
    return DEFINITIONS[kind].get(name)


def connector_name(kind: ActorKind, definition_id: str) -> str:
    """Return a connector's name in Airbyte's table of names, or an empty string."""
    return _NAMES[kind].get(definition_id, "")


def built_in_definitions(kind: ActorKind) -> Mapping[str, str]:
    """Return the name of each built-in connector by its definition id."""
    return {**_NAMES[kind], **_UNNAMED[kind]}


def is_built_in(kind: ActorKind, definition_id: str) -> bool:
    """Whether Airbyte's catalog has this definition, so that nobody can change it."""
    return definition_id in _NAMES[kind] or definition_id in _UNNAMED[kind]


def deduplicates(definition_id: str) -> bool:
    """Whether a destination keeps one row for each key."""
    return built_in_definitions("destination").get(definition_id) not in _APPEND_ONLY


def spec_of(world: World, kind: ActorKind, definition_id: str) -> Spec | None:
    """Return the spec of a definition, or ``None`` if there is no such definition."""
    if is_built_in(kind, definition_id):
        return _SPECS[kind].get(built_in_definitions(kind)[definition_id], Spec(ANYTHING))
    if definition_id in ENTERPRISE[kind]:
        return Spec(ANYTHING)
    custom = world.definitions.get(definition_id)
    if custom is not None and custom.kind == kind:
        return Spec(custom.spec or ANYTHING)
    declarative = world.declarative_definitions.get(definition_id)
    if kind == "source" and declarative is not None:
        return Spec(declarative.manifest["spec"].get("connection_specification") or ANYTHING)
    return None


def definition_name(world: World, kind: ActorKind, definition_id: str) -> str:
    """Return the name that lists show for a definition; empty if it is unknown."""
    custom = world.definitions.get(definition_id) or world.declarative_definitions.get(
        definition_id
    )
    return custom.name if custom else built_in_definitions(kind).get(definition_id, "")


def violations(schema: Schema, configuration: Any) -> list[str]:
    """Return what violates *schema*, worded as the server's validator (networknt 1.5) does."""
    from jsonschema import Draft7Validator

    errors = Draft7Validator(schema).iter_errors(configuration)
    return list(dict.fromkeys(text for error in errors for text in _worded(error)))


def is_valid(schema: Schema, configuration: Any) -> bool:
    """Whether *configuration* fulfils *schema*."""
    return not violations(schema, configuration)


def _worded(error: Any) -> list[str]:
    where = "$" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path
    )
    limit = error.validator_value
    match error.validator:
        case "required":
            # One error for each missing property, which does not say which.
            missing = [name for name in limit if name not in error.instance]
            return [f"{where}: required property '{name}' not found" for name in missing]
        case "type":
            return [f"{where}: {_json_type(error.instance)} found, {limit} expected"]
        case "enum":
            return [f"{where}: does not have a value in the enumeration {_listed(limit)}"]
        case "const":
            return [f"{where}: must be the constant value '{limit}'"]
        case "pattern":
            return [f"{where}: does not match the regex pattern {limit}"]
        case "minimum" | "maximum":
            return [f"{where}: must have a {error.validator} value of {limit}"]
        case "additionalProperties":
            known = error.schema["properties"]
            return [
                f"{where}: property '{name}' is not defined in the schema and the schema does not "
                "allow additional properties"
                for name in error.instance
                if name not in known
            ]
        case "oneOf":
            inner = [text for child in error.context for text in _worded(child)]
            valid = sum(is_valid(branch, error.instance) for branch in limit)
            count = f"{where}: must be valid to one and only one schema, but {valid} are valid"
            return [count, *dict.fromkeys(inner)]
    return [f"{where}: {error.message}"]


def _listed(values: list[Any]) -> str:
    return f"[{', '.join(str(value) for value in values)}]"


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    names: Mapping[type, str] = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
    }
    return names.get(type(value), "object")

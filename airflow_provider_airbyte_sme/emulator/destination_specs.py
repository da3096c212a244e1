"""Specifications of built-in destinations; one that is not listed accepts any object."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_airbyte_sme.emulator.specs import (
    AWS_KEYS,
    FLAG,
    GOOGLE_OAUTH_INPUTS,
    NUMBER,
    OAUTH,
    POSTGRES_SSL,
    POSTGRES_VERIFYING,
    SECRET,
    SNOWFLAKE,
    TEXT,
    Spec,
    branch,
    database,
    nested,
    object_schema,
    one_of,
    ssl_mode,
)

_LOCAL_FILE = object_schema("destination_path", {"destination_path": TEXT})
_S3_STAGING = one_of(
    branch(
        "method",
        "S3 Staging",
        "s3_bucket_name s3_bucket_region access_key_id secret_access_key",
        {
            **AWS_KEYS,
            "s3_bucket_name": TEXT,
            "s3_bucket_path": TEXT,
            "s3_bucket_region": TEXT,
            "purge_staging_data": FLAG,
        },
    ),
    branch("method", "Standard"),
)

DESTINATIONS: Mapping[str, Spec] = {
    "bigquery": Spec(
        object_schema(
            "project_id dataset_location dataset_id",
            {
                "project_id": TEXT,
                "dataset_location": TEXT,
                "dataset_id": TEXT,
                "credentials_json": SECRET,
                "loading_method": one_of(
                    branch("method", "Standard"),
                    branch(
                        "method",
                        "GCS Staging",
                        "gcs_bucket_name gcs_bucket_path credential",
                        {
                            "gcs_bucket_name": TEXT,
                            "gcs_bucket_path": TEXT,
                            "credential": one_of(
                                branch(
                                    "credential_type",
                                    "HMAC_KEY",
                                    "hmac_key_access_id hmac_key_secret",
                                    {"hmac_key_access_id": SECRET, "hmac_key_secret": SECRET},
                                )
                            ),
                        },
                    ),
                ),
            },
        )
    ),
    "csv": Spec(_LOCAL_FILE),
    "databricks": Spec(
        object_schema(
            "accept_terms hostname http_path database authentication",
            {
                "accept_terms": FLAG,
                "hostname": TEXT,
                "port": TEXT,
                "http_path": TEXT,
                "database": TEXT,
                "schema": TEXT,
                "authentication": one_of(
                    branch(
                        "auth_type",
                        "BASIC",
                        "personal_access_token",
                        {"personal_access_token": SECRET},
                    ),
                    branch(
                        "auth_type",
                        "OAUTH",
                        "client_id secret",
                        {"client_id": TEXT, "secret": SECRET},
                    ),
                ),
            },
        )
    ),
    "dev-null": Spec(
        object_schema(
            "test_destination",
            {
                "test_destination": one_of(
                    branch(
                        "test_destination_type", "LOGGING", "logging_config", {"logging_config": {}}
                    ),
                    branch("test_destination_type", "SILENT"),
                    branch(
                        "test_destination_type",
                        "THROTTLED",
                        "millis_per_record",
                        {"millis_per_record": NUMBER},
                    ),
                    branch(
                        "test_destination_type",
                        "FAILING",
                        "num_messages",
                        {"num_messages": NUMBER},
                    ),
                )
            },
        )
    ),
    "duckdb": Spec(
        object_schema(
            "destination_path",
            {"destination_path": TEXT, "schema": TEXT, "motherduck_api_key": SECRET},
        )
    ),
    "google-sheets": Spec(
        object_schema(
            "spreadsheet_id credentials",
            {
                "spreadsheet_id": TEXT,
                "credentials": nested(" ".join(OAUTH), OAUTH),
            },
        ),
        GOOGLE_OAUTH_INPUTS,
    ),
    "local-json": Spec(_LOCAL_FILE),
    "postgres": database(
        "host port username database schema",
        schema=TEXT,
        ssl=FLAG,
        raw_data_schema=TEXT,
        ssl_mode=ssl_mode(*POSTGRES_SSL, verifying=POSTGRES_VERIFYING, closed=True),
    ),
    "redshift": database(
        "host port username password database schema",
        schema=TEXT,
        uploading_method=_S3_STAGING,
    ),
    "s3": Spec(
        object_schema(
            "s3_bucket_name s3_bucket_path s3_bucket_region format",
            {
                **AWS_KEYS,
                "role_arn": TEXT,
                "s3_bucket_name": TEXT,
                "s3_bucket_path": TEXT,
                "s3_bucket_region": TEXT,
                "s3_endpoint": TEXT,
                "s3_path_format": TEXT,
                "format": one_of(
                    *(branch("format_type", name) for name in ("CSV", "JSONL")),
                    branch("format_type", "Avro", "compression_codec"),
                    branch("format_type", "Parquet"),
                ),
            },
        )
    ),
    "snowflake": Spec(
        object_schema("host role warehouse database schema username", SNOWFLAKE),
        {name: ("credentials", name) for name in ("client_id", "client_secret")},
    ),
}

"""
Specifications of built-in sources; one that is not listed accepts any object.

``e2e-test`` has what a guess by name gets wrong: a secret called ``dsn``, secrets in an array, and
plain fields called ``secret_name`` and ``token_url``.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_airbyte_sme.emulator.specs import (
    FLAG,
    GOOGLE_OAUTH_INPUTS,
    MYSQL_SSL,
    NUMBER,
    OAUTH,
    POSTGRES_SSL,
    POSTGRES_VERIFYING,
    SECRET,
    SINCE,
    SNOWFLAKE,
    TEXT,
    TEXTS,
    WAITING,
    Schema,
    Spec,
    branch,
    database,
    nested,
    object_schema,
    one_of,
    ssl_mode,
)

_E2E_TEST: dict[str, Schema] = {
    "type": {"type": "string", "enum": ["CONTINUOUS_FEED", "INFINITE_FEED", "EXCEPTION_AFTER_N"]},
    "max_messages": {"type": "integer", "minimum": 1},
    "seed": NUMBER,
    "dsn": SECRET,
    "secret_name": TEXT,
    "token_url": TEXT,
    "accounts": {
        "type": "array",
        "items": nested("name", {"name": TEXT, "token": SECRET}),
    },
    # A secret that the mask is not a valid value of.
    "authentication": one_of(
        branch("method", "pin", "pin", {"pin": {**SECRET, "pattern": "^[0-9]{4,8}$"}}, closed=True),
        branch("method", "key", "key", {"key": SECRET}, closed=True),
    ),
}

_FILE_FORMATS = ["csv", "json", "jsonl", "excel", "excel_binary", "fwf", "feather", "parquet"]

SOURCES: Mapping[str, Spec] = {
    "bigquery": Spec(
        object_schema(
            "project_id credentials_json",
            {"project_id": TEXT, "dataset_id": TEXT, "credentials_json": SECRET},
        )
    ),
    "e2e-test": Spec(object_schema("", _E2E_TEST)),
    "faker": Spec(
        object_schema(
            "",
            {
                "count": {"type": "integer", "minimum": 1, "default": 1000},
                "seed": {"type": "integer", "default": -1},
                "records_per_slice": {"type": "integer", "minimum": 1, "default": 1000},
                "always_updated": {"type": "boolean", "default": True},
                "parallelism": {"type": "integer", "minimum": 1, "default": 4},
            },
        )
    ),
    "file": Spec(
        object_schema(
            "dataset_name format url provider",
            {
                "dataset_name": TEXT,
                "format": {
                    "type": "string",
                    "enum": [
                        "csv",
                        "json",
                        "jsonl",
                        "excel",
                        "excel_binary",
                        "fwf",
                        "feather",
                        "parquet",
                        "yaml",
                    ],
                },
                "reader_options": TEXT,
                "url": TEXT,
                "provider": one_of(
                    branch("storage", "HTTPS", properties={"user_agent": FLAG}),
                    branch("storage", "GCS", properties={"service_account_json": SECRET}),
                    branch(
                        "storage",
                        "S3",
                        properties={
                            "aws_access_key_id": TEXT,
                            "aws_secret_access_key": SECRET,
                        },
                    ),
                    branch(
                        "storage",
                        "SFTP",
                        "user host",
                        {"user": TEXT, "password": SECRET, "host": TEXT, "port": TEXT},
                    ),
                    branch("storage", "local"),
                ),
            },
        )
    ),
    "github": Spec(
        object_schema(
            "credentials repositories",
            {
                "credentials": one_of(
                    branch(
                        "option_title",
                        "OAuth Credentials",
                        "access_token",
                        {"access_token": SECRET, "client_id": SECRET, "client_secret": SECRET},
                        closed=True,
                    ),
                    branch(
                        "option_title",
                        "PAT Credentials",
                        "personal_access_token",
                        {"personal_access_token": SECRET},
                        closed=True,
                    ),
                ),
                "repositories": {**TEXTS, "minItems": 1},
                "start_date": SINCE,
                "branches": TEXTS,
                "api_url": TEXT,
                "max_waiting_time": {"type": "integer", "minimum": 1, "maximum": 60},
            },
        )
    ),
    "google-sheets": Spec(
        object_schema(
            "spreadsheet_id credentials",
            {
                "spreadsheet_id": TEXT,
                "batch_size": NUMBER,
                "names_conversion": FLAG,
                "credentials": one_of(
                    branch("auth_type", "Client", " ".join(OAUTH), OAUTH),
                    branch(
                        "auth_type",
                        "Service",
                        "service_account_info",
                        {"service_account_info": SECRET},
                    ),
                ),
            },
        ),
        GOOGLE_OAUTH_INPUTS,
    ),
    "mssql": database(
        "host port database username password",
        schemas=TEXTS,
        ssl_method=one_of(
            branch("ssl_method", "unencrypted"),
            branch("ssl_method", "encrypted_trust_server_certificate"),
            branch(
                "ssl_method",
                "encrypted_verify_certificate",
                properties={"hostNameInCertificate": TEXT, "certificate": SECRET},
            ),
        ),
        replication_method=one_of(
            branch("method", "STANDARD"), branch("method", "CDC", properties=WAITING)
        ),
    ),
    "mysql": database(
        "host port database username replication_method",
        ssl_mode=MYSQL_SSL,
        replication_method=one_of(
            branch("method", "STANDARD"),
            branch("method", "CDC", properties={**WAITING, "server_timezone": TEXT}),
        ),
    ),
    "postgres": database(
        "host port database username",
        schemas={**TEXTS, "uniqueItems": True},
        ssl_mode=ssl_mode(*POSTGRES_SSL, verifying=POSTGRES_VERIFYING),
        replication_method=one_of(
            branch("method", "Standard"),
            branch("method", "Xmin"),
            branch(
                "method",
                "CDC",
                "replication_slot publication",
                {
                    **WAITING,
                    "plugin": {"type": "string", "enum": ["pgoutput"]},
                    "replication_slot": TEXT,
                    "publication": TEXT,
                },
            ),
        ),
    ),
    "s3": Spec(
        object_schema(
            "bucket streams",
            {
                "bucket": TEXT,
                "streams": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "format"],
                        "properties": {"name": TEXT, "globs": TEXTS},
                    },
                },
                "aws_access_key_id": SECRET,
                "aws_secret_access_key": SECRET,
                "role_arn": TEXT,
                "endpoint": TEXT,
                "region_name": TEXT,
                "start_date": SINCE,
            },
        )
    ),
    "snowflake": Spec(object_schema("host role warehouse database", SNOWFLAKE)),
    "stripe": Spec(
        object_schema(
            "client_secret account_id",
            {
                "account_id": TEXT,
                "client_secret": SECRET,
                "start_date": SINCE,
                "lookback_window_days": {"type": "integer", "minimum": 0},
                "slice_range": {"type": "integer", "minimum": 1},
                "num_workers": {"type": "integer", "minimum": 1, "maximum": 20},
            },
        )
    ),
}

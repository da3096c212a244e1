"""
The names of tables, as dbt, Cosmos and OpenLineage write them.

Names: https://openlineage.io/docs/spec/naming, and ``extract_namespace`` of OpenLineage's dbt
integration, which names a Redshift cluster by its host. How Airbyte's destinations name tables:
``*TableSchemaMapper.kt``, ``*NamingUtils.kt`` and ``*NameTransformer.kt`` of the connectors in
airbytehq/airbyte, ``ObjectStoragePathFactory.kt`` for S3.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError
from airflow_provider_airbyte_sme.api.models import Actor, AirbyteConnection

Configuration = Mapping[str, Any]
"""The configuration of a source or destination, in which secrets may be masked."""

FALLBACK_SCHEME = "x-airbyte-sme"

# Without a name in Airbyte's table of connectors, so the API has none (docs/airbyte-api.md §4.2).
_UNNAMED_CONNECTORS = {"042ee9b5-eb98-4e99-a4e5-3f0d573bee66": "motherduck"}
_SNOWFLAKE_DOMAIN = re.compile(r"\.(snowflakecomputing\.(com|cn)|snowflake\.app)$", re.IGNORECASE)
# One part of the name of a table in SQL, quoted or not.
_IN_SQL = re.compile(r'"(?:[^"]|"")*"|[^".]+')
_DUCKDB_RAW_PREFIX = "_airbyte_raw_"
# What the variables of an S3 path may contain: see `toS3SafeCharacters` of Airbyte.
_NOT_S3_SAFE = re.compile(r"[^A-Za-z0-9/!_.*')(&$@=;:+,?-]")
_S3_PATH = "${NAMESPACE}/${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_"


class Dataset(NamedTuple):
    """
    A table, or whatever a stream is written to or read from.

    :param namespace: Where it is, such as ``postgres://warehouse.example.com:5432``.
    :param name: What it is called there, such as ``analytics.public.users``.
    """

    namespace: str
    name: str


class NamespaceRule(NamedTuple):
    """
    How a connection names its streams in the destination: docs/airbyte-api.md §4.5.

    :param definition: ``source``, ``destination`` or ``custom_format``.
    :param format: It counts only with ``custom_format``; ``${SOURCE_NAMESPACE}`` in it is replaced.
    :param prefix: What is put before the name of each stream.
    """

    definition: str = "destination"
    format: str = ""
    prefix: str = ""

    @classmethod
    def of(cls, connection: AirbyteConnection) -> NamespaceRule:
        """Return the rule of *connection*."""
        return cls(connection.namespace_definition, connection.namespace_format, connection.prefix)

    def apply(self, stream: str, namespace: str | None) -> tuple[str | None, str]:
        """
        Return namespace and name under which the destination gets a stream.

        The namespace is ``None`` where the destination's own default applies
        (``NamespacingMapper.kt`` of airbyte-platform).

        :param namespace: The source's own.
        """
        prefix = self.prefix if self.prefix.strip() else ""
        if self.definition == "source":
            mapped = namespace
        elif self.definition == "custom_format":
            mapped = self.format.replace("${SOURCE_NAMESPACE}", (namespace or "").strip())
        else:
            mapped = None
        return mapped if mapped and mapped.strip() else None, f"{prefix}{stream}"


def connector_of(actor: Actor) -> str:
    """Return the name of the connector of *actor*; empty if it is unknown."""
    return actor.connector or _UNNAMED_CONNECTORS.get(actor.definition_id, "")


def fallback_dataset(connection_id: str, stream: str, namespace: str | None = None) -> Dataset:
    """
    Return the name of a stream whose table has no standard name.

    :param namespace: The source's own.
    """
    name = f"{namespace}/{stream}" if namespace else stream
    return Dataset(f"{FALLBACK_SCHEME}://{connection_id}", name)


def destination_dataset(
    connector: str,
    configuration: Configuration,
    table: str,
    schema: str | None = None,
    *,
    dataset_namespace: str | None = None,
) -> Dataset:
    """
    Return the name of a table in a destination.

    :param connector: Type of the destination, such as ``postgres``.
    :param table: The name under which the destination gets the stream.
    :param schema: Its namespace there; ``None`` for the destination's default.
    :param dataset_namespace: The namespace of the result, instead of the one that *configuration*
        says. With it, a table of any other type is called ``schema.table``.
    :raises AirbyteConfigError: Tables of this type have no standard name, or *configuration* lacks
        what the name consists of.
    """
    system = _DESTINATIONS.get(connector)
    if system is None and dataset_namespace:
        return Dataset(dataset_namespace, ".".join(filter(None, (schema, table))))
    if system is None:
        raise AirbyteConfigError(
            f"Tables of a destination of type {connector!r} have no standard name. Those of "
            f"{', '.join(_DESTINATIONS)} have."
        )
    fields = _Fields(f"destination of type {connector!r}", configuration)
    namespace = dataset_namespace or system.namespace(fields)
    return Dataset(namespace, system.table(fields, schema, table))


def source_dataset(
    connector: str, configuration: Configuration, stream: str, namespace: str | None = None
) -> Dataset | None:
    """
    Return the name of what a stream is read from; ``None`` if it has no standard name.

    :param connector: Type of the source, such as ``postgres``.
    :param namespace: The source's own.
    """
    system = _SOURCES.get(connector)
    if system is None:
        return None
    fields = _Fields(f"source of type {connector!r}", configuration)
    try:
        return Dataset(system.namespace(fields), system.table(fields, namespace, stream))
    except AirbyteConfigError:
        return None


def dbt_dataset(
    namespace: str, database: str, schema: str, identifier: str, *, relation_name: str = ""
) -> Dataset:
    """
    Return the name of a table that dbt reads, as its database stores it.

    :param namespace: That of dbt's profile.
    :param database: Empty where dbt has none, as for ClickHouse. *schema* likewise.
    :param identifier: What the table is called in the database.
    :param relation_name: How dbt writes the table in SQL, which says what is quoted; empty if
        unknown.
    """
    parts = [part for part in (database, schema, identifier) if part]
    quoted = [text.startswith('"') for text in _IN_SQL.findall(relation_name)][-len(parts) :]
    if len(quoted) < len(parts):
        # Unknown: of itself, dbt quotes everywhere but in Snowflake.
        quoted = [not namespace.startswith("snowflake:")] * len(parts)
    stored = [
        _stored(part, namespace, is_quoted=is_quoted)
        for part, is_quoted in zip(parts, quoted, strict=True)
    ]
    if namespace.startswith("duckdb:"):
        stored[-1] = stored[-1].removeprefix(_DUCKDB_RAW_PREFIX)
    return Dataset(namespace, ".".join(stored))


def _stored(identifier: str, namespace: str, *, is_quoted: bool) -> str:
    """Return what a database makes of an identifier in SQL."""
    if namespace.startswith(("redshift:", "databricks:")):
        return identifier.lower()
    if namespace.startswith("postgres:") and not is_quoted:
        return identifier.lower()
    if namespace.startswith("snowflake:") and not is_quoted:
        return identifier.upper()
    return identifier


class _Fields:
    """A configuration, whose missing fields are errors."""

    def __init__(self, owner: str, configuration: Configuration) -> None:
        self._owner = owner
        self._configuration = configuration

    def text(self, key: str, default: str | None = None) -> str:
        """
        Return a field as text.

        :raises AirbyteConfigError: It is missing, and there is no default.
        """
        value = self._configuration.get(key)
        is_text = isinstance(value, str | int) and not isinstance(value, bool)
        text = str(value).strip() if is_text else ""
        if text:
            return text
        if default is None:
            raise AirbyteConfigError(
                f"The configuration of the {self._owner} lacks {key!r}, which is part of the names "
                f"of its tables."
            )
        return default

    def nested(self, key: str) -> _Fields:
        """Return the fields of an object; none if it is missing."""
        value = self._configuration.get(key)
        return _Fields(self._owner, value if isinstance(value, Mapping) else {})


class _System(NamedTuple):
    """
    How one type of database names its tables.

    :param namespace: From the configuration.
    :param table: From the configuration, the schema (``None``: the default), and the table.
    """

    namespace: Callable[[_Fields], str]
    table: Callable[[_Fields, str | None, str], str]


def _server(scheme: str, port: int) -> Callable[[_Fields], str]:
    return lambda fields: f"{scheme}://{fields.text('host')}:{fields.text('port', str(port))}"


def _snowflake(fields: _Fields) -> str:
    """Return the account, normalised as by ``fix_account_name`` of OpenLineage."""
    host = re.sub(r"^https?://", "", fields.text("host")).rstrip("/")
    account, *rest = _SNOWFLAKE_DOMAIN.sub("", host).split(".")
    if "-" in account:
        return f"snowflake://{account}"
    located = [account, *rest, *("us-west-1", "aws")[len(rest) :]]
    return f"snowflake://{'.'.join(located)}"


def _databricks(fields: _Fields) -> str:
    return f"databricks://{fields.text('hostname')}"


def _bigquery(fields: _Fields) -> str:
    del fields
    return "bigquery"


def _duckdb(fields: _Fields) -> str:
    return f"duckdb://{_duckdb_path(fields)}"


def _duckdb_path(fields: _Fields) -> str:
    """Return the file as it is configured, or the MotherDuck database without its token."""
    path = fields.text("destination_path")
    if path.startswith(("md:", "motherduck:")):
        return f"md:{path.partition(':')[2].partition('?')[0]}"
    return path


def _duckdb_database(fields: _Fields) -> str:
    """Return what DuckDB calls the database of a file: the name up to its first dot."""
    path = _duckdb_path(fields)
    if path.startswith("md:"):
        return path.removeprefix("md:") or "my_db"
    return posixpath.basename(path).lstrip(".").partition(".")[0]


def _same(name: str) -> str:
    return name


def _dotted(
    database: Callable[[_Fields], str],
    default_schema: Callable[[_Fields], str],
    normalize: Callable[[str], str],
    normalize_schema: Callable[[str], str] | None = None,
) -> Callable[[_Fields, str | None, str], str]:
    """Return what names a table ``database.schema.table``; without a database, two parts."""

    def name(fields: _Fields, schema: str | None, table: str) -> str:
        schema = (normalize_schema or normalize)(schema or default_schema(fields))
        return ".".join(filter(None, (database(fields), schema, normalize(table))))

    return name


def _field(key: str, default: str | None = None) -> Callable[[_Fields], str]:
    return lambda fields: fields.text(key, default)


def _no_database(fields: _Fields) -> str:
    del fields
    return ""


def _plain(name: str) -> str:
    """Return *name* with letters, digits and underscores only (``toAlphanumericAndUnderscore``)."""
    return re.sub(r"[^A-Za-z0-9_]", "_", re.sub(r"[ \t\n\x0b\f\r]+", "_", _without_accents(name)))


def _without_accents(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(each for each in decomposed if not unicodedata.category(each).startswith("M"))


def _not_a_digit_first(name: str) -> str:
    return f"_{name}" if name[:1].isdigit() else name


def _java_hash(text: str) -> int:
    """Return ``String.hashCode()`` of Java, which reproduces names that Airbyte shortens."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _shortened(name: str, limit: int, hash_of: Callable[[str], str]) -> str:
    """Return *name* with at most *limit* characters, the last of them a hash."""
    return name if len(name) <= limit else f"{name[: limit - 9]}_{hash_of(name)[-8:]}"


def _decimal_hash(name: str) -> str:
    return str(_java_hash(name))


def _postgres_name(name: str) -> str:
    return _shortened(_not_a_digit_first(_plain(name)), 63, _decimal_hash)


def _redshift_name(name: str) -> str:
    return _shortened(
        _not_a_digit_first(_plain(name).lower()),
        127,
        lambda long: f"{_java_hash(long) & 0xFFFFFFFF:x}",
    )


def _databricks_name(name: str) -> str:
    return _shortened(_not_a_digit_first(_plain(name)), 255, _decimal_hash).lower()


def _snowflake_name(name: str) -> str:
    if "${" in name:
        name = re.sub(r"[${}]", "_", name)
    return name.upper()


def _clickhouse_name(name: str) -> str:
    return _not_a_digit_first(_plain(name))


def _bigquery_name(name: str) -> str:
    return _not_a_digit_first(_plain(name))


def _bigquery_dataset(name: str) -> str:
    # One that begins with an underscore is hidden.
    plain = _plain(name)
    return f"n{plain}" if plain.startswith("_") else plain


def _mysql_name(name: str) -> str:
    plain = _plain(name).lower()
    # Of 64 characters, Airbyte reserves 20 for suffixes, and takes both ends of a longer name.
    return plain if len(plain) <= 44 else f"{plain[:21]}__{plain[-21:]}"


def _duckdb_table(normalize: Callable[[str], str]) -> Callable[[_Fields, str | None, str], str]:
    """Return what names a table of DuckDB, whose schema is that of the configuration always."""

    def name(fields: _Fields, schema: str | None, table: str) -> str:
        del schema
        return f"{_duckdb_database(fields)}.{fields.text('schema', 'main')}.{normalize(table)}"

    return name


def _s3_folder(fields: _Fields, schema: str | None, table: str) -> str:
    """Return the longest part of the paths of a stream's files that does not change."""
    path = fields.text("s3_path_format", _S3_PATH)
    constant = path[: _first_changing_variable(path)].rstrip("_-. ")
    if "${STREAM_NAME}" not in constant:
        raise AirbyteConfigError(
            f"The folders of the streams have no names of their own, because s3_path_format is "
            f"{path!r}."
        )
    folder = f"{fields.text('s3_bucket_path', '')}/{constant}"
    for variable, value in (("NAMESPACE", schema or ""), ("STREAM_NAME", table)):
        folder = folder.replace(f"${{{variable}}}", _s3_safe(value))
    return re.sub(r"/+", "/", folder).strip("/")


def _first_changing_variable(path: str) -> int:
    changing = re.search(r"\$\{(?!NAMESPACE\}|STREAM_NAME\})", path)
    return changing.start() if changing else len(path)


def _s3_safe(name: str) -> str:
    return _NOT_S3_SAFE.sub("_", _without_accents(name))


def _bigquery_default_dataset(fields: _Fields) -> str:
    # It may be written `project:dataset`.
    return fields.text("dataset_id").rpartition(":")[2]


def _upper_database(fields: _Fields) -> str:
    return fields.text("database").upper()


def _lower_database(fields: _Fields) -> str:
    return fields.text("database").lower()


_DESTINATIONS: Mapping[str, _System] = {
    "postgres": _System(
        _server("postgres", 5432),
        _dotted(_field("database"), _field("schema", "public"), _postgres_name),
    ),
    "redshift": _System(
        _server("redshift", 5439),
        _dotted(_lower_database, _field("schema", "public"), _redshift_name),
    ),
    "snowflake": _System(_snowflake, _dotted(_upper_database, _field("schema"), _snowflake_name)),
    "bigquery": _System(
        _bigquery,
        _dotted(_field("project_id"), _bigquery_default_dataset, _bigquery_name, _bigquery_dataset),
    ),
    "databricks": _System(
        _databricks, _dotted(_lower_database, _field("schema", "default"), _databricks_name)
    ),
    "clickhouse": _System(
        _server("clickhouse", 8443),
        _dotted(_no_database, _field("database", "default"), _clickhouse_name),
    ),
    "mssql": _System(
        _server("mssql", 1433), _dotted(_field("database"), _field("schema", "public"), _same)
    ),
    "mysql": _System(
        _server("mysql", 3306), _dotted(_no_database, _field("database"), _mysql_name)
    ),
    "duckdb": _System(_duckdb, _duckdb_table(_same)),
    "motherduck": _System(_duckdb, _duckdb_table(lambda name: _plain(name).lower())),
    "s3": _System(lambda fields: f"s3://{fields.text('s3_bucket_name')}", _s3_folder),
}


def _oracle_service(fields: _Fields) -> str:
    of_connection = fields.nested("connection_data")
    return of_connection.text("service_name", "") or of_connection.text("sid")


def _kafka(fields: _Fields) -> str:
    return f"kafka://{fields.text('bootstrap_servers').partition(',')[0]}"


def _topic(fields: _Fields, schema: str | None, table: str) -> str:
    del fields, schema
    return table


# The namespace of a stream is its schema, or its database where there are no schemas.
_SOURCES: Mapping[str, _System] = {
    "postgres": _System(
        _server("postgres", 5432), _dotted(_field("database"), _field("schema"), _same)
    ),
    "redshift": _System(
        _server("redshift", 5439), _dotted(_field("database"), _field("schema"), _same)
    ),
    "mssql": _System(_server("mssql", 1433), _dotted(_field("database"), _field("schema"), _same)),
    "oracle": _System(_server("oracle", 1521), _dotted(_oracle_service, _field("schema"), _same)),
    "snowflake": _System(_snowflake, _dotted(_upper_database, _field("schema"), _same)),
    "bigquery": _System(_bigquery, _dotted(_field("project_id"), _field("dataset_id"), _same)),
    "mysql": _System(_server("mysql", 3306), _dotted(_no_database, _field("database"), _same)),
    "clickhouse": _System(
        _server("clickhouse", 8123), _dotted(_no_database, _field("database"), _same)
    ),
    "kafka": _System(_kafka, _topic),
}

"""Assets for the schedule of a DAG: of streams, and of the sources of a dbt project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.assets import Asset, AssetAlias
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.assets import dbt_source_assets, delivery_alias, stream_assets
from airflow_provider_airbyte_sme.assets.streams import asset_text
from airflow_provider_airbyte_sme.datasets import Dataset

CONNECTION_ID = "18dcb5a1-5d3c-4f0e-8a55-0d3b3c0b9a11"
POSTGRES = {"host": "wh", "database": "analytics"}
NAMESPACE = "postgres://wh:5432"


def name_of(asset: Asset) -> str:
    return asset.name if AIRFLOW_V_3_0_PLUS else asset.uri


def in_this_airflow(namespace: str, *parts: str) -> str:
    return f"{namespace}/{('/' if AIRFLOW_V_3_0_PLUS else '.').join(parts)}"


class TestText:
    def test_dots_become_slashes_on_airflow_3(self) -> None:
        text = asset_text(Dataset(NAMESPACE, "analytics.public.users"))

        assert text == in_this_airflow(NAMESPACE, "analytics", "public", "users")

    def test_the_namespace_keeps_its_dots(self) -> None:
        text = asset_text(Dataset("postgres://wh.example.com:5432", "a.b.c"))

        assert text.startswith("postgres://wh.example.com:5432/")

    def test_other_characters_are_quoted(self) -> None:
        text = asset_text(Dataset("mssql://sql:1433", "DWH.dbo.Größe #1?"))

        assert text == in_this_airflow(
            "mssql://sql:1433", "DWH", "dbo", "Gr%C3%B6%C3%9Fe%20%231%3F"
        )


class TestStreamAssets:
    def test_they_are_named_after_their_tables(self) -> None:
        assets = stream_assets(["users", "orders"], destination="postgres", configuration=POSTGRES)

        assert [name_of(asset) for asset in assets] == [
            in_this_airflow(NAMESPACE, "analytics", "public", name) for name in ("users", "orders")
        ]

    def test_the_name_is_the_raw_text_where_airflow_normalises_the_uri(self) -> None:
        (asset,) = stream_assets(
            "users", destination="duckdb", configuration={"destination_path": "/local/demo.duckdb"}
        )

        text = in_this_airflow("duckdb:///local/demo.duckdb", "demo", "main", "users")
        assert asset == Asset(text)
        if AIRFLOW_V_3_0_PLUS:
            assert asset.name == text

    def test_the_rule_of_the_connection_applies(self) -> None:
        (asset,) = stream_assets(
            [{"name": "users", "namespace": "shop"}],
            destination="postgres",
            configuration=POSTGRES,
            namespace_definition="custom_format",
            namespace_format="raw_${SOURCE_NAMESPACE}",
            prefix="crm_",
        )

        expected = in_this_airflow(NAMESPACE, "analytics", "raw_shop", "crm_users")
        assert name_of(asset) == expected

    def test_another_namespace_needs_no_host(self) -> None:
        (asset,) = stream_assets(
            ["users"],
            destination="postgres",
            configuration={"database": "analytics"},
            dataset_namespace="postgres://from-dbt:6432/",
        )

        expected = in_this_airflow("postgres://from-dbt:6432", "analytics", "public", "users")
        assert name_of(asset) == expected

    def test_a_connection_names_streams_without_standard_names(self) -> None:
        streams: list[Any] = ["users", {"name": "orders", "namespace": "shop"}]

        assets = stream_assets(streams, connection_id=CONNECTION_ID.upper())

        assert [name_of(asset) for asset in assets] == [
            f"x-airbyte-sme://{CONNECTION_ID}/users",
            f"x-airbyte-sme://{CONNECTION_ID}/shop/orders",
        ]

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({}, "give one of the two"),
            ({"destination": "postgres", "connection_id": CONNECTION_ID}, "give one of the two"),
            ({"destination": "postgres"}, "lacks 'host'"),
            ({"destination": "google-sheets"}, "have no standard name"),
            ({"connection_id": "crm"}, "connection_id must be the UUID"),
            (
                {"destination": "postgres", "configuration": POSTGRES, "dataset_namespace": " "},
                "dataset_namespace must be where",
            ),
            (
                {"destination": "postgres", "configuration": POSTGRES, "dataset_namespace": "a://"},
                "dataset_namespace must be where",
            ),
            (
                {"destination": "postgres", "namespace_definition": "customformat"},
                "namespace_definition must be one of",
            ),
        ],
    )
    def test_what_has_no_name_is_an_error_when_the_dag_is_parsed(
        self, kwargs: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(AirbyteConfigError, match=message):
            stream_assets(["users"], **kwargs)

    def test_no_streams_are_an_error(self) -> None:
        with pytest.raises(AirbyteConfigError, match="streams must be a list"):
            stream_assets([], destination="postgres", configuration=POSTGRES)


def test_an_alias_has_only_ascii_characters() -> None:
    assert delivery_alias("Größe") == AssetAlias("airbyte_sme/Gr%C3%B6%C3%9Fe")


# The version of each schema that dbt has written, and what a source looks like in it.
VERSIONS = {
    version: f"https://schemas.getdbt.com/dbt/manifest/v{version}.json" for version in range(1, 13)
}


def source_node(name: str = "users", source: str = "crm", **fields: Any) -> dict[str, Any]:
    return {
        "resource_type": "source",
        "source_name": source,
        "name": name,
        "identifier": name,
        "database": "analytics",
        "schema": "raw",
        "quoting": {"database": None, "schema": None, "identifier": None, "column": None},
        "relation_name": f'"analytics"."raw"."{name}"',
        **fields,
    }


class TestDbtSourceAssets:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "target" / "manifest.json"

    @staticmethod
    def write(path: Path, *nodes: dict[str, Any], version: int = 12) -> Path:
        path.parent.mkdir(exist_ok=True)
        sources = {f"source.shop.{node['source_name']}.{node['name']}": node for node in nodes}
        manifest = {"metadata": {"dbt_schema_version": VERSIONS[version]}, "sources": sources}
        path.write_text(json.dumps(manifest))
        return path

    @pytest.mark.parametrize("version", VERSIONS)
    def test_each_source_is_the_table_that_it_reads(self, path: Path, version: int) -> None:
        self.write(path, source_node(), source_node("orders"), version=version)

        assets = dbt_source_assets(path, NAMESPACE)

        assert [name_of(asset) for asset in assets] == [
            in_this_airflow(NAMESPACE, "analytics", "raw", name) for name in ("users", "orders")
        ]

    def test_they_are_what_an_operator_emits(self, path: Path) -> None:
        self.write(path, source_node())

        assert dbt_source_assets(str(path), f"{NAMESPACE}/") == stream_assets(
            ["users"], destination="postgres", configuration={**POSTGRES, "schema": "raw"}
        )

    def test_the_identifier_is_the_table(self, path: Path) -> None:
        self.write(path, source_node("users", identifier="crm_users"))

        (asset,) = dbt_source_assets(path, NAMESPACE)

        assert name_of(asset) == in_this_airflow(NAMESPACE, "analytics", "raw", "crm_users")

    def test_a_source_without_an_identifier_is_called_by_its_name(self, path: Path) -> None:
        node = source_node()
        del node["identifier"], node["relation_name"]
        self.write(path, node)

        (asset,) = dbt_source_assets(path, NAMESPACE)

        assert name_of(asset) == in_this_airflow(NAMESPACE, "analytics", "raw", "users")

    def test_two_sources_of_one_table_are_one_asset(self, path: Path) -> None:
        self.write(path, source_node(), source_node(source="shop"))

        assert len(dbt_source_assets(path, NAMESPACE)) == 1

    @pytest.mark.parametrize(
        ("source", "tables"),
        [
            ("crm", ["users", "orders"]),
            ("shop", ["carts"]),
            ("crm.orders", ["orders"]),
            (["shop", "crm.users"], ["users", "carts"]),
        ],
    )
    def test_some_sources_are_selected(self, path: Path, source: Any, tables: list[str]) -> None:
        self.write(path, source_node(), source_node("orders"), source_node("carts", "shop"))

        assets = dbt_source_assets(path, NAMESPACE, source)

        assert [name_of(asset) for asset in assets] == [
            in_this_airflow(NAMESPACE, "analytics", "raw", table) for table in tables
        ]

    @pytest.mark.parametrize(("source", "closest"), [("crn", "'crm'"), ("crm.user", "'crm.users'")])
    def test_an_unknown_source_names_the_closest(
        self, path: Path, source: str, closest: str
    ) -> None:
        self.write(path, source_node())

        with pytest.raises(AirbyteConfigError) as caught:
            dbt_source_assets(path, NAMESPACE, source)

        assert str(caught.value) == (
            f"The dbt manifest {path} has no source named {source!r}: the closest names are "
            f"{closest}."
        )

    def test_a_missing_file_is_an_error(self, path: Path) -> None:
        with pytest.raises(AirbyteConfigError, match="cannot be read: No such file or directory"):
            dbt_source_assets(path, NAMESPACE)

    def test_a_relative_path_is_an_error_with_its_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        with pytest.raises(AirbyteConfigError, match=f"{tmp_path}/target/manifest.json cannot be"):
            dbt_source_assets("target/manifest.json", NAMESPACE)

    def test_a_folder_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(AirbyteConfigError, match="cannot be read: Is a directory"):
            dbt_source_assets(tmp_path, NAMESPACE)

    @pytest.mark.parametrize("text", ["", "{", "<html>", "\x00"])
    def test_what_is_not_json_is_an_error(self, path: Path, text: str) -> None:
        path.parent.mkdir()
        path.write_text(text)

        with pytest.raises(AirbyteConfigError, match="is not JSON"):
            dbt_source_assets(path, NAMESPACE)

    @pytest.mark.parametrize("manifest", [[], {}, {"sources": []}, {"nodes": {}}, 1])
    def test_what_is_no_manifest_is_an_error(self, path: Path, manifest: Any) -> None:
        path.parent.mkdir()
        path.write_text(json.dumps(manifest))

        with pytest.raises(AirbyteConfigError, match="is not a dbt manifest"):
            dbt_source_assets(path, NAMESPACE)

    def test_a_project_without_sources_is_an_error(self, path: Path) -> None:
        self.write(path)

        with pytest.raises(AirbyteConfigError, match="has no sources: declare the tables"):
            dbt_source_assets(path, NAMESPACE)

    @pytest.mark.parametrize("node", [None, {}, {"identifier": 1}])
    def test_a_source_without_a_name_is_an_error(self, path: Path, node: Any) -> None:
        path.parent.mkdir()
        path.write_text(json.dumps({"sources": {"source.shop.crm.users": node}}))

        with pytest.raises(AirbyteConfigError, match=r"'source.shop.crm.users' .* has no name"):
            dbt_source_assets(path, NAMESPACE)

    def test_a_manifest_that_dbt_writes_again_is_read_again(self, path: Path) -> None:
        self.write(path, source_node())
        dbt_source_assets(path, NAMESPACE)
        before = path.stat()
        self.write(path, source_node("carts"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))

        (asset,) = dbt_source_assets(path, NAMESPACE)

        assert name_of(asset).endswith("carts")

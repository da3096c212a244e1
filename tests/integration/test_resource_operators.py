"""The operators that create, change and delete resources, against an emulator over sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, BaseOperator, XComArg

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteSettingsNotFoundError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.resources import (
    AirbyteApplyOperator,
    AirbyteCreateConnectionOperator,
    AirbyteCreateDestinationOperator,
    AirbyteCreateSourceOperator,
    AirbyteCreateTagOperator,
    AirbyteCreateWorkspaceOperator,
    AirbyteDeleteConnectionOperator,
    AirbyteDeleteDestinationOperator,
    AirbyteDeleteSourceOperator,
    AirbyteDeleteTagOperator,
    AirbyteDeleteWorkspaceOperator,
    AirbyteExportOperator,
)
from tests.integration.conftest import UNKNOWN_ID
from tests.tasks import TaskRun

SOURCE: dict[str, Any] = {
    "name": "CRM",
    "source_type": "postgres",
    "configuration": {
        "host": "db.example.com",
        "port": 5432,
        "database": "crm",
        "username": "airbyte",
        "password": "Tr0ub4dor-and-3",
    },
}
FAKER: dict[str, Any] = {"name": "Fake", "source_type": "faker", "configuration": {"count": 7}}
WRITES = ("POST", "PATCH", "PUT", "DELETE")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Airflow's variables, which need its database or its API server."""
    variables: dict[str, str] = {}

    class Variable:
        @staticmethod
        def get(key: str, default: Any) -> Any:
            return variables.get(key, default)

        @staticmethod
        def set(key: str, value: str, description: str) -> None:
            variables[key] = value

        @staticmethod
        def delete(key: str) -> None:
            del variables[key]

    monkeypatch.setattr("airflow_provider_airbyte_sme.secret_store.Variable", Variable)
    return variables


@pytest.fixture
def run() -> Callable[..., dict[str, Any]]:
    """Render and run a task, and return its result."""

    def run_task(operator: type[BaseOperator], **arguments: Any) -> dict[str, Any]:
        task_run = TaskRun(operator(task_id="task", **arguments))
        task_run.render()
        result: dict[str, Any] = task_run.finish()
        return result

    return run_task


def writes_of(emulator: Emulator) -> list[str]:
    """Return the requests that changed something, and forget all requests."""
    routes = [
        str(request.route)
        for request in emulator.requests
        if request.method in WRITES
        and not str(request.route).endswith(("applications/token", "/get"))
    ]
    emulator.clear_requests()
    return routes


def actions(results: list[dict[str, Any]]) -> list[str]:
    return [result["action"] for result in results]


def make_everything(run: Callable[..., dict[str, Any]], **arguments: Any) -> list[dict[str, Any]]:
    """Bring a workspace about with one resource of each kind in it."""
    inside = {"workspace": "Sales", **arguments}
    return [
        run(AirbyteCreateWorkspaceOperator, name="Sales", **arguments),
        run(AirbyteCreateSourceOperator, **SOURCE, **inside),
        run(
            AirbyteCreateDestinationOperator,
            name="Warehouse",
            destination_type="duckdb",
            configuration={"destination_path": "/local/sales.duckdb"},
            **inside,
        ),
        run(AirbyteCreateTagOperator, name="gold", color="FFD700", **inside),
        run(
            AirbyteCreateConnectionOperator,
            name="CRM to Warehouse",
            source="CRM",
            destination="Warehouse",
            streams="all",
            tags=["gold"],
            **inside,
        ),
    ]


@pytest.fixture
def everything(emulator: Emulator, run: Callable[..., dict[str, Any]]) -> dict[str, str]:
    """The ids of resources of each kind, such as ``source_id``, that exist and belong together."""
    results = make_everything(run)
    emulator.clear_requests()
    return {key: value for each in results for key, value in each.items() if key.endswith("_id")}


def test_a_second_run_writes_nothing(emulator, run):
    first = make_everything(run)
    assert actions(first) == ["created"] * 5
    assert len(writes_of(emulator)) == 5

    second = make_everything(run)

    assert actions(second) == ["unchanged"] * 5
    assert writes_of(emulator) == []
    assert second[1]["source_id"] == first[1]["source_id"]


def test_the_result_names_each_field_that_changed(emulator, run, everything):
    configuration = {**SOURCE["configuration"], "host": "other.example.com"}

    result = run(
        AirbyteCreateSourceOperator,
        **{**SOURCE, "configuration": configuration},
        workspace_id=everything["workspace_id"],
    )

    assert result == {
        "action": "updated",
        "source_id": everything["source_id"],
        "name": "CRM",
        "changes": [
            {
                "field": "configuration.host",
                "before": "db.example.com",
                "after": "other.example.com",
            }
        ],
        "not_compared": [],
    }
    assert writes_of(emulator) == ["PATCH /sources/{sourceId}"]


def test_a_dry_run_returns_the_same_changes_and_writes_nothing(emulator, run, everything):
    changed = {
        **SOURCE,
        "configuration": {**SOURCE["configuration"], "host": "other.example.com"},
        "workspace": "Sales",
    }

    planned = run(AirbyteCreateSourceOperator, **changed, dry_run="{{ True }}")
    assert writes_of(emulator) == []
    done = run(AirbyteCreateSourceOperator, **changed)

    assert planned == {**done, "action": "would_update"}


def test_a_dry_run_of_what_an_earlier_dry_run_planned_is_planned_too(emulator, run):
    results = [
        run(AirbyteCreateWorkspaceOperator, name="New", dry_run=True),
        run(AirbyteCreateSourceOperator, **SOURCE, workspace_id="{{ '' }}", dry_run=True),
        run(
            AirbyteCreateConnectionOperator,
            name="New",
            source_id="{{ '' }}",
            destination_id=next(iter(emulator.destinations)),
            streams="all",
            dry_run=True,
        ),
        run(AirbyteDeleteSourceOperator, source_id="{{ '' }}", dry_run=True),
    ]

    assert actions(results) == ["would_create", "would_create", "would_create", "absent"]
    assert writes_of(emulator) == []


@pytest.mark.parametrize("if_exists", ["fail", "{{ 'fail' }}"])
def test_an_existing_resource_fails_the_task_at_once_if_it_must_not_exist(emulator, run, if_exists):
    with pytest.raises(AirflowFailException, match=emulator.workspace_id):
        run(AirbyteCreateWorkspaceOperator, name="Analytics", if_exists=if_exists)


def test_the_page_and_the_id_of_the_resource_are_pushed(emulator):
    task = AirbyteCreateSourceOperator(
        task_id="task",
        workspace="Analytics",
        name="Sample data",
        source_type="faker",
        configuration={},
    )
    task_run = TaskRun(task)

    result = task_run.finish()

    page = f"{emulator.url}/workspaces/{emulator.workspace_id}/source"
    # In this order: with the id of a connection only, a task is shown as waiting for it.
    assert list(task_run.ti.xcoms.items()) == [
        ("resource_url", f"{page}/{result['source_id']}"),
        ("source_id", result["source_id"]),
    ]
    assert result["source_id"] in emulator.sources
    assert [link.name for link in task.operator_extra_links] == ["Airbyte resource"]


def test_a_connection_needs_no_workspace_if_it_has_the_id_of_its_source(emulator, run):
    result = run(
        AirbyteCreateConnectionOperator,
        name="Sample data to Warehouse",
        source_id=next(iter(emulator.sources)),
        destination="Warehouse",
        streams="all",
        dry_run=True,
    )

    assert result["action"] in ("unchanged", "would_update")
    assert result["connection_id"] == emulator.connection_id


class TestDeletion:
    @pytest.mark.parametrize(
        ("operator", "kind"),
        [
            (AirbyteDeleteConnectionOperator, "connection"),
            (AirbyteDeleteSourceOperator, "source"),
            (AirbyteDeleteDestinationOperator, "destination"),
            (AirbyteDeleteTagOperator, "tag"),
            (AirbyteDeleteWorkspaceOperator, "workspace"),
        ],
    )
    def test_what_is_gone_is_deleted_successfully(self, emulator, run, operator, kind, task_log):
        tag = run(AirbyteCreateTagOperator, name="gold", workspace="Analytics")
        ids = {
            "workspace": emulator.workspace_id,
            "source": next(iter(emulator.sources)),
            "destination": next(iter(emulator.destinations)),
            "connection": emulator.connection_id,
            "tag": tag["tag_id"],
        }
        cascade = {} if kind in ("connection", "tag") else {"cascade": True}
        reference = {f"{kind}_id": ids[kind], **cascade}

        results = [run(operator, **reference) for _ in range(2)]

        assert actions(results) == ["deleted", "absent"]
        assert f"There is no {kind} {ids[kind]}" in task_log()

    def test_a_resource_is_found_by_its_name(self, emulator, run):
        arguments = {"name": "Sample data to Warehouse", "workspace": "{{ 'Analytics' }}"}

        planned = run(AirbyteDeleteConnectionOperator, **arguments, dry_run=True)
        assert writes_of(emulator) == []
        result = run(AirbyteDeleteConnectionOperator, **arguments)

        assert planned == {**result, "action": "would_delete"}
        assert result["connection_id"] == emulator.connection_id
        assert writes_of(emulator) == ["DELETE /connections/{connectionId}"]

    @pytest.mark.parametrize(
        "workspace", [{"workspace": "Deleted long ago"}, {"workspace_id": UNKNOWN_ID}]
    )
    def test_a_resource_of_a_workspace_that_is_gone_is_gone(self, run, workspace):
        result = run(AirbyteDeleteSourceOperator, name="CRM", **workspace)

        assert result["action"] == "absent"

    def test_a_source_with_connections_is_not_deleted_without_cascade(self, emulator, run):
        with pytest.raises(AirflowFailException, match=r"Sample data to Warehouse.*cascade=True"):
            run(AirbyteDeleteSourceOperator, name="Sample data", workspace="Analytics")

        assert writes_of(emulator) == []

    def test_the_record_of_its_secrets_goes_with_it(self, run, everything, no_variables):
        name = f"airbyte_sme_fingerprints_{everything['source_id']}"
        assert name in no_variables

        run(AirbyteDeleteSourceOperator, source_id=everything["source_id"], cascade=True)

        assert name not in no_variables


class TestSecrets:
    def test_a_changed_secret_is_written_once(self, emulator, run, everything, no_variables):
        rotated = {**SOURCE["configuration"], "password": "an0ther-passw0rd"}
        arguments = {**SOURCE, "configuration": rotated, "workspace": "Sales"}

        results = [run(AirbyteCreateSourceOperator, **arguments) for _ in range(2)]

        assert actions(results) == ["updated", "unchanged"]
        assert emulator.secret_of(everything["source_id"], "password") == "an0ther-passw0rd"
        assert writes_of(emulator) == ["PATCH /sources/{sourceId}"]
        assert "an0ther-passw0rd" not in json.dumps([results, no_variables])

    def test_a_dry_run_remembers_nothing(self, run, everything, no_variables):
        no_variables.clear()

        result = run(AirbyteCreateSourceOperator, **SOURCE, workspace="Sales", dry_run=True)

        assert result["action"] == "would_update"
        assert no_variables == {}

    @pytest.mark.parametrize("value", ["{", '{"fingerprints": 3}'])
    def test_a_broken_record_has_the_secrets_written_again(
        self, emulator, run, everything, no_variables, value
    ):
        no_variables[f"airbyte_sme_fingerprints_{everything['source_id']}"] = value

        results = [run(AirbyteCreateSourceOperator, **SOURCE, workspace="Sales") for _ in range(2)]

        assert actions(results) == ["updated", "unchanged"]
        assert writes_of(emulator) == ["PATCH /sources/{sourceId}"]

    def test_a_store_that_fails_does_not_fail_the_task(self, run, monkeypatch, task_log):
        def fail(*args: Any) -> None:
            raise ConnectionError("the API server is down")

        variable = "airflow_provider_airbyte_sme.secret_store.Variable"
        for operation in ("get", "set", "delete"):
            monkeypatch.setattr(f"{variable}.{operation}", fail)

        make_everything(run)
        run(AirbyteDeleteWorkspaceOperator, name="Sales", cascade=True)

        logged = task_log()
        assert "could not be read, so this run writes the secrets to Airbyte once more" in logged
        assert "could not be written, so the next run writes the secrets" in logged
        assert "could not be deleted: delete it by hand" in logged

    @pytest.mark.parametrize("is_mapped", [False, True])
    def test_what_a_mapped_task_gets_from_another_one_is_not_a_template(
        self, emulator, run, is_mapped
    ):
        task = AirbyteCreateSourceOperator(
            task_id="task",
            workspace="Analytics",
            **{**SOURCE, "configuration": {**SOURCE["configuration"], "host": "{{ 'db' }}"}},
        )
        given = task.configuration.value
        # As Airflow does for the arguments of expand().
        from_other_tasks = {id(given)} if is_mapped else set()
        task.configuration = task.render_template(task.configuration, {}, None, from_other_tasks)

        TaskRun(task).finish()

        hosts = [actor.configuration.get("host") for actor in emulator.sources.values()]
        assert ("{{ 'db' }}" if is_mapped else "db") in hosts

    def test_the_fields_show_templates_and_hide_literal_secrets(self):
        task = AirbyteCreateSourceOperator(
            task_id="task",
            name="CRM",
            source_type="postgres",
            workspace="Sales",
            configuration={
                "host": "db.example.com",
                "password": "literal-passw0rd",
                "tunnel": {"ssh_key": "{{ var.value.ssh_key }}", "token": "another-literal"},
                "jdbc": ["postgres://me:literal-passw0rd@db"],
            },
        )
        run = TaskRun(task)
        run.render()

        assert json.loads(str(task.configuration)) == {
            "host": "db.example.com",
            "password": "***",
            "tunnel": {"ssh_key": "{{ var.value.ssh_key }}", "token": "***"},
            "jdbc": ["postgres://***@db"],
        }
        assert "literal" not in repr(task.configuration)


class TestArguments:
    @pytest.mark.parametrize(
        ("operator", "arguments", "message"),
        [
            (AirbyteCreateWorkspaceOperator, {"name": " "}, "name is empty"),
            (
                AirbyteCreateWorkspaceOperator,
                {"name": "Sales", "region_id": "eu"},
                "region_id must be a UUID",
            ),
            (AirbyteCreateSourceOperator, SOURCE, "One of workspace, workspace_id must be given"),
            (
                AirbyteCreateSourceOperator,
                {**SOURCE, "workspace": "Sales", "definition_id": UNKNOWN_ID},
                "source_type and definition_id are both given",
            ),
            (
                AirbyteCreateSourceOperator,
                {**SOURCE, "workspace": "Sales", "update_secrets": "sometimes"},
                "update_secrets must be when_changed or always or never",
            ),
            (
                AirbyteCreateTagOperator,
                {"name": "gold", "color": "gold", "workspace": "Sales"},
                "color must be 6 hexadecimal digits",
            ),
            (
                AirbyteCreateTagOperator,
                {"name": "gold", "workspace": "Sales", "if_exists": "ignore"},
                "if_exists must be one of 'update', 'reuse', 'fail'",
            ),
            (
                AirbyteCreateTagOperator,
                {"name": "gold", "workspace": "Sales", "dry_run": "false"},
                "dry_run must be True or False",
            ),
            (
                AirbyteCreateConnectionOperator,
                {"name": "C", "source": "A", "destination": "B", "streams": []},
                "One of workspace, workspace_id must be given",
            ),
            (
                AirbyteCreateConnectionOperator,
                {"name": "C", "source_id": UNKNOWN_ID, "destination": "B", "streams": []},
                "streams: empty",
            ),
            (
                AirbyteCreateConnectionOperator,
                {
                    "name": "C",
                    "source_id": UNKNOWN_ID,
                    "destination": "{{ x }}",
                    "streams": ["a", "a"],
                    "status": "{{ x }}",
                },
                "streams.a: declared 2 times",
            ),
            (
                AirbyteCreateConnectionOperator,
                {
                    "name": "C",
                    "source_id": UNKNOWN_ID,
                    "destination": "B",
                    "streams": "all",
                    "schedule": "every day",
                },
                "schedule",
            ),
            (AirbyteDeleteSourceOperator, {}, "One of source_id, name must be given"),
            (AirbyteDeleteSourceOperator, {"name": "CRM"}, "One of workspace, workspace_id"),
            (AirbyteDeleteWorkspaceOperator, {"cascade": 1, "name": "S"}, "cascade must be True"),
            (AirbyteApplyOperator, {"spec": "pipeline.toml"}, "spec must be a dict, or the path"),
            (AirbyteApplyOperator, {"spec": {"sources": []}}, "workspace is missing"),
            (AirbyteExportOperator, {"workspace": "Sales", "path": "x.yaml"}, "must be absolute"),
        ],
    )
    def test_invalid_ones_are_rejected_when_the_dag_is_parsed(self, operator, arguments, message):
        with pytest.raises(AirbyteConfigError, match=message):
            operator(task_id="task", **arguments)

    @pytest.mark.parametrize(
        ("operator", "arguments", "message"),
        [
            (
                AirbyteCreateSourceOperator,
                {**SOURCE, "workspace_id": "{{ 'not a UUID' }}"},
                "workspace_id must be the UUID of an Airbyte workspace",
            ),
            (
                AirbyteCreateTagOperator,
                {"name": "gold", "workspace": "Sales", "color": "{{ 'gold' }}"},
                "color must be 6 hexadecimal digits",
            ),
            (
                AirbyteDeleteTagOperator,
                {"tag_id": "{{ none }}"},
                "tag_id must be the UUID of an Airbyte tag",
            ),
            (AirbyteDeleteSourceOperator, {"source_id": "{{ '' }}"}, "source_id must be the UUID"),
        ],
    )
    def test_templates_are_checked_when_the_task_runs(self, run, operator, arguments, message):
        with pytest.raises(AirflowFailException, match=message):
            run(operator, **arguments)

    def test_the_output_of_another_task_anywhere_in_the_configuration_is_a_dependency(self):
        with DAG("dependencies", schedule=None):
            workspace: Any = AirbyteCreateWorkspaceOperator(task_id="workspace", name="Sales")
            nested = {"tunnel": [{"host": workspace.output["workspace_id"]}]}
            source = AirbyteCreateSourceOperator(
                task_id="source",
                workspace="Sales",
                **{**SOURCE, "configuration": nested},
            )
            applied = AirbyteApplyOperator(task_id="applied", spec=workspace.output)

        assert source.upstream_task_ids == applied.upstream_task_ids == {"workspace"}
        assert isinstance(workspace.output, XComArg)

    @pytest.mark.skipif(not hasattr(BaseOperator, "dry_run"), reason="Airflow 3.0 has none")
    def test_airflows_own_dry_run_still_works(self, task_log):
        task = AirbyteCreateTagOperator(
            task_id="task", name="gold", workspace="Sales", dry_run=True
        )

        BaseOperator.dry_run(task)
        task.dry_run()

        assert "Rendering template for workspace" in task_log()


class TestErrors:
    def test_a_template_that_rejects_a_secret_does_not_quote_it(self, run):
        # The filter raises: could not convert string to float: 'Tr0ub4dor-and-3'.
        password = "{{ 'Tr0ub4dor-and-3' | filesizeformat }}"
        configuration = {**SOURCE["configuration"], "password": password}

        with pytest.raises(
            AirflowFailException, match=r"^configuration: a template cannot"
        ) as error:
            run(
                AirbyteCreateSourceOperator,
                **{**SOURCE, "configuration": configuration},
                workspace="Analytics",
            )

        cause = error.value.__cause__
        assert cause is not None
        assert cause.__suppress_context__
        assert "Tr0ub4dor" not in f"{error.value}{cause!r}"

    def test_a_name_that_a_template_does_not_know_is_an_error_that_names_the_argument(self, run):
        configuration = {**SOURCE["configuration"], "host": "{{ nobody.host }}"}

        with pytest.raises(AirflowFailException, match=r"^configuration: .*'nobody' is undefined"):
            run(
                AirbyteCreateSourceOperator,
                **{**SOURCE, "configuration": configuration},
                workspace="Analytics",
            )

    def test_what_a_person_has_to_fix_fails_the_task_at_once(self, run):
        arguments = {**SOURCE, "configuration": {"host": 1}}

        with pytest.raises(
            AirflowFailException, match=r"configuration\.database is missing"
        ) as error:
            run(AirbyteCreateSourceOperator, **arguments, workspace="Analytics")

        assert "\n" not in str(error.value)

    def test_a_connection_that_airflow_does_not_find_does_not(self, run):
        with pytest.raises(AirbyteSettingsNotFoundError):
            run(AirbyteCreateWorkspaceOperator, name="Sales", airbyte_conn_id="absent")


class TestApply:
    @pytest.fixture
    def spec(self) -> dict[str, Any]:
        return {
            "workspace": "Sales",
            "sources": [FAKER],
            "destinations": [
                {"name": "Lake", "destination_type": "{{ 'dev-null' }}", "configuration": {}}
            ],
        }

    @pytest.mark.parametrize("form", ["dict", "yaml", "json", "yml"])
    def test_a_dict_and_a_file_declare_the_same(self, run, tmp_path, form):
        spec: Any = {"workspace": "{{ 'Sales' }}", "sources": [{**FAKER, "name": "{{ 'A: b' }}"}]}
        if form != "dict":
            file = tmp_path / f"pipeline.{form}"
            file.write_text(json.dumps(spec))
            spec = str(file)

        results = [
            run(AirbyteApplyOperator, spec=spec, dry_run=dry) for dry in (True, False, False)
        ]

        assert actions(results) == ["would_create", "created", "unchanged"]
        assert [(each["kind"], each["name"]) for each in results[1]["resources"]] == [
            ("workspace", "Sales"),
            ("source", "A: b"),
        ]

    def test_several_actions_are_an_update(self, run):
        run(AirbyteCreateWorkspaceOperator, name="Sales")
        spec = {"workspace": "Sales", "sources": [FAKER]}

        results = [run(AirbyteApplyOperator, spec=spec, dry_run=dry) for dry in (True, False)]

        assert actions(results) == ["would_update", "updated"]
        assert actions(results[1]["resources"]) == ["unchanged", "created"]

    def test_a_file_that_does_not_exist_is_named(self, run):
        with pytest.raises(AirflowFailException, match=r"there is no file pipelines/sales\.yaml"):
            run(AirbyteApplyOperator, spec="pipelines/sales.yaml")

    @pytest.mark.parametrize("name", ["exported.yaml", "exported.json"])
    def test_applying_what_was_exported_changes_nothing(
        self, emulator, run, everything, tmp_path, name
    ):
        path = tmp_path / name

        exported = run(AirbyteExportOperator, workspace="Sales", path=f"{{{{ '{path}' }}}}")
        unwritten = run(AirbyteExportOperator, workspace_id=everything["workspace_id"])

        assert exported["path"] == str(path)
        assert exported["document"] is None
        assert unwritten["path"] is None
        assert [each["name"] for each in unwritten["document"]["sources"]] == ["CRM"]
        assert SOURCE["configuration"]["password"] not in path.read_text()
        # The variables of the references do not exist.
        task_run = TaskRun(AirbyteApplyOperator(task_id="task", spec=str(path)))
        context: Any = {**task_run.context, "var": {"value": {}}}
        result = task_run.task.execute(context)
        assert result["action"] == "unchanged"
        assert writes_of(emulator) == []

"""Which module may import which, and what importing the provider costs Airflow's DAG processor."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import airflow_provider_airbyte_sme
from airflow_provider_airbyte_sme.api.models import JobStatus
from tests.packaging.import_graph import (
    ImportGraph,
    find_cycles,
    imported_names,
    module_name,
    read_import_graph,
)

PACKAGE = Path(airflow_provider_airbyte_sme.__file__).parent

PURE_API = (
    "api.http",
    "api.errors",
    "api.job_errors",
    "api.job_reports",
    "api.models*",
    "api.history",
    "api.settings",
    "api.auth",
    "api.creation",
    "api.tokens",
    "api.response",
    "api.retry",
    "api.waiting*",
    "api.scrubbing",
    "api.identifiers",
    "api.network",
)

# Who may import whom. The first pattern that matches a module gives the modules of this package
# that it may import.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "__init__": (),
    "get_provider_info": ("__init__",),
    # A plain Airbyte client.
    **dict.fromkeys(PURE_API, ("__init__", *PURE_API)),
    "api.*_transport": ("__init__", *PURE_API),
    "api.session": ("__init__", *PURE_API),
    "api.resources*": ("__init__", *PURE_API, "api.session", "api.resources*"),
    "api.client": ("__init__", *PURE_API, "api.session", "api.resources*"),
    "api.blocking": (
        *("__init__", *PURE_API, "api.session", "api.client", "api.requests_transport"),
    ),
    "api.doctor*": (
        *("__init__", *PURE_API, "api.session", "api.resources*", "api.client", "api.doctor*"),
    ),
    "api": (*PURE_API, "api.session", "api.resources*", "api.client", "api.doctor*"),
    # A server for tests and demos, which nothing else imports.
    "emulator*": ("api.http", "api.errors", "api.models*", "emulator*"),
    # Declared state, without Airflow.
    "provisioning*": ("api*", "literals", "provisioning*"),
    # The Airflow provider.
    "literals": (),
    "web": (),
    "connection": ("get_provider_info", "api*", "literals"),
    "parameters": ("api*", "literals"),
    "outcome": ("api*",),
    "evidence": ("api*", "outcome"),
    "secret_store": ("api*", "provisioning*"),
    "datasets": ("api*",),
    "delivery": ("api*", "outcome", "datasets", "hooks*"),
    "metrics": ("api*", "outcome"),
    "lineage": ("api*", "outcome", "datasets", "delivery"),
    "assets*": (
        *("api*", "parameters", "datasets", "delivery", "hooks.lookups", "triggers*", "assets*"),
    ),
    "plugins.page*": (
        *("get_provider_info", "__init__", "api*", "connection", "hooks*", "operators.base"),
        *("web", "plugins.page*"),
    ),
    "plugins*": (
        *("api*", "connection", "parameters", "outcome", "hooks*", "assets*", "web", "plugins*"),
    ),
    # The command line.
    "cli.airflow_commands": (),
    "cli*": (
        *("__init__", "get_provider_info", "api*", "provisioning*", "connection", "hooks*"),
        *("migration*", "cli*"),
    ),
    "__main__": ("cli.main",),
    # Rewrites DAG files of the official provider.
    "migration*": ("migration*",),
    "hooks*": ("get_provider_info", "api*", "connection", "hooks*"),
    "triggers*": ("api*", "connection", "outcome", "parameters", "triggers*"),
    "operators*": (
        *(
            "api*",
            "connection",
            "parameters",
            "outcome",
            "evidence",
            "assets*",
            "delivery",
            "lineage",
            "metrics",
            "provisioning*",
            "secret_store",
            "web",
        ),
        *("hooks*", "triggers*", "operators*"),
    ),
    "sensors*": (
        *("api*", "connection", "parameters", "outcome", "hooks*", "triggers*", "sensors*"),
        *("operators.base", "operators.tracking", "operators.delivery", "operators.alarms"),
    ),
}


def matches(module: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def row_of(module: str) -> str | None:
    return next((pattern for pattern in MAY_IMPORT if fnmatchcase(module, pattern)), None)


def forbidden_imports(graph: ImportGraph) -> list[str]:
    return [
        f"{module} imports {imported}"
        for module, imports in graph.items()
        if (row := row_of(module)) is not None
        for imported in sorted(imports)
        if not matches(imported, MAY_IMPORT[row])
    ]


def is_within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def relative_name(module: str) -> str:
    return module.removeprefix(PACKAGE.name).removeprefix(".") or "__init__"


def import_statements(folders: tuple[str, ...]) -> str:
    modules = (
        module_name(file, PACKAGE)
        for folder in folders
        for file in sorted((PACKAGE / folder).rglob("*.py"))
        if file.stem != "__main__"
    )
    return "\n".join(f"import {module}" for module in modules)


def sources_outside_emulator() -> Iterator[tuple[str, ast.Module]]:
    """Yield module name and syntax tree of every module of the package except the emulator's."""
    for file in sorted(PACKAGE.rglob("*.py")):
        module = relative_name(module_name(file, PACKAGE))
        if not is_within(module, "emulator"):
            yield module, ast.parse(file.read_text())


def classifies_job_statuses(tree: ast.AST) -> bool:
    """Whether code compares something with a job status, or has a collection of them."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=comparators):
                operands = [left, *comparators]
                elements = [each for operand in operands for each in elements_of(operand)]
                if any(map(is_job_status, operands + elements)):
                    return True
            case ast.MatchValue(value=value):
                if is_job_status(value):
                    return True
            case _:
                elements = elements_of(node)
                if len(elements) > 1 and all(map(is_job_status, elements)):
                    return True
    return False


def elements_of(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return elements
        case ast.Dict(keys=keys):
            return [key for key in keys if key is not None]
        case _:
            return []


def is_job_status(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str(value)):
            return value in set(JobStatus)
        case ast.Attribute(value=ast.Name(id="JobStatus") | ast.Attribute(attr="JobStatus")):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == "TERMINAL_STATUSES"
        case _:
            return False


def decides_about_retries(tree: ast.AST) -> bool:
    """Whether code has an HTTP status that is worth a retry, or the header Retry-After."""
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return any(
        value in (408, 429, 502, 503, 504)
        or (isinstance(value, str) and value.lower() == "retry-after")
        for value in constants
    )


@pytest.fixture(scope="module")
def graph() -> ImportGraph:
    """The import graph of the package, with names relative to it; its root is ``__init__``."""
    return {
        relative_name(module): {relative_name(each) for each in imported}
        for module, imported in read_import_graph(PACKAGE).items()
    }


class TestCycles:
    def test_the_package_has_no_import_cycles(self, graph):
        cycles = find_cycles(graph)

        assert not cycles, "import cycles:\n" + "\n".join(map(" -> ".join, cycles))

    @pytest.mark.parametrize(
        "closing_import",
        [
            "from tree.top import name",
            "from tree import top",
            "import tree.top",
            "from ..top import name",
            "if TYPE_CHECKING:\n    from tree.top import name",
            "def late():\n    from tree.top import name",
        ],
    )
    def test_a_cycle_is_found(self, closing_import, tmp_path):
        self.write(
            tmp_path,
            {
                "tree/__init__.py": "",
                "tree/top.py": "from tree.folder.middle import name",
                "tree/folder/__init__.py": "",
                "tree/folder/middle.py": "from tree.folder.bottom import name",
                "tree/folder/bottom.py": closing_import,
            },
        )

        assert find_cycles(read_import_graph(tmp_path / "tree")) == [
            ["tree.folder.bottom", "tree.top", "tree.folder.middle", "tree.folder.bottom"]
        ]

    def test_a_tree_without_a_cycle_has_none(self, tmp_path):
        self.write(
            tmp_path,
            {
                "tree/__init__.py": "from tree.top import name",
                "tree/top.py": "from tree.left import name\nfrom tree.right import name",
                "tree/left.py": "from tree import bottom",
                "tree/right.py": "import tree.bottom",
                "tree/bottom.py": "import os",
            },
        )

        assert find_cycles(read_import_graph(tmp_path / "tree")) == []

    def test_a_name_from_a_package_is_an_import_of_its_init_file(self, tmp_path):
        self.write(
            tmp_path,
            {
                "tree/__init__.py": "from tree.leaf import name",
                "tree/leaf.py": "from tree import other_name",
            },
        )

        assert find_cycles(read_import_graph(tmp_path / "tree")) == [["tree", "tree.leaf", "tree"]]

    @staticmethod
    def write(folder: Path, sources: dict[str, str]) -> None:
        for path, source in sources.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(source)


class TestLayers:
    def test_every_module_has_a_row(self, graph):
        assert [module for module in graph if row_of(module) is None] == []

    def test_a_module_imports_only_what_its_row_allows(self, graph):
        assert forbidden_imports(graph) == []

    @pytest.mark.parametrize(
        ("module", "imported"),
        [
            ("api.client", "hooks.airbyte"),
            ("api.session", "api.resources.jobs"),
            ("api.resources.jobs", "api.client"),
            ("api.retry", "api.requests_transport"),
            ("triggers.airbyte", "hooks.airbyte"),
            ("hooks.airbyte", "emulator.emulator"),
            ("emulator.emulator", "api.client"),
            ("get_provider_info", "connection"),
        ],
    )
    def test_a_forbidden_import_is_found(self, module, imported):
        assert forbidden_imports({module: {imported}}) == [f"{module} imports {imported}"]


class TestOnePlace:
    """Decisions that belong in one module only."""

    def test_job_statuses_are_classified_only_in_the_models(self):
        classifying = {
            module for module, tree in sources_outside_emulator() if classifies_job_statuses(tree)
        }

        assert classifying == {"api.models.jobs"}

    @pytest.mark.parametrize(
        "source",
        [
            "job.status == 'succeeded'",
            "JobStatus.FAILED != job.status",
            "job.status in ('failed', 'cancelled')",
            "job.status in TERMINAL_STATUSES",
            "DONE = frozenset({JobStatus.SUCCEEDED, models.JobStatus.FAILED})",
            "ENDS = {'succeeded': True, 'failed': False}",
            "match status:\n    case 'failed' | 'cancelled':\n        pass",
        ],
    )
    def test_a_classification_of_job_statuses_is_found(self, source):
        assert classifies_job_statuses(ast.parse(source))

    @pytest.mark.parametrize(
        "source",
        [
            "hook.list_jobs(status='succeeded')",
            "hook.list_jobs(status=JobStatus.SUCCEEDED)",
            "outcome == 'finished'",
            "response.status in (404, 405)",
        ],
    )
    def test_other_uses_of_statuses_are_allowed(self, source):
        assert not classifies_job_statuses(ast.parse(source))

    def test_retries_are_decided_only_in_retry(self):
        # api.errors is the other module with these statuses: it maps each to an exception class.
        deciding = {
            module
            for module, tree in sources_outside_emulator()
            if module != "api.errors" and decides_about_retries(tree)
        }

        assert deciding == {"api.retry"}

    @pytest.mark.parametrize(
        "source",
        [
            "error.status == 429",
            "TRANSIENT = frozenset({502, 503, 504})",
            "headers.get('Retry-After')",
        ],
    )
    def test_a_retry_decision_is_found(self, source):
        assert decides_about_retries(ast.parse(source))


def test_operators_sensors_and_triggers_load_neither_http_libraries_nor_the_emulator(
    modules_loaded_by,
):
    loaded = modules_loaded_by(import_statements(("operators", "sensors", "triggers")))

    assert module_name(PACKAGE / "api/client.py", PACKAGE) in loaded
    for unwanted in ("requests", "aiohttp", f"{PACKAGE.name}.emulator"):
        assert not {module for module in loaded if is_within(module, unwanted)}


def test_what_a_dag_file_needs_of_provisioning_loads_no_slow_library(modules_loaded_by):
    package = f"{PACKAGE.name}.provisioning"
    loaded = modules_loaded_by(f"import {package}.provisioner, {package}.parsing, {package}.files")

    for slow in ("yaml", "jsonschema"):
        assert not {module for module in loaded if is_within(module, slow)}


def test_provider_info_does_not_load_airflow(modules_loaded_by):
    loaded = modules_loaded_by(f"import {PACKAGE.name}.get_provider_info")

    assert not {module for module in loaded if is_within(module, "airflow")}


@pytest.mark.parametrize("layer", ["api", "emulator", "provisioning"])
def test_a_layer_without_airflow_does_not_load_it(layer, modules_loaded_by):
    loaded = modules_loaded_by(import_statements((layer,)))

    assert f"{PACKAGE.name}.{layer}" in loaded
    assert not {module for module in loaded if is_within(module, "airflow")}


@pytest.mark.parametrize("layer", ["api", "emulator", "provisioning"])
def test_a_layer_without_airflow_does_not_import_it_in_functions(layer):
    offenders = {
        file
        for file in (PACKAGE / layer).rglob("*.py")
        if any(is_within(name, "airflow") for name in imported_names(file, PACKAGE))
    }

    assert not offenders


def test_only_the_emulator_imports_the_emulator():
    emulator = PACKAGE / "emulator"
    offenders = {
        file
        for file in PACKAGE.rglob("*.py")
        if emulator not in file.parents
        and any(
            is_within(name, f"{PACKAGE.name}.emulator") for name in imported_names(file, PACKAGE)
        )
    }

    assert not offenders


@pytest.mark.parametrize("library", ["requests", "aiohttp"])
def test_only_its_transport_imports_an_http_library(library):
    importers = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if PACKAGE / "emulator" not in file.parents
        and any(is_within(name, library) for name in imported_names(file, PACKAGE))
    }

    assert importers == {f"api/{library}_transport.py"}

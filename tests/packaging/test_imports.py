"""The walls between the layers, and what an import costs the process that parses DAG files."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_airbyte_sme

PACKAGE = Path(airflow_provider_airbyte_sme.__file__).parent


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Name every module that a source file imports anywhere in it, late imports included."""
    package = ".".join(path.relative_to(PACKAGE.parent).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(source, package)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def importing(folders: tuple[str, ...]) -> str:
    modules = (
        module_name(path)
        for folder in folders
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if path.stem != "__main__"
    )
    return "\n".join(f"import {module}" for module in modules)


def is_within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def test_operators_sensors_and_triggers_load_no_http_library_and_no_emulator(modules_loaded_by):
    loaded = modules_loaded_by(importing(("operators", "sensors", "triggers")))

    assert module_name(PACKAGE / "api/client.py") in loaded
    for unwanted in ("requests", "aiohttp", f"{PACKAGE.name}.emulator"):
        assert not {module for module in loaded if is_within(module, unwanted)}


def test_provider_info_loads_no_airflow(modules_loaded_by):
    loaded = modules_loaded_by(f"import {PACKAGE.name}.get_provider_info")

    assert not {module for module in loaded if is_within(module, "airflow")}


@pytest.mark.parametrize("layer", ["api", "emulator"])
def test_a_layer_that_knows_nothing_of_airflow_loads_none_of_it(layer, modules_loaded_by):
    loaded = modules_loaded_by(importing((layer,)))

    assert f"{PACKAGE.name}.{layer}" in loaded
    assert not {module for module in loaded if is_within(module, "airflow")}


@pytest.mark.parametrize("layer", ["api", "emulator"])
def test_a_layer_that_knows_nothing_of_airflow_imports_none_of_it_late(layer):
    offenders = {
        path
        for path in (PACKAGE / layer).rglob("*.py")
        if any(is_within(module, "airflow") for module in imports(path))
    }

    assert not offenders


def test_only_the_emulator_imports_the_emulator():
    emulator = PACKAGE / "emulator"
    offenders = {
        path
        for path in PACKAGE.rglob("*.py")
        if emulator not in path.parents
        and any(is_within(module, f"{PACKAGE.name}.emulator") for module in imports(path))
    }

    assert not offenders


@pytest.mark.parametrize("library", ["requests", "aiohttp"])
def test_an_http_library_is_imported_by_its_transport_alone(library):
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if PACKAGE / "emulator" not in path.parents
        and any(is_within(module, library) for module in imports(path))
    }

    assert importers == {f"api/{library}_transport.py"}

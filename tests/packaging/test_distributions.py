import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import Distribution, version
from pathlib import Path

from packaging.requirements import Requirement

import airflow_provider_airbyte_sme

PACKAGE = "airflow_provider_airbyte_sme"


def pinned_versions(constraints: str) -> dict[str, str]:
    requirements = (
        Requirement(line) for line in constraints.splitlines() if not line.lstrip().startswith("#")
    )
    return {requirement.name: str(requirement.specifier) for requirement in requirements}


def test_the_wheel_contains_exactly_the_package(wheel, project):
    sources = {
        path.relative_to(project).as_posix()
        for path in (project / PACKAGE).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    packaged = {name for name in wheel.files if ".dist-info/" not in name}

    assert packaged == sources
    assert f"{PACKAGE}/py.typed" in packaged


def test_the_sdist_builds_the_same_wheel(wheel, build, project, tmp_path):
    with tarfile.open(build(project, "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()

    assert build(source, "wheel").read_bytes() == wheel.path.read_bytes()


def test_the_sdist_has_the_documents_of_the_project(build, project):
    with tarfile.open(build(project, "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md"} <= names


def test_the_docker_build_context_builds_the_same_wheel(wheel, build, project, tmp_path):
    ignored, *patterns = (project / "docker/Dockerfile.dockerignore").read_text().split()
    assert ignored == "*"
    for included in (pattern[1:] for pattern in patterns if pattern.startswith("!")):
        copy = shutil.copytree if (project / included).is_dir() else shutil.copy
        copy(project / included, tmp_path / included)

    assert build(tmp_path, "wheel").read_bytes() == wheel.path.read_bytes()


def test_the_wheel_metadata_matches_pyproject(wheel, pyproject):
    declared = pyproject["project"]

    assert wheel.metadata["Name"] == declared["name"]
    assert wheel.metadata["Version"] == airflow_provider_airbyte_sme.__version__
    assert wheel.metadata["Requires-Python"] == declared["requires-python"]
    assert wheel.metadata["License-Expression"] == "Apache-2.0"
    assert wheel.metadata.get_all("License-File") == ["LICENSE"]
    extras = [
        f"{requirement}; extra == '{extra}'"
        for extra, requirements in declared["optional-dependencies"].items()
        for requirement in requirements
    ]
    assert wheel.metadata.get_all("Requires-Dist") == [*sorted(declared["dependencies"]), *extras]


def test_the_wheel_installs_and_its_entry_points_load(wheel, pyproject, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", tmp_path, wheel.path], check=True)
    (installed,) = Distribution.discover(path=[str(tmp_path)])
    entry_points = {(each.group, each.name): each.value for each in installed.entry_points}

    assert entry_points == {
        (group, name): value
        for group, entries in pyproject["project"]["entry-points"].items()
        for name, value in entries.items()
    }
    for value in entry_points.values():
        load = f"from importlib.metadata import EntryPoint\nEntryPoint('', {value!r}, '').load()"
        module = value.partition(":")[0]
        script = f"{load}\nimport sys\nprint(sys.modules[{module!r}].__file__)"
        process = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert Path(process.stdout.strip()).is_relative_to(tmp_path)


def test_the_lowest_constraints_pin_the_lower_bound_of_every_dependency(project, pyproject):
    lowest = pinned_versions((project / "constraints/airflow-2.11.txt").read_text())
    bounds = {
        requirement.name: str(requirement.specifier).removeprefix(">=")
        for requirement in map(Requirement, pyproject["project"]["dependencies"])
    }

    # Airflow's patch releases only fix bugs, so the last one of 2.11 represents them all.
    assert lowest["apache-airflow"].startswith(f"=={bounds.pop('apache-airflow')}.")
    assert {name: f"=={bound}" for name, bound in bounds.items()} == {
        name: lowest[name] for name in bounds
    }


def test_the_tests_run_on_the_pinned_airflow(project):
    newest = pinned_versions((project / "constraints/airflow-3.3.txt").read_text())

    assert newest["apache-airflow"] == f"=={version('apache-airflow')}"

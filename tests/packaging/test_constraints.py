"""Every package of an environment is pinned to one release of the package index."""

from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILES = (
    *("airflow-3.3", "airflow-3.2", "airflow-3.1", "airflow-3.0", "airflow-2.11"),
    *("audit", "cosmos", "faker", "official"),
)


@pytest.fixture
def pins(project):
    """Return the requirements of a file in constraints/, without its comments."""

    def read(name):
        lines = (project / f"constraints/{name}.txt").read_text(encoding="utf-8").splitlines()
        return [
            Requirement(line.partition(" #")[0])
            for line in lines
            if line.strip() and not line.lstrip().startswith("#")
        ]

    return read


def test_there_are_no_other_files(project):
    assert {path.stem for path in (project / "constraints").glob("*.txt")} == {
        *FILES,
        "faker-overrides",
    }


@pytest.mark.parametrize("name", FILES)
def test_each_pin_is_one_release_and_no_url(pins, name):
    for pin in pins(name):
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert "*" not in specifier.version
        assert pin.url is None


@pytest.mark.parametrize("name", FILES)
def test_no_release_is_pinned_twice_for_one_environment(pins, name):
    seen = [
        canonicalize_name(pin.name)
        for pin in pins(name)
        if pin.marker is None or pin.marker.evaluate()
    ]

    assert len(seen) == len(set(seen)) > 10


def test_all_that_is_installed_with_the_package_is_pinned(pins, pyproject):
    """The tests run in an environment of airflow-3.3.txt."""
    pinned = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in pins("airflow-3.3")
        if pin.marker is None or pin.marker.evaluate()
    }
    installed = {}
    pending = [Requirement(each) for each in pyproject["project"]["dependencies"]]
    while pending:
        name = canonicalize_name(pending.pop().name)
        if name not in installed:
            found = distribution(name)
            installed[name] = found.version
            needed = [Requirement(each) for each in found.requires or ()]
            pending += [each for each in needed if not each.marker or each.marker.evaluate()]

    assert len(installed) > 100
    assert installed == {name: pinned.get(name) for name in installed}

"""Everything public is in the reference, and each parameter is described there."""

from __future__ import annotations

import inspect
import pydoc
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from airflow.triggers.base import BaseTrigger
from sphinx.util.inventory import InventoryFile

from airflow_provider_airbyte_sme import api, assets, emulator
from airflow_provider_airbyte_sme.api import AirbyteClient, AirbyteSession, AirbyteSettings
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from airflow_provider_airbyte_sme.api.settings import AirbyteUrls
from airflow_provider_airbyte_sme.cli.main import make_parser
from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS, get_provider_info
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.parameters import Seconds, Usual
from docs._ext.collected_docstrings import (
    PACKAGE,
    SELF_EXPLAINING,
    Parameter,
    collected,
    description_of,
    elsewhere,
    is_enum,
    is_task,
    parameters_of,
    spelled_out,
    types_of,
    undescribed,
)
from docs._ext.generated import helps_of
from tests.docs.pages import REPOSITORY

# The parameter `dry_run` cannot be an attribute of that name.
RENDERED_AS = {"dry_run": "plan_only"}
RESULT = ("return", "")


def public_tasks() -> Iterator[type]:
    """Yield the operators and sensors that users import."""
    for name in ("operators.airbyte", "operators.resources"):
        module = import_module(f"{PACKAGE}.{name}")
        yield from filter(is_task, (getattr(module, each) for each in module.__all__))
    sensors = import_module(f"{PACKAGE}.sensors.airbyte")
    for each in vars(sensors).values():
        if is_task(each) and each.__module__ == sensors.__name__:
            yield each


TASKS = list(dict.fromkeys(public_tasks()))
ASSET_FUNCTIONS = [getattr(assets, name) for name in assets.__all__]
TRIGGERS = [
    each
    for info in get_provider_info()["triggers"]
    for name in info["python-modules"]
    for each in vars(import_module(name)).values()
    if inspect.isclass(each) and issubclass(each, BaseTrigger) and each.__module__ == name
]


def path_of(documented: Any) -> str:
    return f"{documented.__module__}.{documented.__qualname__}"


def expected_names() -> Iterator[str]:
    """Yield what has to be in the reference, by the names under which people look for it."""
    yield from map(path_of, TASKS)
    yield from map(path_of, (AirbyteHook, *TRIGGERS))
    for module in (api, assets, emulator):
        yield from (f"{module.__name__}.{name}" for name in module.__all__)
    for group in groups_of_client():
        yield path_of(group)
        yield from (f"{path_of(group)}.{name}" for name, _ in operations_of(group))
    yield f"{PACKAGE}.emulator.pytest_plugin.airbyte_emulator"


def groups_of_client() -> list[type]:
    settings = AirbyteSettings(AirbyteUrls.parse("http://localhost"))
    client = AirbyteClient(AirbyteSession(settings, RequestsTransport(settings)))
    found = (type(each) for name, each in vars(client).items() if name != "session")
    return list(dict.fromkeys(found))


def operations_of(group: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, operation in inspect.getmembers(group, inspect.isfunction):
        if not name.startswith("_"):
            yield name, operation


@pytest.fixture(scope="module")
def inventory(site):
    """Return the names of all that the site describes."""
    with (site.folder / "objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, location: location)
    return {name for kind, names in found.items() if kind.startswith("py:") for name in names}


@pytest.fixture(scope="module")
def documented(inventory):
    """Return what the site describes and one can call, by its names. Tasks have their own tests."""
    found = {name: pydoc.locate(name) for name in sorted(inventory)}
    return {
        name: each
        for name, each in found.items()
        if callable(each) and not (is_task(each) or is_enum(each))
    }


def test_everything_public_is_in_the_reference(inventory):
    expected = list(expected_names())

    assert len(expected) > 250
    missing = sorted({*expected} - inventory)
    assert missing == [], "Add them to a page in docs/reference/: " + ", ".join(missing)


def test_every_operation_of_the_hook_is_in_the_reference(inventory):
    names = {name for name, _ in inspect.getmembers(AirbyteHook, callable)}
    expected = {name for name in names if not name.startswith("_") and not hasattr(BaseHook, name)}

    described = {each.rpartition(".")[2] for each in inventory if ".AirbyteHook." in each}
    assert expected - described == set()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
class TestTasks:
    def test_every_parameter_is_described(self, task):
        assert [each.name for each in parameters_of(task) if not each.description] == []

    def test_it_says_which_parameters_are_templated(self, task):
        said = {each.name for each in parameters_of(task) if "(templated)" in each.description}
        rendered = {
            each.name
            for each in parameters_of(task)
            if RENDERED_AS.get(each.name, each.name) in task.template_fields
        }

        assert said == rendered

    def test_no_type_is_an_alias(self, task):
        aliases = {"Seconds", "Usual", "Instant", "OnRunning", "OnTooFewRows", "IfExists"}
        types = " ".join(each.annotation for each in parameters_of(task))

        assert aliases & {*re.findall(r"\w+", types)} == set()

    def test_its_result_and_its_errors_are_described(self, task):
        fields = collected(task)

        assert fields[RESULT]
        assert ("raises", "AirbyteConfigError") in fields
        assert ("raises", "AirflowFailException") in fields

    def test_no_description_is_for_a_parameter_that_does_not_exist(self, task):
        described = {name for kind, name in collected(task) if kind == "param"}

        assert described - {each.name for each in parameters_of(task)} == set()


def test_every_parameter_in_the_reference_is_described(documented):
    missing = {
        f"{name}({parameter})"
        for name, each in documented.items()
        for parameter in {*undescribed(each)} - elsewhere(each).keys()
    }

    assert len(documented) > 500
    assert missing == set()


def test_what_explains_itself_is_used(documented):
    used = {name for each in documented.values() for name in undescribed(each)}

    assert set(SELF_EXPLAINING) - used == set()


def test_the_fields_and_options_are_those_of_the_provider(site):
    fields = (site.folder / "reference/connection.html").read_text(encoding="utf-8")
    options = (site.folder / "reference/configuration.html").read_text(encoding="utf-8")

    assert [name for name in CONN_FIELDS if f"extra.{name}" not in fields] == []
    for section, content in get_provider_info()["config"].items():
        for option in content["options"]:
            assert f"AIRFLOW__{section}__{option}".upper() in options


def test_each_command_is_in_the_reference(site):
    page = (site.folder / "reference/command-line.html").read_text(encoding="utf-8")
    programs = helps_of(make_parser())

    assert len(programs) > 1
    assert [program for program in programs if f"usage: {program}" not in page] == []


def test_each_example_is_in_the_reference(site):
    page = (site.folder / "reference/examples.html").read_text(encoding="utf-8")
    examples = [path.name for path in (REPOSITORY / "dags_examples").rglob("*.py")]

    assert len(examples) > 10
    assert [name for name in examples if f"<h2>{name}" not in page] == []


class Base:
    """
    Base of it.

    :param a: The first,
        of two.
    :raises ValueError: It is wrong.
    :return: Something.
    """

    def __init__(self, *, a: Seconds = 1, **kwargs: Any) -> None: ...

    def execute(self) -> Any: ...

    def execute_complete(self) -> dict[str, Any]:
        return {}


class Derived(Base):
    """
    Do it.

    It does much. Its other parameters and its result are those of :class:`.x.Base`. It is quick.

    :param b: The second.
    :raises ValueError: It is too late.
    """

    def __init__(self, *, b: str, **kwargs: Any) -> None: ...


# As if they were of the package.
Base.__module__ = Derived.__module__ = f"{PACKAGE}.sample"


@pytest.mark.parametrize(
    ("default", "description", "end"),
    [
        ("", "The text.", "The text. Required."),
        ("None", "The text.", "The text. Default: ``None``."),
        ("None", "The text; by default a day.", "The text; by default a day."),
        ("'wait'", "The text.", "The text. Default: ``'wait'``."),
    ],
)
def test_a_default_is_said_once(default, description, end):
    (text, _) = Parameter("a", "str", default, description).lines()

    assert text == f":param a: {end}"


def test_a_description_is_collected_from_all_classes():
    assert [line for line in description_of(Derived) if line] == [
        "Do it.",
        "It does much. It is quick.",
        ":param b: The second. Required.",
        ":type b: str",
        ":param a: The first, of two. Default: ``1``.",
        ":type a: timedelta | float | str",
        ":raises ValueError: It is too late. It is wrong.",
        ":return: Something.",
        ":rtype: dict[str, Any]",
    ]


def test_aliases_are_spelled_out():
    names = {"Seconds": Seconds, "Usual": Usual, "Job": object}

    assert spelled_out("Seconds | Usual | None", names) == (
        "timedelta | float | str | Literal['history'] | None"
    )
    assert spelled_out("Mapping[str, Job]", names) == "Mapping[str, Job]"


@pytest.mark.parametrize(
    ("operation", "returned"),
    [("get_source", "Source"), ("list_destinations", "list[Destination]"), ("create_tag", "Tag")],
)
def test_an_operation_says_what_it_returns(operation, returned):
    assert types_of(getattr(AirbyteHook, operation))["return"] == returned

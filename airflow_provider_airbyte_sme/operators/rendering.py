"""
Arguments that may contain secrets: rendered only when the task runs, and shown as written.

Airflow renders the template fields of a task, stores the results in its database and shows them to
whoever may see the task. It masks there what it already knows as a secret: the password of an
Airflow connection, but not a variable with an innocent name. So these arguments stay templates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XComArg

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError
from airflow_provider_airbyte_sme.api.scrubbing import scrub, scrub_data
from airflow_provider_airbyte_sme.parameters import is_template
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError

try:
    from airflow.sdk.definitions._internal.templater import (  # type: ignore[attr-defined]
        ResolveMixin,  # where each Airflow 3 has it
        Templater,
    )
except ImportError:  # Airflow 2
    from airflow.template.templater import (  # type: ignore[import-not-found,no-redef]
        ResolveMixin,
        Templater,
    )

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

_ONE_EXPRESSION = re.compile(r"\s*\{\{[^{}]*\}\}\s*")


class Unrendered(ResolveMixin):
    """
    The value of a template field that Airflow must not render: :func:`rendered` does.

    Its text, which Airflow stores and shows, is the template.

    :param value: As it was given: text, containers, outputs of tasks.
    :param is_final: Whether it contains no templates: what another task returned never does.
    """

    def __init__(self, value: Any, *, is_final: bool = False) -> None:
        self.value = value
        self.is_final = is_final

    def iter_references(self) -> Iterator[Any]:
        """Yield the tasks whose outputs are in it, so that they run before."""
        yield from XComArg.iter_xcom_references(self.value)

    def resolve(self, context: Context, **kwargs: Any) -> Unrendered:
        """Return itself, where Airflow wants to have it rendered."""
        return self

    def marked_final_if_in(self, mapped: Set[int] | None) -> Unrendered:
        """
        Return it as final if its value is what another task returned.

        :param mapped: Ids of the objects that Airflow takes from other tasks by ``expand()``.
        """
        return Unrendered(self.value, is_final=id(self.value) in (mapped or ()))

    def __str__(self) -> str:
        shown = _shown(self.value)
        return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


def unrendered(value: Any) -> Any:
    """Return an argument so that Airflow does not render it; ``None`` if it is not given."""
    return value if value is None or isinstance(value, Unrendered) else Unrendered(value)


def as_given(value: Any) -> Any:
    """Return an argument as the DAG has it."""
    return value.value if isinstance(value, Unrendered) else value


class _TextTemplater(Templater):
    """
    Renders every template to text, whatever the DAG says.

    In a DAG with ``render_template_as_native_obj``, Airflow makes a number of a password that looks
    like one.
    """

    template_fields = ()
    template_ext = ()


def rendered(value: Any, context: Context, operator: BaseOperator, name: str) -> Any:
    """
    Return an argument with its templates rendered to text; any other value unchanged.

    :param value: An :class:`Unrendered`, or what Airflow has rendered already.
    :param name: Of the argument, for messages.
    :raises AirbyteConfigError: A template cannot be rendered.
    """
    if not isinstance(value, Unrendered):
        return value
    return value.value if value.is_final else render_all(value.value, context, operator, name)


def render_all(value: Any, context: Context, operator: BaseOperator, name: str) -> Any:
    """
    Return a value with all texts in it rendered to text, and outputs of tasks resolved.

    :param name: Where the value comes from, for messages.
    :raises AirbyteConfigError: A template cannot be rendered.
    """
    # Late: a DAG file does not need Jinja for this.
    from jinja2 import TemplateError

    try:
        return _TextTemplater().render_template(value, context, template_environment(operator))
    except TemplateError as error:
        raise AirbyteConfigError(f"{name}: a template cannot be rendered: {error}") from None
    except (ValueError, TypeError) as error:
        # Without its text, which quotes the value, and the value may be a secret.
        raise AirbyteConfigError(
            f"{name}: a template cannot be rendered, because a filter or operation in it rejects "
            f"its value ({type(error).__name__}). The value is not shown: it may be a secret."
        ) from None


def template_environment(operator: BaseOperator) -> Any:
    """Return the Jinja environment of the DAG of a task, with its macros and its search path."""
    dag = operator.get_dag()
    return dag.get_template_env(force_sandboxed=True) if dag else operator.get_template_env()


def contains_template(value: Any) -> bool:
    """Whether there is a template, or the output of a task, anywhere in *value*."""
    match value:
        case Unrendered():
            return contains_template(value.value)
        case Mapping():
            return any(map(contains_template, value.values()))
        case list() | tuple():
            return any(map(contains_template, value))
        case _:
            return is_template(value)


def check_arguments(
    what: str, parse: Callable[[Mapping[str, Any]], object], arguments: Mapping[str, Any]
) -> None:
    """
    Check arguments when the DAG is parsed, except those that contain templates.

    :param parse: Checks all of them, and reports every problem.
    :raises AirbyteDeclarationError: Some are invalid; the message has every problem.
    """
    try:
        parse(arguments)
    except AirbyteDeclarationError as error:
        templates = {name for name, value in arguments.items() if contains_template(value)}
        problems = [each for each in error.problems if not templates & {_parameter_of(each)}]
        if problems:
            raise AirbyteDeclarationError(what, problems) from None


def _parameter_of(problem: str) -> str:
    """Return the parameter with which a problem begins; ``it`` for all of them."""
    return re.split(r"\W", problem, maxsplit=1)[0]


def _shown(value: Any) -> Any:
    """Return plain JSON without secrets, but with the templates in it."""
    match value:
        case Mapping():
            return dict(_shown_items(value.items()))
        case list() | tuple() | set():
            return [_shown(each) for each in value]
        case None | bool() | int() | float():
            return value
        case str() if _ONE_EXPRESSION.fullmatch(value):
            return value
        case _:
            return scrub(str(value))


def _shown_items(items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in items:
        shown = _shown(value)
        is_expression = isinstance(shown, str) and _ONE_EXPRESSION.fullmatch(shown)
        if isinstance(shown, dict | list) or is_expression:
            yield str(name), shown
        else:
            yield from scrub_data({str(name): shown}).items()

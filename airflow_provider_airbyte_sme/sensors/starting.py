"""What a task may not have that begins in the triggerer, where its arguments are rendered too."""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.parameters import is_template

# What a template asks Airflow's API for, and a triggerer of Airflow 3.3.2 cannot: its supervisor
# does not decode the question, so nobody answers, or the triggerer not the answer
# (ToTriggerSupervisor and ToTriggerRunner in airflow/jobs/triggerer_job_runner.py).
_UNANSWERED_VARIABLES = frozenset(
    {
        "inlet_events",
        "prev_data_interval_end_success",
        "prev_data_interval_start_success",
        "prev_end_date_success",
        "prev_start_date_success",
        "task_state_store",
    }
)
_UNANSWERED_METHODS = frozenset(
    {"get_dag", "get_previous_dagrun", "get_previous_ti", "get_task_breadcrumbs"}
)
_PULL = "xcom_pull"


def check_renders_in_triggerer(value: object, name: str) -> None:
    """
    Refuse what Airflow 3.3 cannot render in a triggerer.

    Seen on 3.3.2: the output of a task fails there, and the trigger hangs until its timeout if a
    template asks what the triggerer cannot answer, as ``xcom_pull`` without *map_indexes* does.

    :raises AirbyteConfigError: *value* contains one of these.
    """
    pull = "\"{{ ti.xcom_pull('task_id', map_indexes=-1) }}\""
    if not isinstance(value, str):
        if is_template(value):
            raise AirbyteConfigError(
                f"{name} is the output of a task, which cannot be rendered with "
                f"start_from_trigger=True: write {pull}, or leave out start_from_trigger."
            )
        return
    unanswered = _unanswered(value)
    if _PULL in unanswered:
        raise AirbyteConfigError(
            f"{name} calls xcom_pull without map_indexes, which never returns with "
            f"start_from_trigger=True: write {pull}, or leave out start_from_trigger."
        )
    if unanswered:
        raise AirbyteConfigError(
            f"{name} uses {' and '.join(sorted(unanswered))}, which cannot be rendered with "
            f"start_from_trigger=True: leave out start_from_trigger."
        )


def check_is_no_template(value: object, name: str) -> None:
    """
    Refuse a template that is needed before anything is rendered.

    :raises AirbyteConfigError: *value* is one.
    """
    if is_template(value):
        raise AirbyteConfigError(
            f"{name} cannot be a template with start_from_trigger=True: Airflow needs it before "
            f"it renders anything."
        )


def _unanswered(template: str) -> set[str]:
    """Return what *template* uses that a triggerer cannot answer."""
    names = (_PULL, *_UNANSWERED_VARIABLES, *_UNANSWERED_METHODS)
    if not any(name in template for name in names):
        return set()
    # Late: a DAG file that uses none of this need not load it.
    from jinja2 import Environment, TemplateSyntaxError, nodes

    try:
        tree = Environment(autoescape=True).parse(template)
    except TemplateSyntaxError:
        return set()  # Airflow reports it
    answered = [
        id(call.node)
        for call in tree.find_all(nodes.Call)
        if any(each.key == "map_indexes" for each in call.kwargs)
    ]
    variables = {each.name for each in tree.find_all(nodes.Name)}
    attributes = {
        attribute
        for each in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Filter))
        if id(each) not in answered and (attribute := _attribute(each))
    }
    return variables & _UNANSWERED_VARIABLES | attributes & (_UNANSWERED_METHODS | {_PULL})


def _attribute(node: Any) -> str | None:
    """Return which attribute *node* reads: ``x.name``, ``x["name"]`` or ``x | attr("name")``."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getattr):
        return node.attr
    key = node.arg if isinstance(node, nodes.Getitem) else None
    if isinstance(node, nodes.Filter) and node.name == "attr" and node.args:
        key = node.args[0]
    value = key.value if isinstance(key, nodes.Const) else None
    return value if isinstance(value, str) else None

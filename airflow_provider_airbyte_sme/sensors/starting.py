"""What a task may not have that begins in the triggerer, where its arguments are rendered too."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.parameters import is_template


def check_renders_in_triggerer(value: object, name: str) -> None:
    """
    Refuse what Airflow 3.3 cannot render in a triggerer.

    Seen on 3.3.2: the output of a task fails there, and ``xcom_pull`` without *map_indexes* asks a
    question that the triggerer never answers, so the trigger hangs.

    :raises AirbyteConfigError: *value* contains one of these.
    """
    pull = "\"{{ ti.xcom_pull('task_id', map_indexes=-1) }}\""
    if not isinstance(value, str):
        if is_template(value):
            raise AirbyteConfigError(
                f"{name} is the output of a task, which cannot be rendered with "
                f"start_from_trigger=True: write {pull}, or leave out start_from_trigger."
            )
    elif "xcom_pull" in value and _pulls_without_map_indexes(value):
        raise AirbyteConfigError(
            f"{name} calls xcom_pull without map_indexes, which never returns with "
            f"start_from_trigger=True: write {pull}, or leave out start_from_trigger."
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


def _pulls_without_map_indexes(template: str) -> bool:
    # Late: a DAG file that uses none of this need not load it.
    from jinja2 import Environment, TemplateSyntaxError, nodes

    try:
        tree = Environment(autoescape=True).parse(template)
    except TemplateSyntaxError:
        return False  # Airflow reports it
    allowed = [
        id(call.node)
        for call in tree.find_all(nodes.Call)
        if any(each.key == "map_indexes" for each in call.kwargs)
    ]
    return any(
        each.attr == "xcom_pull" and id(each) not in allowed
        for each in tree.find_all(nodes.Getattr)
    )

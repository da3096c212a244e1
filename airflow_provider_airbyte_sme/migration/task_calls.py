"""Calls that make operators and sensors of the official provider, as they are written here."""

from __future__ import annotations

from functools import partial

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import (
    CONN_ID,
    Argument,
    default_conn_id,
    may_be_uuid,
    rewrite_argument,
    rewrite_call,
    rewrite_mapped,
    with_argument,
)
from airflow_provider_airbyte_sme.migration.classes import may_be_other
from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.connections import Connections
from airflow_provider_airbyte_sme.migration.kinds import Module, Value, is_functools_partial
from airflow_provider_airbyte_sme.migration.nodes import (
    flag_of,
    is_method,
    is_super_init,
    keyword,
    last_name,
)
from airflow_provider_airbyte_sme.migration.official import Thing
from airflow_provider_airbyte_sme.migration.reasons import Reason
from airflow_provider_airbyte_sme.migration.tasks import Tasks

_COLLECTIONS = cst.List | cst.Tuple | cst.Dict
_LITERALS = cst.BaseString | _COLLECTIONS
_READS_SETTING = frozenset({"get", "getenv"})


class TaskCalls:
    """
    Rewrites these calls.

    :param module: The module.
    :param comments: Its comments.
    :param tasks: Its tasks.
    :param connections: Which of them have an Airflow connection.
    """

    def __init__(
        self, module: Module, comments: Comments, tasks: Tasks, connections: Connections
    ) -> None:
        self._module, self._comments = module, comments
        self._tasks, self._connections = tasks, connections

    def rewrite_call(self, original: cst.Call, updated: cst.Call) -> cst.Call | None:
        """Return a call with the arguments of a task; ``None`` if *original* is something else."""
        if thing := self._tasks.thing_of(original):
            return self._of_official_class(original, updated, thing)
        if passed := self._tasks.passed_on(original):
            return self._of_subclass(original, updated, *passed)
        return None

    def _of_official_class(self, original: cst.Call, updated: cst.Call, thing: Thing) -> cst.Call:
        is_partial = is_functools_partial(self._module, original)
        if may_be_other(self._module, original.args[0].value if is_partial else original.func):
            self._comments.note(original, Reason.SEVERAL_CLASSES)
        updated, reasons = rewrite_call(updated, _rewrite_for(original, thing))
        self._comments.note(original, *reasons)
        if not is_method(original, "expand"):
            self._check_constants(original)
        if is_super_init(original) or is_method(original, "expand", "expand_kwargs"):
            return updated
        if not self._connections.is_missing(original):
            return updated
        # The official provider takes this one by default.
        return with_argument(updated, CONN_ID, default_conn_id())

    def _of_subclass(
        self, original: cst.Call, updated: cst.Call, thing: Thing, own: frozenset[str]
    ) -> cst.Call:
        """Rewrite the arguments that a subclass passes on to the official class."""
        rewrite = _rewrite_for(original, thing)

        def rewrite_others(name: str, value: cst.BaseExpression) -> Argument:
            return Argument(name, value) if name in own else rewrite(name, value)

        updated, reasons = rewrite_call(updated, rewrite_others)
        self._comments.note(original, *reasons)
        return updated

    def _check_constants(self, call: cst.Call) -> None:
        """Check what a call takes from constants of the module, and their defaults."""
        value = self._constant(keyword(call, "connection_id"))
        if isinstance(value, _LITERALS) and not may_be_uuid(value):
            self._comments.note(call, Reason.CONNECTION_ID)
        if isinstance(self._constant(keyword(call, CONN_ID)), _COLLECTIONS):
            self._comments.note(call, Reason.CONN_ID)

    def _constant(self, node: cst.BaseExpression | None) -> Value | None:
        value: Value | None = node
        if isinstance(node, cst.Name):
            values = self._module.values(node)
            value = values[0] if len(values) == 1 else None
        if isinstance(value, cst.Call) and last_name(value.func) in _READS_SETTING:
            # The default, with which the DAG is imported where the setting is not made.
            value = value.args[1].value if len(value.args) > 1 else None
        return value


def _rewrite_for(call: cst.Call, thing: Thing) -> partial[Argument]:
    if is_method(call, "expand"):
        return partial(rewrite_mapped, thing=thing)
    deferrable = flag_of(keyword(call, "deferrable"), default=False)
    return partial(rewrite_argument, thing=thing, deferrable=deferrable)

"""Whether a task is given ``airbyte_conn_id``: by its call, by its mapping, or by its DAG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import libcst as cst

from airflow_provider_airbyte_sme.migration.alternatives import alternatives
from airflow_provider_airbyte_sme.migration.arguments import CONN_ID
from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.defaults import DefaultArgs
from airflow_provider_airbyte_sme.migration.kinds import Module, Value, is_functools_partial
from airflow_provider_airbyte_sme.migration.mappings import Mappings
from airflow_provider_airbyte_sme.migration.nodes import is_method, names_in
from airflow_provider_airbyte_sme.migration.reasons import Reason


class Connections:
    """
    Knows which tasks have an Airflow connection.

    :param module: The module.
    :param comments: Its comments, also on what cannot be told.
    :param mappings: Its mappings.
    :param defaults: Its ``default_args``.
    """

    def __init__(
        self, module: Module, comments: Comments, mappings: Mappings, defaults: DefaultArgs
    ) -> None:
        self._module, self._comments = module, comments
        self._mappings, self._defaults = mappings, defaults

    def is_missing(self, call: cst.Call) -> bool:
        """Whether nothing gives a connection to the task that *call* makes."""
        # A mapping that is not known has a comment already.
        if self._is_in_arguments(call) is not False:
            return False
        given = self._defaults.give_connection(call) if self._defaults.has_dags else False
        if given is None or not self._defaults.has_dags:
            self._comments.note(call, Reason.DEFAULT_ARGS)
        return given is False

    def _is_in_arguments(self, call: cst.Call) -> bool | None:
        """Whether a call, or the ``expand`` after it, has ``airbyte_conn_id``."""
        if isinstance(call.func, cst.Name) and any(
            isinstance(each, cst.Call) and is_functools_partial(self._module, each)
            for each in self._module.values(call.func)
        ):
            return None  # functools.partial has it
        own = self._is_in_call(call)
        if own is not False or not is_method(call, "partial"):
            return own
        found = {self._is_in_call(each) for each in self._expansions[call]}
        if len(found) > 1:
            # What one of several mapped tasks lacks cannot be given to all of them.
            self._comments.note(call, Reason.KEYWORDS)
            return None
        return found.pop() if found else False

    def _is_in_call(self, call: cst.Call) -> bool | None:
        found: set[bool | None] = {CONN_ID in names_in(call)}
        for arg in call.args:
            if arg.star == "**":
                found.add(self._is_in_all(call, [arg.value]))
            elif is_method(call, "expand_kwargs"):
                found.add(self._is_in_all(call, self._mappings.mapped(arg.value)))
        return True if True in found else None if None in found else False

    def _is_in_all(
        self, call: cst.Call, mappings: Sequence[cst.BaseExpression] | None
    ) -> bool | None:
        """Whether each mapping that *call* may take has a connection; else none has one."""
        if mappings is None:
            return None
        variants = (each for mapping in mappings for each in self._mappings.variants(mapping))
        found = {self._is_in_mapping(each) for each in variants}
        if {True, False} <= found:
            # What one of several tasks lacks cannot be given to all of them.
            self._comments.note(call, Reason.KEYWORDS)
        if not found:
            return False
        return found.pop() if len(found) == 1 else None

    def _is_in_mapping(self, mapping: Value) -> bool | None:
        names = self._mappings.names(mapping)
        return None if names is None else CONN_ID in names

    @cached_property
    def _expansions(self) -> dict[cst.CSTNode, list[cst.Call]]:
        """The calls of ``expand`` after each call of ``partial``, directly or in a variable."""
        found: dict[cst.CSTNode, list[cst.Call]] = defaultdict(list)
        for node in self._module.nodes:
            if isinstance(node, cst.Call) and is_method(node, "expand", "expand_kwargs"):
                func = cst.ensure_type(node.func, cst.Attribute)
                for each in alternatives(self._module, func.value):
                    if isinstance(each, cst.Call):
                        found[each].append(node)
        return found

"""Whether an operator gets ``airbyte_conn_id`` from the ``default_args`` of its DAG."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import CONN_ID
from airflow_provider_airbyte_sme.migration.kinds import Module
from airflow_provider_airbyte_sme.migration.mappings import (
    ANY,
    DEFAULT_ARGS,
    Mappings,
    names_of,
)
from airflow_provider_airbyte_sme.migration.nodes import dotted, keyword, last_name, text_of

_OTHER_CONTEXTS = frozenset({"TaskGroup", "open", "suppress", "warns", "raises"})
_CALLS_OF_DAGS = frozenset({"DAG", "dag"})


class DefaultArgs:
    """
    Knows the ``default_args`` that reach a task.

    :param module: The module.
    :param mappings: Its mappings.
    """

    def __init__(self, module: Module, mappings: Mappings) -> None:
        self._module, self._mappings = module, mappings
        self._calls = [node for node in module.nodes if isinstance(node, cst.Call)]
        self._dags = [call for call in self._calls if _is_dag(call)]

    def all(self) -> Iterator[cst.BaseExpression]:
        """Yield each value of ``default_args``, in calls and in dict literals."""
        for node in self._module.nodes:
            value = None
            if isinstance(node, cst.Call):
                value = keyword(node, DEFAULT_ARGS)
            elif isinstance(node, cst.DictElement) and text_of(node.key) == DEFAULT_ARGS:
                value = node.value
            if value is not None and dotted(value) != "None":
                yield value

    def unknown(self) -> Iterator[cst.Call]:
        """Yield the calls that make a DAG of a mapping which may have any ``default_args``."""
        return (call for call in self._dags if not self._of(call)[1])

    def _of(self, call: cst.Call) -> tuple[list[cst.BaseExpression], bool]:
        """Return the ``default_args`` of a call, also those in a mapping, and whether they are."""
        value = keyword(call, DEFAULT_ARGS)
        if value is not None:
            return [value], True
        found: list[cst.BaseExpression] = []
        is_all = True
        for arg in call.args:
            if arg.star == "**":
                literals, complete = self._mappings.literals(arg.value)
                is_all &= complete and all(names_of(each) is not ANY for each in literals)
                found += [each for literal in literals for each in _entries(literal)]
        return found, is_all

    @property
    def has_dags(self) -> bool:
        """Whether the module has a DAG."""
        return bool(self._dags)

    def give_connection(self, call: cst.Call) -> bool | None:
        """Whether the task that *call* makes gets ``airbyte_conn_id``; ``None`` if unknown."""
        around = [*self._around(call)]
        found = {self._has_connection(each) for each in around}
        if True in found:
            return True
        if None in found:
            return None
        if any(map(_is_dag, around)):
            return False
        if not all(map(_is_known_context, self._contexts(call))):
            return None
        found = {self._has_connection(each) for each in self._dags}
        return found.pop() if len(found) == 1 else None

    def _contexts(self, call: cst.Call) -> Iterator[cst.Call]:
        """Yield what makes the context managers around *call*, one of which may be a DAG."""
        for above in self._module.ancestors(call):
            if isinstance(above, cst.With):
                for item in above.items:
                    yield from self._made_by(item.item)

    def _around(self, call: cst.Call) -> Iterator[cst.Call]:
        """Yield the calls that make the DAG and the task groups of *call*, as far as known."""
        dag = keyword(call, "dag")
        if isinstance(dag, cst.Name):
            for value in self._module.values(dag):
                if isinstance(value, cst.Call):
                    yield value
        yield from self._contexts(call)
        for above in self._module.ancestors(call):
            if isinstance(above, cst.FunctionDef):
                for decorator in above.decorators:
                    yield from self._made_by(decorator.decorator)

    def _made_by(self, node: cst.BaseExpression) -> Iterator[cst.Call]:
        if isinstance(node, cst.Call):
            yield node
        elif isinstance(node, cst.Name):
            yield from (each for each in self._module.values(node) if isinstance(each, cst.Call))

    def _has_connection(self, call: cst.Call) -> bool | None:
        values, is_all = self._of(call)
        found = {self._names_connection(value) for value in values}
        if None in found or not is_all:
            return None
        # Of several, the last one in the mapping counts.
        return found.pop() if len(found) == 1 else None if found else False

    def _names_connection(self, value: cst.BaseExpression) -> bool | None:
        if dotted(value) == "None":
            return False
        names = self._mappings.names(value)
        return None if names is None else CONN_ID in names


def _entries(literal: cst.Dict | cst.Call) -> Iterator[cst.BaseExpression]:
    """Yield the ``default_args`` among the entries of a mapping."""
    if isinstance(literal, cst.Call):
        value = keyword(literal, DEFAULT_ARGS)
        if value is not None:
            yield value
        return
    for element in literal.elements:
        if isinstance(element, cst.DictElement) and text_of(element.key) == DEFAULT_ARGS:
            yield element.value


def _is_known_context(call: cst.Call) -> bool:
    """Whether a context manager is no DAG of somebody else's function."""
    return last_name(call.func) in _OTHER_CONTEXTS


def _is_dag(call: cst.Call) -> bool:
    return last_name(call.func) in _CALLS_OF_DAGS

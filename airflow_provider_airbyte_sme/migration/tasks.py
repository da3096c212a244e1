"""Which calls and attributes are those of official operators and sensors."""

from __future__ import annotations

import re
from functools import cached_property

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import OFFICIAL_ONLY
from airflow_provider_airbyte_sme.migration.classes import has_own_init, inits_of
from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.kinds import Form, Module, is_functools_partial
from airflow_provider_airbyte_sme.migration.known import is_known
from airflow_provider_airbyte_sme.migration.nodes import dotted, is_method, is_super_init
from airflow_provider_airbyte_sme.migration.official import CLASS_NAMES, TASKS, Thing
from airflow_provider_airbyte_sme.migration.reasons import Reason

# Airflow's own operators, which have no parameter that is renamed here.
_HARMLESS = frozenset(
    {
        "BashOperator",
        "BranchPythonOperator",
        "DummyOperator",
        "EmptyOperator",
        "ExternalTaskSensor",
        "LatestOnlyOperator",
        "PythonOperator",
        "PythonSensor",
        "ShortCircuitOperator",
    }
)


class Tasks:
    """
    Knows the operators and sensors that a module makes.

    :param module: The module.
    :param comments: Its comments.
    """

    def __init__(self, module: Module, comments: Comments) -> None:
        self._module, self._comments = module, comments

    @cached_property
    def has_official(self) -> bool:
        """Whether the module makes official tasks."""
        return any(
            isinstance(node, cst.Call) and self.thing_of(node) for node in self._module.nodes
        )

    @cached_property
    def has_others(self) -> bool:
        """Whether the module makes tasks of which we do not know the parameters."""
        names = {
            dotted(node.func).removesuffix(".partial").rpartition(".")[2]
            for node in self._module.nodes
            if isinstance(node, cst.Call)
        }
        others = names - _HARMLESS - set(CLASS_NAMES)
        return any(name.endswith(("Operator", "Sensor")) for name in others)

    def thing_of(self, call: cst.Call) -> Thing | None:
        """Return whose arguments those of *call* are, of operator or sensor."""
        func: cst.CSTNode = call.func
        if is_functools_partial(self._module, call):
            func = call.args[0].value
        elif is_super_init(call):
            func = self._module.class_around(call) or func
        elif is_method(call, "partial", "expand", "expand_kwargs"):
            func = cst.ensure_type(func, cst.Attribute).value
        if not is_super_init(call) and has_own_init(self._module, func):
            return None
        forms = (Form.CLASS, Form.PARTIAL)
        things = [
            e.thing
            for e in self._module.kinds(func)
            if e.form in forms and not e.depth and e.thing in TASKS
        ]
        return things[0] if things else None

    def passed_on(self, call: cst.Call) -> tuple[Thing, frozenset[str]] | None:
        """Return whose ``**kwargs`` a class of this module passes on, and its own parameters."""
        func = call.func
        if isinstance(func, cst.Attribute) and func.attr.value in ("partial", "expand"):
            func = func.value
        if not has_own_init(self._module, func):
            return None
        things = [e.thing for e in self._module.kinds(func) if e.form is Form.CLASS]
        classes = [e for e in self._module.values(func) if isinstance(e, cst.ClassDef)]  # type: ignore[arg-type]
        inits = [init for each in classes for init in inits_of(each)]
        if len(classes) != 1 or len(inits) != 1 or not set(things) <= set(TASKS) or not things:
            return None
        names = _own_parameters(inits[0])
        is_inherited = any(has_own_init(self._module, base.value) for base in classes[0].bases)
        return None if names is None or is_inherited else (things[0], names)

    def note_attribute(self, node: cst.Attribute) -> None:
        """Leave it to a person when ``asynchronous`` and the like are read or set in a task."""
        if node.attr.value in OFFICIAL_ONLY and self._may_be_of_task(node):
            self._comments.note(node, Reason.ATTRIBUTES)

    def _may_be_of_task(self, node: cst.Attribute) -> bool:
        if any(each.thing in TASKS and not each.depth for each in self._module.kinds(node.value)):
            return True
        # Many things have a version, and of a subclass, the comment above it says enough.
        is_general = node.attr.value == "api_version" or dotted(node.value) == "self"
        return not is_general and not is_known(self._module, node.value)


def _own_parameters(init: cst.FunctionDef) -> frozenset[str] | None:
    """Return the parameters of a constructor that does nothing but pass on its ``**kwargs``."""
    rest = init.params.star_kwarg
    if rest is None:
        return None
    code = cst.Module([]).code_for_node(init.body)
    uses = re.findall(rf"(\**)\b{rest.name.value}\b", code)
    if uses != ["**"]:
        return None
    params = (*init.params.posonly_params, *init.params.params, *init.params.kwonly_params)
    return frozenset(each.name.value for each in params)

"""Classes of the official provider that other code may derive from, pass on or create."""

from __future__ import annotations

import re

import libcst as cst

from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.kinds import Form, Module, Value
from airflow_provider_airbyte_sme.migration.nodes import (
    dotted,
    is_class_creation,
    last_name,
    text_of,
)
from airflow_provider_airbyte_sme.migration.official import CLASSES
from airflow_provider_airbyte_sme.migration.reasons import Reason

# They take a class as an argument, but do not create anything from it.
_ASKS_ABOUT_CLASS = frozenset(
    {
        *("cast", "getattr", "isinstance", "issubclass", "object", "partial", "print", "super"),
        *("delattr", "setattr"),
    }
)
_MAY_HOLD_CLASS = cst.Name | cst.Attribute | cst.List | cst.Tuple | cst.Set | cst.Dict


class Classes:
    """
    Leaves to a person what other code does with official classes.

    :param module: The module.
    :param comments: Its comments.
    """

    def __init__(self, module: Module, comments: Comments) -> None:
        self._module, self._comments = module, comments

    def note_exports(self, *, has_dags: bool) -> None:
        """
        Leave it to a person when a module imports classes only for other modules.

        :param has_dags: Whether the module has a DAG, and so is none of these.
        """
        exports = _exports(self._module)
        found = {
            alias: node
            for node in self._module.nodes
            if isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar)
            for alias in node.names
            if f"{dotted(node.module)}.{dotted(alias.name)}" in CLASSES
        }
        is_unused = not has_dags and self._words().isdisjoint(map(_name_of, found))
        for alias, node in found.items():
            if is_unused or _name_of(alias) in exports:
                self._comments.note(node, Reason.CLASS_ELSEWHERE)

    def _words(self) -> set[str]:
        """Return the names that are used, also in texts, such as annotations."""
        words: set[str] = set()
        for node in self._module.nodes:
            if isinstance(node, cst.Name) and not self._module.is_in_import(node):
                words.add(node.value)
            elif isinstance(node, cst.SimpleString):
                words |= set(re.findall(r"\w+", node.value))
        return words

    def note_subclass(self, node: cst.ClassDef) -> None:
        """Leave a subclass to a person."""
        if self._may_be_class(node):
            self._comments.note(node, Reason.SUBCLASS)

    def note_path(self, node: cst.Attribute) -> None:
        """Leave it to a person when a class path is computed from ``__module__``."""
        if node.attr.value == "__module__" and self._may_be_class(node.value):
            self._comments.note(node, Reason.CLASS_ELSEWHERE)

    def note_passed(self, call: cst.Call) -> None:
        """Leave it to a person when *call* gets a class, which is then created elsewhere."""
        if last_name(call.func) in _ASKS_ABOUT_CLASS:
            return
        if is_class_creation(call):
            if self._may_be_class(call):
                self._comments.note(call, Reason.SUBCLASS)
            return
        for arg in call.args:
            if isinstance(arg.value, _MAY_HOLD_CLASS) and self._may_be_class(arg.value):
                self._comments.note(call, Reason.CLASS_ELSEWHERE)

    def _may_be_class(self, node: Value) -> bool:
        return any(each.form is Form.CLASS for each in self._module.kinds(node))


def may_be_other(module: Module, func: Value, seen: frozenset[Value] = frozenset()) -> bool:
    """Whether *func*, which may be an official class, may also be something else."""
    seen |= {func}
    match func:
        case cst.IfExp():
            return any(_is_other(module, each, seen) for each in (func.body, func.orelse))
        case cst.Name():
            is_other = any(_is_other(module, each, seen) for each in module.values(func))
            return is_other or not all(path in CLASSES for path in module.names.paths(func))
    return False


def _is_other(module: Module, value: Value, seen: frozenset[Value]) -> bool:
    if value in seen or (isinstance(value, cst.Name) and value.value == "None"):
        return False
    return not module.kinds(value) or may_be_other(module, value, seen)


def has_own_init(module: Module, func: cst.CSTNode) -> bool:
    """Whether *func* is a class of this module that decides about its parameters itself."""
    if not isinstance(func, cst.Name):
        return False
    classes = [each for each in module.values(func) if isinstance(each, cst.ClassDef)]
    return any(
        bool(inits_of(each)) or any(has_own_init(module, base.value) for base in each.bases)
        for each in classes
    )


def inits_of(node: cst.ClassDef) -> list[cst.FunctionDef]:
    """Return the constructors in the body of a class."""
    return [
        part
        for part in node.body.body
        if isinstance(part, cst.FunctionDef) and part.name.value == "__init__"
    ]


def _name_of(alias: cst.ImportAlias) -> str:
    """Return the name that an import gives to what it imports."""
    return dotted(alias.asname.name if alias.asname else alias.name)


def _exports(module: Module) -> set[str]:
    """Return the names in ``__all__``."""
    values = [
        node.value
        for node in module.nodes
        if (isinstance(node, cst.Assign) and dotted(node.targets[0].target) == "__all__")
        or (isinstance(node, cst.AnnAssign | cst.AugAssign) and dotted(node.target) == "__all__")
    ]
    return {
        text_of(element.value) or ""
        for value in values
        if isinstance(value, cst.List | cst.Tuple)
        for element in value.elements
    }

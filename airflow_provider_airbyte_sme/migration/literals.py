"""The literals of a module that hold arguments of tasks, and how they are written here."""

from __future__ import annotations

from functools import partial

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import (
    CONN_ID,
    OFFICIAL_ONLY,
    Argument,
    rewrite_argument,
    rewrite_call,
    rewrite_dict,
)
from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.defaults import DefaultArgs
from airflow_provider_airbyte_sme.migration.kinds import Module
from airflow_provider_airbyte_sme.migration.mappings import Mappings, names_of
from airflow_provider_airbyte_sme.migration.nodes import dotted, is_method, is_super_init, text_of
from airflow_provider_airbyte_sme.migration.official import CLASSES, TASKS, Thing
from airflow_provider_airbyte_sme.migration.reasons import Reason
from airflow_provider_airbyte_sme.migration.tasks import Tasks


class Literals:
    """
    Finds these literals before anything is rewritten.

    :param module: The module.
    :param comments: Its comments, also on what cannot be found.
    :param tasks: Its tasks.
    :param mappings: Its mappings.
    :param defaults: Its ``default_args``.
    """

    def __init__(
        self,
        module: Module,
        comments: Comments,
        tasks: Tasks,
        mappings: Mappings,
        defaults: DefaultArgs,
    ) -> None:
        self._module, self._comments, self._tasks = module, comments, tasks
        self._mappings, self._defaults = mappings, defaults
        self._things: dict[cst.CSTNode, Thing | None] = {}
        """Whose arguments a literal has; ``None`` for ``default_args``."""
        self._find_default_args()
        self._find_arguments()
        self._find_class_paths()

    def _find_default_args(self) -> None:
        for value in self._defaults.all():
            literals, complete = self._mappings.literals(value)
            self._things.update(dict.fromkeys(literals))
            self._note_other_uses(value, literals)
            if not complete and self._tasks.has_official:
                self._comments.note(value, Reason.UNKNOWN_DEFAULT_ARGS)
            for literal in literals:
                if OFFICIAL_ONLY & (names_of(literal) or frozenset()) and self._tasks.has_others:
                    self._comments.note(literal, Reason.OTHER_OPERATORS)
        if self._tasks.has_official:
            for call in self._defaults.unknown():
                self._comments.note(call, Reason.UNKNOWN_DEFAULT_ARGS)

    def _note_other_uses(self, value: cst.CSTNode, literals: list[cst.Dict | cst.Call]) -> None:
        """Leave it to a person to read a mapping of which keys have other names now."""
        if not isinstance(value, cst.Name) or not any(
            OFFICIAL_ONLY & (names_of(each) or frozenset()) for each in literals
        ):
            return
        for use in self._mappings.other_uses(value):
            above = self._module.parent(use)
            is_of_task = isinstance(above, cst.Call) and (
                self._tasks.thing_of(above) or dotted(above.func) == "dict"
            )
            if not is_of_task:
                self._comments.note(use, Reason.RENAMED_KEYS)

    def _find_arguments(self) -> None:
        for node in self._module.nodes:
            if isinstance(node, cst.Call) and (thing := self._tasks.thing_of(node)):
                for arg in node.args:
                    if arg.star == "**":
                        self._find(arg.value, thing, node)
                if is_method(node, "expand_kwargs"):
                    self._find_mapped(node, thing)

    def _find(self, value: cst.CSTNode, thing: Thing, call: cst.Call) -> None:
        literals, complete = self._mappings.literals(value)
        self._things.update(dict.fromkeys(literals, thing))
        self._note_other_uses(value, literals)
        # Of those of a subclass, the comment above it says enough.
        if not complete and not is_super_init(call):
            self._comments.note(call, Reason.KEYWORDS)

    def _find_mapped(self, call: cst.Call, thing: Thing) -> None:
        """Find the dicts of ``expand_kwargs``."""
        for arg in call.args:
            mappings = self._mappings.mapped(arg.value)
            if mappings is None:
                self._comments.note(call, Reason.KEYWORDS)
            for mapping in mappings or ():
                self._find(mapping, thing, call)

    def _find_class_paths(self) -> None:
        """Find the dicts of a factory, such as ``{"operator": "airflow.providers.…", …}``."""
        for node in self._module.nodes:
            if not isinstance(node, cst.Dict):
                continue
            for element in node.elements:
                thing = CLASSES.get(text_of(element.value) or "")
                if thing in TASKS:
                    self._things[node] = thing
                    inner = [
                        each.value for each in node.elements if isinstance(each.value, cst.Dict)
                    ]
                    self._things.update(dict.fromkeys(inner, thing))
                    keys = [names_of(each) or frozenset() for each in (node, *inner)]
                    if not any(CONN_ID in each for each in keys):
                        self._comments.note(node, Reason.CLASS_ELSEWHERE)

    def contain(self, node: cst.CSTNode) -> bool:
        """Whether *node* is inside one of these literals."""
        return any(each in self._things for each in self._module.ancestors(node))

    def rewrite_dict(self, original: cst.Dict, updated: cst.Dict) -> cst.Dict:
        """Return a dict literal with the arguments of tasks that are in it rewritten."""
        if original not in self._things:
            return updated
        updated, reasons = rewrite_dict(updated, self._rewrite_entry(original))
        self._comments.note(original, *reasons)
        return updated

    def rewrite_call(self, original: cst.Call, updated: cst.Call) -> cst.Call | None:
        """Return the same of a call of ``dict``; ``None`` if *original* is something else."""
        if original not in self._things:
            return None
        updated, reasons = rewrite_call(updated, self._rewrite_entry(original))
        self._comments.note(original, *reasons)
        return updated

    def _rewrite_entry(self, literal: cst.CSTNode) -> partial[Argument]:
        thing = self._things[literal]
        if thing is None:
            return partial(self._rewrite_default)
        return partial(rewrite_argument, thing=thing, deferrable=False)

    def _rewrite_default(self, name: str, value: cst.BaseExpression) -> Argument:
        """Return an entry of ``default_args``, of which other operators may take any."""
        if name not in OFFICIAL_ONLY or (name == "api_version" and self._tasks.has_others):
            return Argument(name, value)
        return rewrite_argument(name, value, Thing.SENSOR, deferrable=False)

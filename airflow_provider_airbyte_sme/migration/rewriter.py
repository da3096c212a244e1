"""Rewrites one module: which node is rewritten by which object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import libcst as cst

from airflow_provider_airbyte_sme.migration.classes import Classes
from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.connections import Connections
from airflow_provider_airbyte_sme.migration.defaults import DefaultArgs
from airflow_provider_airbyte_sme.migration.hooks import Hooks
from airflow_provider_airbyte_sme.migration.imports import Imports, uses_official_provider
from airflow_provider_airbyte_sme.migration.kinds import Module
from airflow_provider_airbyte_sme.migration.literals import Literals
from airflow_provider_airbyte_sme.migration.mappings import Mappings
from airflow_provider_airbyte_sme.migration.reasons import Reason
from airflow_provider_airbyte_sme.migration.results import Results
from airflow_provider_airbyte_sme.migration.task_calls import TaskCalls
from airflow_provider_airbyte_sme.migration.tasks import Tasks
from airflow_provider_airbyte_sme.migration.texts import Texts
from airflow_provider_airbyte_sme.migration.xcoms import XComs


@dataclass(frozen=True, slots=True)
class Rewritten:
    """
    A module after the rewrite.

    :param source: The whole file.
    :param reasons: What is left to a person, once for each comment.
    """

    source: bytes
    reasons: tuple[Reason, ...] = ()


def rewrite(source: bytes) -> Rewritten:
    """
    Return a Python file that used the official provider, for this one.

    A file that does not use it is returned as it is. So is what this function has returned.

    :param source: The whole file, in the encoding that it declares.
    :raises libcst.ParserSyntaxError: It is not Python.
    :raises UnicodeDecodeError: It is not in the encoding that it declares.
    """
    if b"airflow.providers" not in source or b"airbyte" not in source:
        return Rewritten(source)
    module = Module(cst.parse_module(source))
    if not uses_official_provider(module):
        return Rewritten(source)
    comments = Comments(module)
    new = module.tree.visit(_Rewriter(module, comments))
    return Rewritten(new.bytes, tuple(comments.written))


class _Rewriter(cst.CSTTransformer):
    """
    Hands each node to what rewrites it.

    Everything decides about the nodes of the original module, and changes their copies.
    """

    def __init__(self, module: Module, comments: Comments) -> None:
        super().__init__()
        self._module, self._comments = module, comments
        mappings = Mappings(module)
        defaults = DefaultArgs(module, mappings)
        results = Results(module)
        self._tasks = Tasks(module, comments)
        self._literals = Literals(module, comments, self._tasks, mappings, defaults)
        self._task_calls = TaskCalls(
            module, comments, self._tasks, Connections(module, comments, mappings, defaults)
        )
        self._classes = Classes(module, comments)
        self._hooks = Hooks(module, comments)
        self._imports = Imports(module, comments)
        self._texts = Texts(module, comments, results, self._literals)
        self._xcoms = XComs(module, comments, results)
        self._classes.note_exports(has_dags=defaults.has_dags)

    def on_leave(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        """Write the comments above a statement once all of it has been rewritten."""
        new = super().on_leave(original_node, updated_node)
        return self._comments.write(original_node, new)

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """Rewrite imports."""
        return self._imports.rewrite_line(original_node, updated_node)

    def leave_ClassDef(  # noqa: N802
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef:
        """Leave a subclass to a person."""
        self._classes.note_subclass(original_node)
        return updated_node

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        """Rename what has another name here."""
        return self._imports.rewrite_name(original_node, updated_node)

    def leave_Attribute(  # noqa: N802
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """Rewrite dotted names, what hooks and jobs have, and ``task.output``."""
        if self._module.is_in_import(original_node):
            return updated_node
        rewrites = (self._imports.rewrite_attribute, self._hooks.rewrite_attribute)
        if (new := _first(rewrites, original_node, updated_node)) is not None:
            return new
        self._classes.note_path(original_node)
        self._tasks.note_attribute(original_node)
        return self._xcoms.rewrite_attribute(original_node, updated_node)

    def leave_Subscript(  # noqa: N802
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.BaseExpression:
        """Rewrite parts of ``task.output``, and of the HTTP responses of the hook."""
        rewrites = (self._xcoms.rewrite_subscript, self._hooks.rewrite_subscript)
        return _first(rewrites, original_node, updated_node) or updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:  # noqa: N802
        """Rewrite what makes tasks and hooks, calls of hooks, and ``xcom_pull``."""
        self._classes.note_passed(original_node)
        self._texts.note_member(original_node)
        rewrites = (
            self._task_calls.rewrite_call,
            self._literals.rewrite_call,
            self._hooks.rewrite_call,
            self._xcoms.rewrite_call,
            self._texts.rewrite_call,
        )
        return _first(rewrites, original_node, updated_node) or updated_node

    def leave_Dict(self, original_node: cst.Dict, updated_node: cst.Dict) -> cst.Dict:  # noqa: N802
        """Rewrite the arguments of tasks that are in a dict."""
        return self._literals.rewrite_dict(original_node, updated_node)

    def leave_SimpleString(  # noqa: N802
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """Rewrite class paths, templates and annotations."""
        return self._texts.rewrite_string(original_node, updated_node)

    def leave_FormattedStringText(  # noqa: N802
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        """Rewrite the same in an f-string."""
        return self._texts.rewrite_formatted(original_node, updated_node)


_Node = TypeVar("_Node", bound=cst.CSTNode)


def _first(
    rewrites: Iterable[Callable[[_Node, _Node], cst.BaseExpression | None]],
    original: _Node,
    updated: _Node,
) -> cst.BaseExpression | None:
    """Return what the first one returns that rewrites nodes such as *original*."""
    found = (rewrite(original, updated) for rewrite in rewrites)
    return next((new for new in found if new is not None), None)

"""The texts of a module: class paths, templates, annotations, and names of members."""

from __future__ import annotations

import re
from functools import partial

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import OFFICIAL_ONLY
from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.kinds import Module
from airflow_provider_airbyte_sme.migration.known import is_known
from airflow_provider_airbyte_sme.migration.literals import Literals
from airflow_provider_airbyte_sme.migration.nodes import dotted, last_name, text_of, with_text
from airflow_provider_airbyte_sme.migration.official import (
    CLASS_PATH,
    CLASSES,
    HOOK_METHODS,
    KNOWN,
    PACKAGE,
    RENAMED,
    TASKS,
    TELLING_METHODS,
    Thing,
    is_member,
    new_text_path,
)
from airflow_provider_airbyte_sme.migration.reasons import Reason
from airflow_provider_airbyte_sme.migration.results import Results

# They take the path, or the owner and the name, of what a test replaces.
_PATCHES = frozenset({"delattr", "multiple", "patch", "setattr"})
_TAKES_NAME = frozenset({"delattr", "getattr", "hasattr", "setattr"})


class Texts:
    """
    Rewrites strings.

    :param module: The module.
    :param comments: Its comments.
    :param results: Whose results its templates read.
    :param literals: Its literals, in which a class path may be with the arguments of the class.
    """

    def __init__(
        self, module: Module, comments: Comments, results: Results, literals: Literals
    ) -> None:
        self._module, self._comments = module, comments
        self._results, self._literals = results, literals

    def rewrite_string(
        self, original: cst.SimpleString, updated: cst.SimpleString
    ) -> cst.SimpleString:
        """Return a string with its class paths, templates or annotations rewritten."""
        above = self._module.parent(original)
        if isinstance(above, cst.Expr) or original.prefix.startswith("b"):
            return updated
        if isinstance(above, cst.Annotation):
            return _annotation(updated)
        text = text_of(original) or ""
        if CLASS_PATH.fullmatch(text):
            return self._class_path(original, updated, text)
        if f"{PACKAGE}." in text:
            self._comments.note(original, Reason.CLASS_ELSEWHERE)
        return with_text(updated, partial(self._text, original))

    def rewrite_formatted(
        self, original: cst.FormattedStringText, updated: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        """Return the same of the text in an f-string."""
        string = self._module.parent(original)
        if string is None or isinstance(self._module.parent(string), cst.Expr):
            return updated
        new = self._text(string, updated.value)
        if PACKAGE in new:
            self._comments.note(original, Reason.CLASS_ELSEWHERE)
            new = _with_new_paths(new)
        return updated.with_changes(value=new)

    def _text(self, node: cst.CSTNode, text: str) -> str:
        if f"{PACKAGE}." in text:
            text = _with_new_paths(text)
        if "xcom_pull" in text and not self._results.is_for_sensor(node):
            text, unclear = self._results.rewrite_template(text)
            if unclear:
                self._comments.note(node, Reason.JOB_ID)
        return text

    def _class_path(
        self, original: cst.SimpleString, updated: cst.SimpleString, path: str
    ) -> cst.SimpleString:
        call = next((e for e in self._module.ancestors(original) if isinstance(e, cst.Call)), None)
        function = "" if call is None else last_name(call.func)
        is_patch = function in _PATCHES
        if is_patch and (is_member(path) or path not in KNOWN or function == "multiple"):
            self._comments.note(original, Reason.MOCKS)
        elif path not in KNOWN and not is_member(path):
            self._comments.note(original, Reason.NO_SUCH_NAME)
        elif path in CLASSES and not is_patch and not self._literals.contain(original):
            self._comments.note(original, Reason.CLASS_ELSEWHERE)
        return with_text(updated, lambda _: new_text_path(path))

    def rewrite_call(self, original: cst.Call, updated: cst.Call) -> cst.Call | None:
        """Return ``patch.object`` of the hook; ``None`` if *original* is something else."""
        if not dotted(original.func).endswith("patch.object"):
            return None
        if len(original.args) < 2 or not any(
            each.thing is Thing.HOOK for each in self._module.kinds(original.args[0].value)
        ):
            return updated
        name = text_of(original.args[1].value) or ""
        value = updated.args[1].value
        if name not in HOOK_METHODS or not isinstance(value, cst.SimpleString):
            return updated
        self._comments.note(original, Reason.MOCKS)
        new = with_text(value, lambda _: HOOK_METHODS[name])
        args = [updated.args[0], updated.args[1].with_changes(value=new), *updated.args[2:]]
        return updated.with_changes(args=args)

    def note_member(self, call: cst.Call) -> None:
        """Leave it to a person to look at ``getattr(task, "asynchronous")`` and the like."""
        function = last_name(call.func)
        if function not in _TAKES_NAME or len(call.args) < 2:
            return
        owner, name = call.args[0].value, text_of(call.args[1].value) or ""
        kinds = self._module.kinds(owner)
        is_unknown = not is_known(self._module, owner)
        is_hook = any(each.thing is Thing.HOOK and not each.depth for each in kinds)
        is_task = any(each.thing in TASKS and not each.depth for each in kinds)
        if name in OFFICIAL_ONLY and (is_task or (is_unknown and name != "api_version")):
            self._comments.note(call, Reason.ATTRIBUTES)
        elif name in TELLING_METHODS and (is_hook or is_unknown):
            is_replaced = isinstance(call.func, cst.Attribute)
            reason = Reason.HOOK_MEMBER if is_hook else Reason.MAY_BE_HOOK
            self._comments.note(call, Reason.MOCKS if is_replaced else reason)


def _annotation(node: cst.SimpleString) -> cst.SimpleString:
    for path in RENAMED:
        old, new = path.rpartition(".")[2], RENAMED[path].rpartition(".")[2]
        if path.startswith(PACKAGE):
            node = with_text(node, lambda text: re.sub(rf"\b{old}\b", new, text))  # noqa: B023
    return node


def _with_new_paths(text: str) -> str:
    return CLASS_PATH.sub(lambda match: new_text_path(match[0]), text)

"""Code that reads the result of an official task, as it reads the job id here."""

from __future__ import annotations

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import with_argument
from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.kinds import Form, Module
from airflow_provider_airbyte_sme.migration.nodes import (
    is_method,
    keyword,
    last_name,
    string,
    text_of,
)
from airflow_provider_airbyte_sme.migration.official import TASKS, Thing
from airflow_provider_airbyte_sme.migration.reasons import Reason
from airflow_provider_airbyte_sme.migration.results import JOB_ID, RESULT, Results


class XComs:
    """
    Rewrites ``output``, ``xcom_pull`` and ``XComArg``.

    :param module: The module.
    :param comments: Its comments.
    :param results: Whose results it reads.
    """

    def __init__(self, module: Module, comments: Comments, results: Results) -> None:
        self._module, self._comments, self._results = module, comments, results

    def rewrite_call(self, original: cst.Call, updated: cst.Call) -> cst.Call | None:
        """Return a call that reads a result; ``None`` if *original* is something else."""
        if isinstance(original.func, cst.Attribute):
            if _reads_xcom(original.func) and self._results.has_operators:
                self._comments.note(original, Reason.JOB_ID)
            if is_method(original, "execute"):
                self._note_executed(original, original.func.value)
            if is_method(original, "xcom_pull"):
                return self._pull(original, updated)
        return self._xcom_arg(original, updated) if last_name(original.func) == "XComArg" else None

    def _note_executed(self, call: cst.Call, task: cst.BaseExpression) -> None:
        """Leave it to a person to run ``task.execute({})``, and to read what it returns."""
        things = {e.thing for e in self._module.kinds(task) if e.form is Form.OBJECT}
        if not things.isdisjoint(TASKS) and any(_is_empty(arg.value) for arg in call.args):
            self._comments.note(call, Reason.CONTEXT)
        is_result_read = not isinstance(self._module.parent(call), cst.Expr)
        if Thing.OPERATOR in things and is_result_read:
            self._comments.note(call, Reason.JOB_ID)

    def _pull(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        if self._results.is_for_sensor(original):
            return updated
        pulled = self._results.tasks_pulled(original)
        if pulled is None:
            self._comments.note(original, Reason.JOB_ID)
        return _with_key(updated, self._job_id(original)) if pulled else updated

    def _xcom_arg(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        is_result = bool(original.args) and self._results.is_operator(original.args[0].value)
        if not is_result or self._results.is_for_sensor(original):
            return updated
        if self._results.is_mapped(original):
            self._comments.note(original, Reason.JOB_ID)
            return updated
        literal = self._job_id(original)
        if len(original.args) == 1:
            return with_argument(updated, "key", literal)
        key = updated.args[1]
        if text_of(key.value) != RESULT:
            return updated
        return updated.with_changes(args=[updated.args[0], key.with_changes(value=literal)])

    def rewrite_attribute(
        self, original: cst.Attribute, updated: cst.Attribute
    ) -> cst.BaseExpression:
        """Return ``task.output["job_id"]`` for ``task.output``."""
        self._note_passed_method(original)
        above = self._module.parent(original)
        is_part_read = isinstance(above, cst.Subscript) and above.value is original
        if is_part_read or self._results.is_for_sensor(original):
            return updated
        is_output = self._results.is_output(original)
        if is_output and self._results.is_mapped(original):
            is_output = None
        if is_output is None:
            self._comments.note(original, Reason.JOB_ID)
        if not is_output:
            return updated
        return cst.Subscript(updated, [cst.SubscriptElement(cst.Index(self._job_id(original)))])

    def _note_passed_method(self, node: cst.Attribute) -> None:
        """Leave it to a person when ``xcom_pull`` is called later."""
        above = self._module.parent(node)
        is_called = isinstance(above, cst.Call) and above.func is node
        if node.attr.value == "xcom_pull" and not is_called and self._results.has_operators:
            self._comments.note(node, Reason.JOB_ID)

    def rewrite_subscript(
        self, original: cst.Subscript, updated: cst.Subscript
    ) -> cst.BaseExpression | None:
        """Return the same for ``task.output["return_value"]``; ``None`` if it is none."""
        if not self._is_whole_result(original):
            return None
        return updated.with_deep_changes(updated.slice[0].slice, value=self._job_id(original))

    def _is_whole_result(self, node: cst.Subscript) -> bool:
        """Whether *node* is ``sync.output["return_value"]``, not passed on to a sensor."""
        index = node.slice[0].slice
        return (
            isinstance(node.value, cst.Attribute)
            and isinstance(index, cst.Index)
            and text_of(index.value) == RESULT
            and self._results.is_output(node.value) is True
            and not self._results.is_for_sensor(node)
        )

    def _job_id(self, place: cst.CSTNode) -> cst.SimpleString:
        return string(JOB_ID, self._module.ancestors(place))


def _is_empty(node: cst.CSTNode) -> bool:
    """Whether *node* is ``{}``, ``dict()`` or ``None``."""
    match node:
        case cst.Dict(elements=()) | cst.Name(value="None"):
            return True
        case cst.Call(func=cst.Name(value="dict"), args=()):
            return True
    return False


def _reads_xcom(func: cst.Attribute) -> bool:
    """Whether *func* is a method of Airflow's model, which may read the result of any task."""
    is_model = last_name(func.value) in ("BaseXCom", "XCom")
    return is_model and func.attr.value in ("get_all", "get_many", "get_one", "get_value")


def _with_key(call: cst.Call, value: cst.SimpleString) -> cst.Call:
    """Return a call of ``xcom_pull`` that reads the job id, the key *value*."""
    args = [
        arg.with_changes(value=value) if arg.keyword and arg.keyword.value == "key" else arg
        for arg in call.args
    ]
    if keyword(call, "key") is not None:
        return call.with_changes(args=args)
    if len(args) > 2 and not any(arg.keyword for arg in args[:3]):
        return call.with_changes(args=[*args[:2], args[2].with_changes(value=value), *args[3:]])
    key = cst.Arg(
        value,
        cst.Name("key"),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    last = args[-1]
    comma = last.comma
    if isinstance(comma, cst.MaybeSentinel):
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        args[-1] = last.with_changes(comma=comma, whitespace_after_arg=cst.SimpleWhitespace(""))
        return call.with_changes(
            args=[*args, key.with_changes(whitespace_after_arg=last.whitespace_after_arg)]
        )
    args[-1] = last.with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
    return call.with_changes(args=[*args, key.with_changes(comma=comma)])

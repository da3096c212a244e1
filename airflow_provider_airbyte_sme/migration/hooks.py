"""Uses of the official hook, of the jobs that it returns, and of the trigger."""

from __future__ import annotations

import re

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import (
    CONN_ID,
    Argument,
    above_zero,
    default_conn_id,
    rewrite_call,
    with_argument,
    without,
)
from airflow_provider_airbyte_sme.migration.classes import has_own_init, may_be_other
from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.kinds import Form, Kind, Module
from airflow_provider_airbyte_sme.migration.known import is_known
from airflow_provider_airbyte_sme.migration.nodes import (
    dotted,
    is_super_init,
    keyword,
    string,
    text_of,
)
from airflow_provider_airbyte_sme.migration.official import (
    HOOK_METHODS,
    HOOK_STATUSES,
    TELLING_METHODS,
    UNCHANGED_HOOK_MEMBERS,
    Thing,
)
from airflow_provider_airbyte_sme.migration.reasons import Reason

_WAIT_PARAMETERS = ("job_id", "wait_seconds", "timeout")
_NO_TIMEOUT = ("None", "0")
_OFFICIAL_TIMEOUT = "3600"
_TRIGGER_PARAMETERS = {"conn_id": "airbyte_conn_id", "end_time": "deadline"}
_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))

# The fields of a job that have the same name and type in both providers.
_SAME_FIELDS = frozenset(
    {"job_id", "status", "connection_id", "job_type", "bytes_synced", "rows_synced"}
)
_RENAMED_FIELDS = {"start_time": "started_at"}


class Hooks:
    """
    Rewrites what uses the hook, the jobs that it returns, and the trigger.

    :param module: The module.
    :param comments: Its comments.
    """

    def __init__(self, module: Module, comments: Comments) -> None:
        self._module, self._comments = module, comments

    def rewrite_call(self, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
        """Return a call of these classes, or of a method; ``None`` if it is another call."""
        kinds = self._module.kinds(original.func)
        if Kind(Form.CLASS, Thing.HOOK) in kinds or self._is_init(original):
            return self._constructor(original, updated)
        if Kind(Form.CLASS, Thing.TRIGGER) in kinds:
            return self._trigger(original, updated)
        if isinstance(original.func, cst.Attribute) and self._is_hook(original.func.value):
            return self._method(original, updated, original.func.attr.value)
        return None

    def _is_init(self, call: cst.Call) -> bool:
        around = self._module.class_around(call) if is_super_init(call) else None
        return Kind(Form.CLASS, Thing.HOOK) in self._module.kinds(around)

    def _is_hook(self, node: cst.CSTNode) -> bool:
        return Kind(Form.OBJECT, Thing.HOOK) in self._module.kinds(node)

    def _constructor(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Rewrite what makes a hook, unless a class of this module decides about its parameters."""
        if not is_super_init(original) and has_own_init(self._module, original.func):
            return updated
        if may_be_other(self._module, original.func):
            self._comments.note(original, Reason.SEVERAL_CLASSES)
        updated, reasons = _rewrite_constructor(updated, is_init=is_super_init(original))
        self._comments.note(original, *reasons)
        return updated

    def _trigger(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        self._comments.note(original, Reason.TRIGGER)
        updated, _ = rewrite_call(
            updated, lambda name, value: Argument(_TRIGGER_PARAMETERS.get(name, name), value)
        )
        return updated

    def _method(self, original: cst.Call, updated: cst.Call, name: str) -> cst.BaseExpression:
        if name not in HOOK_METHODS:
            return updated
        above = self._module.parent(original)
        reads_job_id = isinstance(above, cst.Attribute) and above.attr.value == "job_id"
        new, reasons = _rewrite_method(updated, reads_job_id=reads_job_id)
        self._comments.note(original, *reasons)
        self._note_handler(original)
        return new

    def _note_handler(self, call: cst.Call) -> None:
        """Leave it to a person to catch the errors of this provider."""
        inner: cst.CSTNode = call
        for above in self._module.ancestors(call):
            if isinstance(above, cst.FunctionDef):
                return
            if isinstance(above, cst.Try) and above.body is inner:
                caught = [each.type for each in above.handlers if each.type is not None]
                text = " ".join(self._module.tree.code_for_node(each) for each in caught)
                if re.search(r"\bAirflowException\b", text):
                    self._comments.note(above, Reason.ERRORS)
            inner = above

    def rewrite_attribute(
        self, original: cst.Attribute, updated: cst.Attribute
    ) -> cst.BaseExpression | None:
        """Return a member of a hook, job or status; ``None`` if it is of something else."""
        kinds = self._module.kinds(original.value)
        if Kind(Form.JOB, Thing.HOOK) in kinds:
            return self._field_of_job(original, updated)
        if Kind(Form.STATUS, Thing.HOOK) in kinds:
            return self._member_of_status(original, updated)
        if any(
            each.thing is Thing.HOOK and each.form in (Form.OBJECT, Form.CLASS) and not each.depth
            for each in kinds
        ):
            return self._member_of_hook(original, updated)
        if original.attr.value in TELLING_METHODS and not is_known(self._module, original.value):
            self._comments.note(original, Reason.MAY_BE_HOOK)
        return None

    def _field_of_job(self, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression:
        name = original.attr.value
        if name in _SAME_FIELDS or (name == "json" and self._is_read_response(original)):
            return updated
        self._comments.note(original, Reason.JOB_FIELDS)
        return updated.with_changes(attr=cst.Name(_RENAMED_FIELDS.get(name, name)))

    def _is_read_response(self, node: cst.Attribute) -> bool:
        """Whether ``response.json`` is called for a field that a job has here."""
        return any(
            isinstance(each, cst.Subscript) and _response_field(each) is not None
            for each in self._module.ancestors(node)
        )

    def _member_of_status(
        self, original: cst.Attribute, updated: cst.Attribute
    ) -> cst.BaseExpression:
        if original.attr.value == "value":
            return updated.value
        if original.attr.value == "name":
            self._comments.note(original, Reason.JOB_FIELDS)
        return updated

    def _member_of_hook(
        self, original: cst.Attribute, updated: cst.Attribute
    ) -> cst.BaseExpression:
        name, above = original.attr.value, self._module.parent(original)
        if name in HOOK_STATUSES:
            return string(name.lower(), self._module.ancestors(original))
        is_called = isinstance(above, cst.Call) and above.func is original
        is_method = name in HOOK_METHODS and is_called and self._is_hook(original.value)
        if name not in (*UNCHANGED_HOOK_MEMBERS, "__init__") and not is_method:
            self._comments.note(original, Reason.HOOK_MEMBER)
        return updated

    def rewrite_subscript(
        self, original: cst.Subscript, updated: cst.Subscript
    ) -> cst.BaseExpression | None:
        """Return the field of a job for one of a response of the hook; ``None`` if it is none."""
        found = _response_field(original)
        if found is None or Kind(Form.JOB, Thing.HOOK) not in self._module.kinds(found[0]):
            return None
        field = _response_field(updated)
        return cst.Attribute(field[0], cst.Name(found[1])) if field else None


def _rewrite_constructor(call: cst.Call, *, is_init: bool) -> tuple[cst.Call, list[Reason]]:
    """
    Return ``AirbyteHook(…)`` with the only parameter that it has here.

    :param is_init: Whether it is ``super().__init__(…)`` of a subclass, which gets arguments of
        its own.
    """
    args, reasons, has_connection = list(call.args), [], False
    positions = ["", "api_version", "timeout"]
    if call.args and dotted(call.args[0].value) == "self":
        positions.insert(0, "")
    for index, arg in reversed(list(enumerate(call.args))):
        name = arg.keyword.value if arg.keyword else positions[min(index, len(positions) - 1)]
        if arg.star:
            reasons += [] if is_init else [Reason.KEYWORDS]
            has_connection = True
        elif name in ("", CONN_ID):
            has_connection |= dotted(arg.value) != "self"
        else:
            call, args = without(call, args, index)
            if name == "timeout":
                reasons.append(Reason.REQUEST_TIMEOUT)
    call = call.with_changes(args=args)
    return (call if has_connection else with_argument(call, CONN_ID, default_conn_id())), reasons


def _rewrite_method(
    call: cst.Call, *, reads_job_id: bool
) -> tuple[cst.BaseExpression, list[Reason]]:
    """
    Return the call of a method of the official hook, as it is written here.

    :param call: Its function is an attribute that is in :data:`.HOOK_METHODS`.
    :param reads_job_id: Whether only ``job_id`` of the result is read.
    """
    func = cst.ensure_type(call.func, cst.Attribute)
    official = func.attr.value
    name = func.attr.with_changes(value=HOOK_METHODS[official])
    call = call.with_changes(func=func.with_changes(attr=name))
    match official:
        case "submit_sync_connection" | "submit_reset_connection":
            if official == "submit_reset_connection":
                call = with_argument(call, "job_type", cst.SimpleString('"reset"'))
            return (call if reads_job_id else cst.Attribute(call, cst.Name("job"))), []
        case "get_job_status":
            return cst.Attribute(call, cst.Name("status")), []
        case "wait_for_job":
            return _wait(call, func.value), [Reason.WAIT_FOR_JOB]
    return call, []


def _wait(call: cst.Call, hook: cst.BaseExpression) -> cst.Call:
    """Return a wait that fails if the job does, and that has the official time limit."""
    args = [
        arg
        if index == 0 or arg.keyword or arg.star
        else arg.with_changes(keyword=cst.Name(_WAIT_PARAMETERS[index]), equal=_EQUAL)
        for index, arg in enumerate(call.args)
    ]
    args = [_wait_argument(arg) for arg in args]
    call = call.with_changes(args=args)
    if keyword(call, "timeout") is None and not any(arg.star for arg in args):
        timeout = cst.Arg(cst.Integer(_OFFICIAL_TIMEOUT), cst.Name("timeout"), equal=_EQUAL)
        if args:
            space = cst.SimpleWhitespace(" ")
            args[-1] = args[-1].with_changes(comma=cst.Comma(whitespace_after=space))
        call = call.with_changes(args=[*args, timeout])
    return cst.Call(cst.Attribute(hook, cst.Name("ensure_succeeded")), [cst.Arg(call)])


def _wait_argument(arg: cst.Arg) -> cst.Arg:
    match arg.keyword:
        case cst.Name(value="wait_seconds"):
            keyword = arg.keyword.with_changes(value="poll_interval")
            return arg.with_changes(keyword=keyword, value=above_zero(arg.value))
        case cst.Name(value="timeout") if cst.Module([]).code_for_node(arg.value) in _NO_TIMEOUT:
            return arg.with_changes(value=cst.Name("None"))
    return arg


def _response_field(node: cst.Subscript) -> tuple[cst.BaseExpression, str] | None:
    """
    Return whose field ``response.json()["job"]["id"]`` is, and its name here.

    Up to 4.0, the methods of the hook returned an HTTP response.
    """
    keys: list[str | None] = []
    inner: cst.BaseExpression = node
    while isinstance(inner, cst.Subscript) and len(inner.slice) == 1:
        index = inner.slice[0].slice
        keys.insert(0, text_of(index.value) if isinstance(index, cst.Index) else None)
        inner = inner.value
    match inner:
        case cst.Call(func=cst.Attribute(value=response, attr=cst.Name(value="json")), args=[]):
            field = {
                ("job", "id"): "job_id",
                ("job", "status"): "status",
                ("jobId",): "job_id",
                ("status",): "status",
            }.get(tuple(keys))  # type: ignore[arg-type]
            return (response, field) if field else None
    return None

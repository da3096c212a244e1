"""Calls of the official hook."""

from __future__ import annotations

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import (
    CONN_ID,
    above_zero,
    keyword,
    text_of,
    with_argument,
    without,
)
from airflow_provider_airbyte_sme.migration.kinds import dotted
from airflow_provider_airbyte_sme.migration.official import DEFAULT_CONN_ID, HOOK_METHODS
from airflow_provider_airbyte_sme.migration.reasons import Reason

_WAIT_PARAMETERS = ("job_id", "wait_seconds", "timeout")
_NO_TIMEOUT = ("None", "0")
_OFFICIAL_TIMEOUT = "3600"
_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))

SAME_FIELDS = frozenset(
    {"job_id", "status", "connection_id", "job_type", "bytes_synced", "rows_synced"}
)
"""The fields of a job that have the same name and type in both providers."""
RENAMED_FIELDS = {"start_time": "started_at"}


def default_conn_id() -> cst.SimpleString:
    """Return the literal of the Airflow connection that the official provider takes by default."""
    return cst.SimpleString(f'"{DEFAULT_CONN_ID}"')


def rewrite_constructor(call: cst.Call, *, is_init: bool) -> tuple[cst.Call, list[Reason]]:
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


def rewrite_method(
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


def response_field(node: cst.Subscript) -> tuple[cst.BaseExpression, str] | None:
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

"""The arguments of operators and sensors: in calls, in ``dict(…)`` and in dict literals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar
from uuid import UUID

import libcst as cst

from airflow_provider_airbyte_sme.migration.nodes import text_of
from airflow_provider_airbyte_sme.migration.official import DEFAULT_CONN_ID, Thing
from airflow_provider_airbyte_sme.migration.reasons import Reason

CONN_ID = "airbyte_conn_id"
OFFICIAL_ONLY = frozenset({"asynchronous", "wait_seconds", "api_version"})
"""The parameters that do not exist here."""

# With deferrable=True, the official sensor ignored them and ours refuses them.
_BETWEEN_POKES = frozenset({"exponential_backoff", "max_wait", "silent_fail"})
_LIKE_NOT = (
    cst.BooleanOperation,
    cst.Comparison,
    cst.IfExp,
    cst.Lambda,
    cst.NamedExpr,
    cst.Yield,
)


class Argument(NamedTuple):
    """
    An argument as it is written here.

    :param name: Empty if it has to go.
    """

    name: str
    value: cst.BaseExpression
    reason: Reason | None = None


def rewrite_argument(
    name: str, value: cst.BaseExpression, thing: Thing, *, deferrable: bool | None
) -> Argument:
    """
    Return an argument of the official operator or sensor as it is written here.

    :param deferrable: Whether it is deferrable; ``None`` if that depends on an expression.
    """
    match name:
        case "asynchronous":
            return Argument("wait_for_completion", opposite(value))
        case "wait_seconds":
            return Argument("poll_interval", above_zero(value))
        case "api_version" | "api_type":
            return Argument("", value)
        case "timeout" if thing is Thing.OPERATOR and _is_nothing(value):
            return Argument("", value, Reason.NO_TIMEOUT)
        case "connection_id" if thing is Thing.OPERATOR and not may_be_uuid(value):
            return Argument(name, value, Reason.CONNECTION_ID)
        case _ if name in _BETWEEN_POKES and thing is Thing.SENSOR and deferrable is not False:
            if deferrable:
                return Argument("", value)
            return Argument(name, value, Reason.POKES)
    return Argument(name, value)


def rewrite_mapped(name: str, value: cst.BaseExpression, thing: Thing) -> Argument:
    """Return an argument of ``expand``, which has a list of values."""
    if name == "asynchronous":
        if isinstance(value, cst.List | cst.Tuple):
            inverted = [
                each.with_changes(value=opposite(each.value))
                if isinstance(each, cst.Element)
                else each
                for each in value.elements
            ]
            return Argument("wait_for_completion", value.with_changes(elements=inverted))
        return Argument("wait_for_completion", value, Reason.MAPPED_ASYNCHRONOUS)
    if name == "connection_id":
        return Argument(name, value)
    return rewrite_argument(name, value, thing, deferrable=False)


def opposite(value: cst.BaseExpression) -> cst.BaseExpression:
    """Return the expression that is false where *value* counts as true."""
    match value:
        case cst.Name(value="True"):
            return value.with_changes(value="False")
        case cst.Name(value="False" | "None"):
            return value.with_changes(value="True")
        case cst.UnaryOperation(operator=cst.Not()):
            return cst.Call(cst.Name("bool"), [cst.Arg(value.expression)])
    if isinstance(value, _LIKE_NOT) and not value.lpar:
        value = value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.UnaryOperation(cst.Not(), value)


def above_zero(value: cst.BaseExpression) -> cst.BaseExpression:
    """Return *value*; one second in place of none, which is not allowed here."""
    return cst.Integer("1") if _is_zero(value) else value


def _is_zero(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.Integer | cst.Float) and value.evaluated_value == 0


def _is_nothing(value: cst.BaseExpression) -> bool:
    return _is_zero(value) or (isinstance(value, cst.Name) and value.value == "None")


def may_be_uuid(value: cst.BaseExpression) -> bool:
    """Whether the operator accepts *value* as a UUID, as far as its text is known."""
    text = text_of(value)
    if text is None or "{{" in text or "{%" in text:
        return not isinstance(value, cst.List | cst.Tuple | cst.Dict)
    try:
        UUID(text.strip())
    except ValueError:
        return False
    return True


Rewrite = Callable[[str, cst.BaseExpression], Argument]


def rewrite_call(call: cst.Call, rewrite: Rewrite) -> tuple[cst.Call, list[Reason]]:
    """Return *call* with its keyword arguments rewritten, and what is left to a person."""
    reasons: list[Reason] = []
    args = list(call.args)
    for index in reversed(range(len(args))):
        arg = args[index]
        if arg.keyword is None:
            continue
        new = rewrite(arg.keyword.value, arg.value)
        reasons += [new.reason] if new.reason else []
        if not new.name:
            call, args = without(call, args, index)
        elif new.name != arg.keyword.value or new.value is not arg.value:
            keyword_name = arg.keyword.with_changes(value=new.name)
            args[index] = arg.with_changes(keyword=keyword_name, value=new.value)
    return call.with_changes(args=args), reasons[::-1]


def rewrite_dict(node: cst.Dict, rewrite: Rewrite) -> tuple[cst.Dict, list[Reason]]:
    """Return a dict literal with its entries rewritten, and what is left to a person."""
    reasons: list[Reason] = []
    elements = list(node.elements)
    for index in reversed(range(len(elements))):
        element = elements[index]
        name = text_of(element.key) if isinstance(element, cst.DictElement) else None
        if name is None or not isinstance(element, cst.DictElement):
            continue
        new = rewrite(name, element.value)
        reasons += [new.reason] if new.reason else []
        if not new.name:
            node, elements = _without_element(node, elements, index)
        elif new.name != name or new.value is not element.value:
            key = element.key
            if new.name != name and isinstance(key, cst.SimpleString):
                key = key.with_changes(value=f"{key.prefix}{key.quote}{new.name}{key.quote}")
            elements[index] = element.with_changes(key=key, value=new.value)
    return node.with_changes(elements=elements), reasons[::-1]


def without(call: cst.Call, args: list[cst.Arg], index: int) -> tuple[cst.Call, list[cst.Arg]]:
    """Remove an argument. What stands between its neighbours stays as it was, with its comments."""
    removed, args = args[index], args[:index] + args[index + 1 :]
    space = _space_after(removed)
    if index == len(args):
        if not args:
            before = _merged(call.whitespace_before_args, space)
            call = call.with_changes(whitespace_before_args=before)
        else:
            args[-1] = args[-1].with_changes(
                comma=_last_comma(args[-1].comma, removed.comma),
                whitespace_after_arg=removed.whitespace_after_arg,
            )
    elif index:
        args[index - 1] = _with_space(args[index - 1], space)
    else:
        call = call.with_changes(whitespace_before_args=_merged(call.whitespace_before_args, space))
    return call, args


def _without_element(
    node: cst.Dict, elements: list[cst.BaseDictElement], index: int
) -> tuple[cst.Dict, list[cst.BaseDictElement]]:
    removed, elements = elements[index], elements[:index] + elements[index + 1 :]
    if index == len(elements):
        if elements:
            node, elements[-1] = _at_the_end(node, elements[-1], removed)
    elif index:
        elements[index - 1] = _with_space(elements[index - 1], _space_after(removed))
    else:
        lbrace = node.lbrace
        space = _merged(lbrace.whitespace_after, _space_after(removed))
        node = node.with_changes(lbrace=lbrace.with_changes(whitespace_after=space))
    return node, elements


def _at_the_end(
    node: cst.Dict, last: cst.BaseDictElement, removed: cst.BaseDictElement
) -> tuple[cst.Dict, cst.BaseDictElement]:
    """Make *last* the last element. What follows a last comma belongs to the brace."""
    rbrace = node.rbrace
    if not isinstance(rbrace.whitespace_before, cst.ParenthesizedWhitespace):
        return node, last.with_changes(comma=_last_comma(last.comma, removed.comma))
    space = _merged(_space_after(last), rbrace.whitespace_before)
    node = node.with_changes(rbrace=rbrace.with_changes(whitespace_before=space))
    return node, last.with_changes(comma=removed.comma)


_Space = cst.BaseParenthesizableWhitespace
_Comma = cst.Comma | cst.MaybeSentinel
Item = TypeVar("Item", cst.Arg, cst.BaseDictElement)


def _space_after(item: cst.Arg | cst.BaseDictElement) -> _Space:
    comma = item.comma
    return comma.whitespace_after if isinstance(comma, cst.Comma) else cst.SimpleWhitespace("")


def _with_space(item: Item, space: _Space) -> Item:
    comma = item.comma
    merged = _merged(comma.whitespace_after, space)  # type: ignore[union-attr]
    return item.with_changes(comma=comma.with_changes(whitespace_after=merged))  # type: ignore[union-attr]


def _merged(before: _Space, after: _Space) -> _Space:
    """Return what stands between two items when the one between these two spaces is gone."""
    if not isinstance(after, cst.ParenthesizedWhitespace):
        return before
    if not isinstance(before, cst.ParenthesizedWhitespace):
        return after.with_changes(
            first_line=cst.TrailingWhitespace(newline=after.first_line.newline)
        )
    lines = [*before.empty_lines, *after.empty_lines]
    return before.with_changes(empty_lines=lines, indent=after.indent, last_line=after.last_line)


def _last_comma(before: _Comma, removed: _Comma) -> _Comma:
    """Return the comma of what is now the last item; the comment behind it stays."""
    if not isinstance(removed, cst.Comma) or not isinstance(before, cst.Comma):
        space = before.whitespace_after if isinstance(before, cst.Comma) else None
        has_comment = isinstance(space, cst.ParenthesizedWhitespace) and (
            space.first_line.comment or any(line.comment for line in space.empty_lines)
        )
        return before if has_comment else cst.MaybeSentinel.DEFAULT
    return before.with_changes(
        whitespace_after=_merged(before.whitespace_after, removed.whitespace_after)
    )


def with_argument(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """Return *call* with one more keyword argument, after the id of the task."""
    new = cst.Arg(
        value,
        cst.Name(name),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    args = list(call.args)
    if not args:
        return call.with_changes(args=[new])
    place = next(
        (
            index + 1
            for index, arg in enumerate(args)
            if arg.keyword and arg.keyword.value == "task_id"
        ),
        sum(arg.keyword is None and not arg.star for arg in args),
    )
    between = _separator(call)
    if place == 0:
        new = new.with_changes(comma=cst.Comma(whitespace_after=between))
    elif place == len(args):
        last = args[-1]
        new = new.with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
        args[-1] = last.with_changes(
            comma=cst.Comma(whitespace_after=between), whitespace_after_arg=cst.SimpleWhitespace("")
        )
    else:
        args[place - 1], new = _split(args[place - 1], new)
    return call.with_changes(args=[*args[:place], new, *args[place:]])


def _split(before: cst.Arg, new: cst.Arg) -> tuple[cst.Arg, cst.Arg]:
    """Give *new* the comments that stand above what follows it."""
    comma = before.comma
    space = comma.whitespace_after if isinstance(comma, cst.Comma) else cst.SimpleWhitespace(" ")
    if not isinstance(space, cst.ParenthesizedWhitespace) or not isinstance(comma, cst.Comma):
        return before, new.with_changes(comma=comma)
    own = comma.with_changes(whitespace_after=space.with_changes(empty_lines=[]))
    bare = space.with_changes(first_line=_bare(space.first_line))
    return before.with_changes(comma=own), new.with_changes(
        comma=comma.with_changes(whitespace_after=bare)
    )


def _separator(call: cst.Call) -> _Space:
    """Return what stands between two arguments of *call*, without comments."""
    spaces: Sequence[_Space] = [
        *(_space_after(arg) for arg in call.args[:-1]),
        call.whitespace_before_args,
    ]
    for space in spaces:
        if isinstance(space, cst.ParenthesizedWhitespace):
            return space.with_changes(first_line=_bare(space.first_line), empty_lines=[])
    return cst.SimpleWhitespace(" ")


def _bare(line: cst.TrailingWhitespace) -> cst.TrailingWhitespace:
    return cst.TrailingWhitespace(newline=line.newline)


def default_conn_id() -> cst.SimpleString:
    """Return the literal of the Airflow connection that the official provider takes by default."""
    return cst.SimpleString(f'"{DEFAULT_CONN_ID}"')

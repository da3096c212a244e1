"""Where the result of an official task is read: ``output``, ``xcom_pull`` and templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import keyword, text_of
from airflow_provider_airbyte_sme.migration.kinds import Form, Kind, Module, Value
from airflow_provider_airbyte_sme.migration.official import Thing

JOB_ID = "job_id"
_RESULT = "return_value"

# One call of xcom_pull in a template, and its parts.
_PULL = re.compile(r"xcom_pull\(((?:[^()'\"]|'[^']*'|\"[^\"]*\")*)\)")
_TASK_ID = re.compile(r"^\s*(?:task_ids\s*=\s*)?(?P<quote>['\"])(?P<id>[^'\"]*)(?P=quote)")
_KEY = re.compile(r"\bkey\s*=\s*(['\"])(?P<key>[^'\"]*)\1")


class Results:
    """
    Knows whose result an expression reads.

    :param module: The module.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._task_ids: set[str] = set()
        self._has_other_ids = False
        for node in module.nodes:
            if isinstance(node, cst.Call) and self._makes_operator(node):
                self._note_task_id(keyword(node, "task_id"))

    def _makes_operator(self, call: cst.Call) -> bool:
        made = (Kind(Form.OBJECT, Thing.OPERATOR), Kind(Form.PARTIAL, Thing.OPERATOR))
        is_class_call = any(
            each.form is Form.CLASS for each in self._module.kinds(call.func) if not each.depth
        )
        is_partial = isinstance(call.func, cst.Attribute) and call.func.attr.value == "partial"
        return (is_class_call or is_partial) and any(
            each in made for each in self._module.kinds(call)
        )

    def _note_task_id(self, node: cst.BaseExpression | None) -> None:
        text = text_of(node)
        if text is None and isinstance(node, cst.Name):
            values = self._module.values(node)
            texts = [text_of(each) for each in values if isinstance(each, cst.CSTNode)]
            text = texts[0] if len(texts) == len(values) == 1 else None
        if text is None:
            self._has_other_ids = True
        else:
            self._task_ids.add(text)

    @property
    def has_operators(self) -> bool:
        """Whether the module makes official operators."""
        return bool(self._task_ids) or self._has_other_ids

    def is_operator(self, node: Value) -> bool:
        """Whether *node* is a task of the official operator."""
        return Kind(Form.OBJECT, Thing.OPERATOR) in self._module.kinds(node)

    def is_task_id(self, text: str) -> bool:
        """Whether *text* is the id of such a task, perhaps in a task group."""
        return any(text == each or text.endswith(f".{each}") for each in self._task_ids)

    def is_for_sensor(self, node: cst.CSTNode) -> bool:
        """Whether *node* is the ``airbyte_job_id`` of a sensor, which takes the whole result."""
        above = self._module.parent(node)
        if isinstance(above, cst.ConcatenatedString):
            return self.is_for_sensor(above)
        if not isinstance(above, cst.Arg) or above.keyword is None:
            return False
        call = self._module.parent(above)
        takes_result = any(each.thing is Thing.SENSOR for each in self._module.kinds(call))
        return takes_result and above.keyword.value == "airbyte_job_id"

    def tasks_pulled(self, call: cst.Call) -> bool | None:
        """
        Whether *call* of ``xcom_pull`` reads results of official tasks.

        :return: ``None`` if that cannot be told.
        """
        key = keyword(call, "key") or _positional(call, 2)
        if key is not None and text_of(key) != _RESULT:
            return False if text_of(key) is not None else self.has_operators and None
        tasks = keyword(call, "task_ids") or _positional(call, 0)
        if tasks is None:
            return False
        found = {self._is_id_of_operator(each) for each in _each(tasks)}
        if len(found) == 1:
            return found.pop()
        return None

    def _is_id_of_operator(self, node: cst.BaseExpression) -> bool | None:
        if (text := text_of(node)) is not None:
            # Where ids are computed, any other text may be one of them.
            return True if self.is_task_id(text) else None if self._has_other_ids else False
        if isinstance(node, cst.Attribute) and node.attr.value == "task_id":
            return self._is_operator_or_unknown(node.value)
        if isinstance(node, cst.Name):
            texts = [
                text_of(each) for each in self._module.values(node) if isinstance(each, cst.CSTNode)
            ]
            if texts and None not in texts:
                return all(self.is_task_id(text or "") for text in texts)
        return None if self.has_operators else False

    def _is_operator_or_unknown(self, node: cst.BaseExpression) -> bool | None:
        # A variable or a collection may have several tasks.
        found = {self._is_one(each) for each in self._module.alternatives(node)}
        return found.pop() if len(found) == 1 else None

    def _is_one(self, value: Value) -> bool | None:
        if self.is_operator(value):
            return True
        return False if self._module.is_known(value) else None

    def is_output(self, node: cst.Attribute) -> bool | None:
        """
        Whether *node* is the ``output`` of an official task.

        :return: ``None`` if that cannot be told.
        """
        if node.attr.value != "output" or not self.has_operators:
            return False
        return self._is_operator_or_unknown(node.value)

    def rewrite_template(self, text: str) -> tuple[str, bool]:
        """
        Return a template that takes the job id of the results that it reads.

        :return: The text, and whether it reads results of which that cannot be told.
        """
        unclear = False

        def replace(match: re.Match[str]) -> str:
            nonlocal unclear
            arguments = match[1]
            task, key = _TASK_ID.match(arguments), _KEY.search(arguments)
            if key and key["key"] != _RESULT:
                return match[0]
            if task is None or not self.is_task_id(task["id"]):
                unclear = unclear or (self._has_other_ids or (task is None and self.has_operators))
                return match[0]
            if key:
                return match[0].replace(key[0], key[0].replace(_RESULT, JOB_ID))
            quote = task["quote"]
            return f"xcom_pull({arguments.rstrip()}, key={quote}{JOB_ID}{quote})"

        return _PULL.sub(replace, text), unclear


def with_job_id(call: cst.Call, value: cst.SimpleString) -> cst.Call:
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


def subscripted(node: cst.BaseExpression, key: cst.SimpleString) -> cst.Subscript:
    """Return ``node[key]``."""
    return cst.Subscript(node, [cst.SubscriptElement(cst.Index(key))])


def _positional(call: cst.Call, index: int) -> cst.BaseExpression | None:
    args = [arg for arg in call.args if arg.keyword is None and not arg.star]
    return args[index].value if index < len(args) else None


def _each(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.List | cst.Tuple | cst.Set):
        yield from (each.value for each in node.elements)
    else:
        yield node


Replace = Callable[[str], str]


def with_text(node: cst.SimpleString, replace: Replace) -> cst.SimpleString:
    """Return a literal with its source text replaced between the quotes."""
    start, quote = f"{node.prefix}{node.quote}", node.quote
    if len(node.value) < len(start) + len(quote):
        return node
    inner = node.value[len(start) : -len(quote)]
    new = replace(inner)
    return node if new == inner else node.with_changes(value=f"{start}{new}{quote}")

"""Where the result of an official task is read: ``output``, ``xcom_pull`` and templates."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from airflow_provider_airbyte_sme.migration.alternatives import alternatives
from airflow_provider_airbyte_sme.migration.kinds import Form, Kind, Module, Value
from airflow_provider_airbyte_sme.migration.known import is_known
from airflow_provider_airbyte_sme.migration.nodes import dotted, keyword, last_name, text_of
from airflow_provider_airbyte_sme.migration.official import Thing

JOB_ID = "job_id"
RESULT = "return_value"

# One call of xcom_pull in a template, and its parts.
_PULL = re.compile(r"xcom_pull\(((?:[^()'\"]|'[^']*'|\"[^\"]*\")*)\)")
_TASK_ID = re.compile(
    r"^\s*(?:task_ids\s*=\s*)?\[?(?P<quote>['\"])(?P<id>[^'\"]*)(?P=quote)\]?\s*(?:,|$)"
)
# The DAG, by its name or as the second argument.
_DAG_ID = re.compile(r"\bdag_id\s*=|^[^,]*,\s*(?!\w+\s*=)\S")
_CALL = "xcom_pull("
# It is filled in later, by str.format or by %.
_PLACEHOLDERS = frozenset("%{}")
# The first of a template that has nothing but the result.
_BARE_START = re.compile(r"\{\{+-?[\w.]*xcom_pull\(")
# They do not take one key of a result.
_MAPPING_METHODS = frozenset({"concat", "expand", "expand_kwargs", "map", "zip"})
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
        self._ids_of_others = {*_names_of_decorated(module)}
        for node in module.nodes:
            if isinstance(node, cst.Call):
                if self._makes_operator(node):
                    self._note_task_id(keyword(node, "task_id"))
                elif _may_make_task(node) and (text := text_of(keyword(node, "task_id"))):
                    self._ids_of_others.add(text)

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

    def is_task_id(self, text: str) -> bool | None:
        """
        Whether *text* is the id of such a task, perhaps in a task group.

        :return: ``None`` if that cannot be told, for example because another task has this id too.
        """
        if not _PLACEHOLDERS.isdisjoint(text) or not _is_one_of(text, self._task_ids):
            may_be = self._has_other_ids or (self.has_operators and _PLACEHOLDERS & set(text))
            return None if may_be else False
        return None if _is_one_of(text, self._ids_of_others) else True

    def is_for_sensor(self, node: cst.CSTNode) -> bool:
        """Whether *node* is the ``airbyte_job_id`` of a sensor, which takes the whole result."""
        above = self._module.parent(node)
        if uses := self._uses(node):
            return all(map(self.is_for_sensor, uses))
        if isinstance(above, cst.ConcatenatedString):
            return self.is_for_sensor(above)
        if not isinstance(above, cst.Arg) or above.keyword is None:
            return False
        call = self._module.parent(above)
        takes_result = any(each.thing is Thing.SENSOR for each in self._module.kinds(call))
        return takes_result and above.keyword.value == "airbyte_job_id" and self._is_whole(node)

    def _is_whole(self, node: cst.CSTNode) -> bool:
        """Whether *node* passes the result on as it is, if it is a template."""
        if not isinstance(node, cst.BaseString):
            return True
        code = re.sub(r"\s", "", self._module.tree.code_for_node(node))
        text = code.lstrip("fFrRuU").strip("'\"")
        is_bare = _BARE_START.match(text) and re.search(r"\)-?\}+\}$", text)
        return bool(is_bare) and "|" not in text and text.count(_CALL) == 1

    def is_mapped(self, node: cst.CSTNode) -> bool:
        """Whether *node* is mapped over, which Airflow allows for a whole result only."""
        return self._is_mapped(node) or any(map(self._is_mapped, self._uses(node)))

    def _uses(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        """Return where the variable is used that *node* is assigned to, if so."""
        above = self._module.parent(node)
        targets = above.targets if isinstance(above, cst.Assign) and above.value is node else ()
        names = [each.target for each in targets]
        return [
            use
            for name in names
            if isinstance(name, cst.Name)
            for use in self._module.references(name)
        ]

    def _is_mapped(self, node: cst.CSTNode) -> bool:
        above = self._module.parent(node)
        if isinstance(above, cst.Arg):
            above = self._module.parent(above)
            above = above.func if isinstance(above, cst.Call) else None
        return isinstance(above, cst.Attribute) and above.attr.value in _MAPPING_METHODS

    def tasks_pulled(self, call: cst.Call) -> bool | None:
        """
        Whether *call* of ``xcom_pull`` reads results of official tasks.

        :return: ``None`` if that cannot be told.
        """
        unclear = None if self.has_operators else False
        if any(arg.star for arg in call.args):
            return unclear
        key = keyword(call, "key") or _positional(call, 2)
        if key is not None and text_of(key) != RESULT:
            return False if text_of(key) is not None else unclear
        tasks = keyword(call, "task_ids") or _positional(call, 0)
        if tasks is None:
            return unclear
        found = {self._is_id_of_operator(each) for each in _each(tasks)}
        result = found.pop() if len(found) == 1 else None
        return None if result and _is_of_dag(call) else result

    def _is_id_of_operator(self, node: cst.BaseExpression) -> bool | None:
        if (text := text_of(node)) is not None:
            return self.is_task_id(text)
        if isinstance(node, cst.Attribute) and node.attr.value == "task_id":
            return self._is_operator_or_unknown(node.value)
        if isinstance(node, cst.Name):
            texts = [
                text_of(each) for each in self._module.values(node) if isinstance(each, cst.CSTNode)
            ]
            if texts and None not in texts:
                found = {self.is_task_id(text or "") for text in texts}
                return found.pop() if len(found) == 1 else None
        return None if self.has_operators else False

    def _is_operator_or_unknown(self, node: cst.BaseExpression) -> bool | None:
        # A variable or a collection may have several tasks.
        found = {self._is_one(each) for each in alternatives(self._module, node)}
        return found.pop() if len(found) == 1 else None

    def _is_one(self, value: Value) -> bool | None:
        if self.is_operator(value):
            return True
        return False if is_known(self._module, value) else None

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
        unclear = self.has_operators and text.count(_CALL) > len(_PULL.findall(text))

        def replace(match: re.Match[str]) -> str:
            nonlocal unclear
            arguments = match[1]
            task, key = _TASK_ID.match(arguments), _KEY.search(arguments)
            if key and key["key"] != RESULT:
                return match[0]
            found = self.is_task_id(task["id"]) if task else self.has_operators and None
            if found and _DAG_ID.search(arguments):
                found = None
            if not task or not found:
                unclear = unclear or found is None
                return match[0]
            if key:
                return match[0].replace(key[0], key[0].replace(RESULT, JOB_ID))
            quote = task["quote"]
            bare = arguments.rstrip()
            space = arguments[len(bare) :]
            return f"xcom_pull({bare.removesuffix(',')}, key={quote}{JOB_ID}{quote}{space})"

        return _PULL.sub(replace, text), unclear


def _is_one_of(text: str, ids: set[str]) -> bool:
    return any(text == each or text.endswith(f".{each}") for each in ids)


def _is_of_dag(call: cst.Call) -> bool:
    """Whether a call of ``xcom_pull`` names a DAG."""
    dag_id = keyword(call, "dag_id") or _positional(call, 1)
    return dag_id is not None and dotted(dag_id) != "None"


def _may_make_task(call: cst.Call) -> bool:
    name = last_name(call.func)
    is_method = isinstance(call.func, cst.Attribute) and call.func.attr.value in (
        "override",
        "partial",
    )
    return is_method or name[:1].isupper()


def _names_of_decorated(module: Module) -> Iterator[str]:
    """Yield the names of ``@task`` functions, which are the ids of their tasks."""
    for node in module.nodes:
        if isinstance(node, cst.FunctionDef):
            for each in node.decorators:
                made = each.decorator
                name = dotted(made.func if isinstance(made, cst.Call) else made)
                if name.partition(".")[0] == "task":
                    yield node.name.value


def _positional(call: cst.Call, index: int) -> cst.BaseExpression | None:
    args = [arg for arg in call.args if arg.keyword is None and not arg.star]
    return args[index].value if index < len(args) else None


def _each(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.List | cst.Tuple | cst.Set):
        yield from (each.value for each in node.elements)
    else:
        yield node

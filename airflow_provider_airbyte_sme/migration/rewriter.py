"""Rewrites one module."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import (
    CONN_ID,
    OFFICIAL_ONLY,
    Argument,
    flag_of,
    keyword,
    may_be_uuid,
    names_in,
    rewrite_argument,
    rewrite_call,
    rewrite_dict,
    rewrite_mapped,
    text_of,
    with_argument,
)
from airflow_provider_airbyte_sme.migration.defaults import DefaultArgs, Mappings, names_of
from airflow_provider_airbyte_sme.migration.hooks import (
    RENAMED_FIELDS,
    SAME_FIELDS,
    default_conn_id,
    response_field,
    rewrite_constructor,
    rewrite_method,
)
from airflow_provider_airbyte_sme.migration.imports import (
    import_of,
    rewrite_import,
    rewrite_import_from,
)
from airflow_provider_airbyte_sme.migration.kinds import (
    Form,
    Kind,
    Module,
    dotted,
    is_class_creation,
    is_functools_partial,
    uses_official_provider,
)
from airflow_provider_airbyte_sme.migration.official import (
    CLASS_NAMES,
    CLASS_PATH,
    CLASSES,
    HOOK_METHODS,
    HOOK_STATUSES,
    IMPORTED_NAMES,
    KNOWN,
    MODULES,
    OUR_PACKAGE,
    PACKAGE,
    RENAMED,
    TELLING_METHODS,
    UNCHANGED_HOOK_MEMBERS,
    Thing,
    is_member,
    new_text_path,
)
from airflow_provider_airbyte_sme.migration.reasons import Reason
from airflow_provider_airbyte_sme.migration.results import (
    JOB_ID,
    RESULT,
    Results,
    subscripted,
    with_job_id,
    with_text,
)

_TASKS = (Thing.OPERATOR, Thing.SENSOR)
# Airflow's own operators, which have no parameter that is renamed here.
_HARMLESS = frozenset(
    {
        "BashOperator",
        "BranchPythonOperator",
        "DummyOperator",
        "EmptyOperator",
        "ExternalTaskSensor",
        "LatestOnlyOperator",
        "PythonOperator",
        "PythonSensor",
        "ShortCircuitOperator",
    }
)
# They take a class as an argument, but do not create anything from it.
_ASKS_ABOUT_CLASS = frozenset(
    {
        *("cast", "getattr", "isinstance", "issubclass", "object", "partial", "print", "super"),
        *("delattr", "setattr"),
    }
)
# They take the path, or the owner and the name, of what a test replaces.
_PATCHES = frozenset({"delattr", "multiple", "patch", "setattr"})
_TAKES_NAME = frozenset({"delattr", "getattr", "hasattr", "setattr"})
_MAY_HOLD_CLASS = cst.Name | cst.Attribute | cst.List | cst.Tuple | cst.Set | cst.Dict
_TRIGGER_PARAMETERS = {"conn_id": "airbyte_conn_id", "end_time": "deadline"}
_STATEMENTS = cst.SimpleStatementLine | cst.BaseCompoundStatement


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
    rewriter = _Rewriter(module)
    new = module.tree.visit(rewriter)
    return Rewritten(new.bytes, tuple(rewriter.written))


class _Rewriter(cst.CSTTransformer):
    """Decides about the nodes of the original module, and changes their copies."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.written: list[Reason] = []
        self._module = module
        self._mappings = Mappings(module)
        self._defaults = DefaultArgs(module, self._mappings)
        self._results = Results(module)
        self._reasons: dict[cst.CSTNode, list[Reason]] = {}
        self._roles: dict[cst.CSTNode, Thing | None] = {}
        """Literals with arguments of a task; ``None`` for ``default_args``."""
        self._find_default_args()
        self._find_arguments()
        self._find_class_paths()
        self._find_exports()

    # What is decided beforehand.

    def _find_default_args(self) -> None:
        for value in self._defaults.all():
            literals, complete = self._mappings.literals(value)
            self._roles.update(dict.fromkeys(literals))
            self._note_other_uses(value, literals)
            if not complete and self._makes_tasks:
                self._note(value, Reason.UNKNOWN_DEFAULT_ARGS)
            for literal in literals:
                if OFFICIAL_ONLY & (names_of(literal) or frozenset()) and self._has_other_tasks:
                    self._note(literal, Reason.OTHER_OPERATORS)
        if self._makes_tasks:
            for call in self._defaults.unknown():
                self._note(call, Reason.UNKNOWN_DEFAULT_ARGS)

    def _note_other_uses(self, value: cst.CSTNode, literals: list[cst.Dict | cst.Call]) -> None:
        """Leave it to a person to read a mapping of which keys have other names now."""
        if not isinstance(value, cst.Name) or not any(
            OFFICIAL_ONLY & (names_of(each) or frozenset()) for each in literals
        ):
            return
        for use in self._mappings.other_uses(value):
            above = self._module.parent(use)
            is_of_task = isinstance(above, cst.Call) and (
                self._thing_of_arguments(above) or dotted(above.func) == "dict"
            )
            if not is_of_task:
                self._note(use, Reason.RENAMED_KEYS)

    @property
    def _makes_tasks(self) -> bool:
        return any(
            isinstance(node, cst.Call) and self._thing_of_arguments(node)
            for node in self._module.nodes
        )

    @property
    def _has_other_tasks(self) -> bool:
        """Whether the module makes tasks of which we do not know the parameters."""
        names = {
            dotted(node.func).removesuffix(".partial").rpartition(".")[2]
            for node in self._module.nodes
            if isinstance(node, cst.Call)
        }
        others = names - _HARMLESS - set(CLASS_NAMES)
        return any(name.endswith(("Operator", "Sensor")) for name in others)

    def _find_arguments(self) -> None:
        for node in self._module.nodes:
            if isinstance(node, cst.Call) and (thing := self._thing_of_arguments(node)):
                for arg in node.args:
                    if arg.star == "**":
                        self._find_literals(arg.value, thing, node)
                if _is_method(node, "expand_kwargs"):
                    self._find_mapped(node, thing)

    def _find_literals(self, value: cst.CSTNode, thing: Thing, call: cst.Call) -> None:
        literals, complete = self._mappings.literals(value)
        self._roles.update(dict.fromkeys(literals, thing))
        self._note_other_uses(value, literals)
        # Of those of a subclass, the comment above it says enough.
        if not complete and not _is_super_init(call):
            self._note(call, Reason.KEYWORDS)

    def _find_mapped(self, call: cst.Call, thing: Thing) -> None:
        """Find the dicts of ``expand_kwargs``."""
        values = [arg.value for arg in call.args]
        for value in values:
            found = value
            if isinstance(value, cst.Name):
                known = self._module.values(value)
                found = known[0] if len(known) == 1 and _is_list(known[0]) else value  # type: ignore[assignment]
            match found:
                case cst.List() | cst.Tuple():
                    for element in found.elements:
                        self._find_literals(element.value, thing, call)
                case cst.ListComp():
                    self._find_literals(found.elt, thing, call)
                case _:
                    self._note(call, Reason.KEYWORDS)

    def _find_class_paths(self) -> None:
        """Find the dicts of a factory, such as ``{"operator": "airflow.providers.…", …}``."""
        for node in self._module.nodes:
            if not isinstance(node, cst.Dict):
                continue
            for element in node.elements:
                thing = CLASSES.get(text_of(element.value) or "")
                if thing in _TASKS:
                    self._roles[node] = thing
                    inner = [
                        each.value for each in node.elements if isinstance(each.value, cst.Dict)
                    ]
                    self._roles.update(dict.fromkeys(inner, thing))
                    keys = [names_of(each) or frozenset() for each in (node, *inner)]
                    if not any(CONN_ID in each for each in keys):
                        self._note(node, Reason.CLASS_ELSEWHERE)

    def _find_exports(self) -> None:
        """Leave it to a person when a module imports classes only for other modules."""
        exports = self._module.exports()
        found = {
            alias: node
            for node in self._module.nodes
            if isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar)
            for alias in node.names
            if f"{dotted(node.module)}.{dotted(alias.name)}" in CLASSES
        }
        is_unused = not self._defaults.has_dags and self._words.isdisjoint(map(_name_of, found))
        for alias, node in found.items():
            if is_unused or _name_of(alias) in exports:
                self._note(node, Reason.CLASS_ELSEWHERE)

    @cached_property
    def _words(self) -> set[str]:
        """The names that are used, also in texts, such as annotations."""
        words: set[str] = set()
        for node in self._module.nodes:
            if isinstance(node, cst.Name) and not self._is_in_import(node):
                words.add(node.value)
            elif isinstance(node, cst.SimpleString):
                words |= set(re.findall(r"\w+", node.value))
        return words

    # Comments.

    def _note(self, node: cst.CSTNode, reason: Reason) -> None:
        """Leave something to a person, above the statement of *node*."""
        statement = next(
            each for each in (node, *self._module.ancestors(node)) if isinstance(each, _STATEMENTS)
        )
        reasons = self._reasons.setdefault(statement, [])
        if reason not in reasons:
            reasons.append(reason)

    def _note_all(self, node: cst.CSTNode, reasons: list[Reason]) -> None:
        for reason in reasons:
            self._note(node, reason)

    def on_leave(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        """Write the comments above a statement once all of it has been rewritten."""
        new = super().on_leave(original_node, updated_node)
        reasons = self._reasons.get(original_node, [])
        if not reasons:
            return new
        first, *rest = [*new] if isinstance(new, cst.FlattenSentinel) else [new]
        there = [line.comment.value for line in first.leading_lines if line.comment]
        missing = [each for each in reasons if each.comment not in there]
        self.written += missing
        lines = [cst.EmptyLine(comment=cst.Comment(each.comment)) for each in missing]
        first = first.with_changes(leading_lines=[*first.leading_lines, *lines])
        return cst.FlattenSentinel([first, *rest]) if rest else first

    # Imports and names.

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """Rewrite imports."""
        lines = [updated_node]
        for index, small in enumerate(updated_node.body):
            new: list[cst.BaseSmallStatement] = []
            match small:
                case cst.Import():
                    changed, reasons = rewrite_import(small)
                    new = [changed, *self._imports_of_airflow(original_node, small)]
                    self._note_all(original_node, reasons)
                case cst.ImportFrom():
                    found, reasons = rewrite_import_from(small)
                    new = [*found, *self._imports_of_star(original_node, small)]
                    self._note_all(original_node, reasons)
                case _:
                    continue
            body = [*lines[0].body]
            body[index] = new[0]
            lines[0] = lines[0].with_changes(body=body)
            lines += [cst.SimpleStatementLine([each]) for each in new[1:]]
        return lines[0] if len(lines) == 1 else cst.FlattenSentinel(lines)

    def _imports_of_airflow(
        self, line: cst.SimpleStatementLine, node: cst.Import
    ) -> Iterator[cst.Import]:
        """``import airflow.providers.airbyte`` also imports ``airflow``, which may be used."""
        if not any(
            dotted(alias.name).startswith(PACKAGE) and not alias.asname for alias in node.names
        ):
            return
        for each in self._module.nodes:
            if isinstance(each, cst.Import) and each not in line.body:
                names = [dotted(alias.name) for alias in each.names if not alias.asname]
                if any(n.partition(".")[0] == "airflow" and PACKAGE not in n for n in names):
                    return
        uses = (
            each
            for each in self._module.nodes
            if isinstance(each, cst.Attribute)
            and isinstance(each.value, cst.Name)
            and each.value.value == "airflow"
            and not self._is_in_import(each)
        )
        if any(use.attr.value != "providers" for use in uses):
            yield cst.Import([cst.ImportAlias(cst.Name("airflow"))])

    def _imports_of_star(
        self, line: cst.SimpleStatementLine, node: cst.ImportFrom
    ) -> Iterator[cst.ImportFrom]:
        """Yield imports of what ``from … import *`` has brought, and does not bring here."""
        is_star = isinstance(node.names, cst.ImportStar) and dotted(node.module) in MODULES
        names = self._names_of_stars if is_star else set()
        if names - IMPORTED_NAMES.keys():
            self._note(line, Reason.NO_SUCH_NAME)
        for name in sorted(names & IMPORTED_NAMES.keys()):
            yield import_of(IMPORTED_NAMES[name])
        self._names_of_stars -= names

    @cached_property
    def _names_of_stars(self) -> set[str]:
        """The names that are still to be imported."""
        return {name.value for name in self._module.names_of_stars()}

    def _is_in_import(self, node: cst.CSTNode) -> bool:
        return any(
            isinstance(each, cst.Import | cst.ImportFrom) for each in self._module.ancestors(node)
        )

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        """Rename what has another name here."""
        above = self._module.parent(original_node)
        is_attribute = isinstance(above, cst.Attribute) and above.attr is original_node
        is_keyword = isinstance(above, cst.Arg | cst.Param) and original_node is getattr(
            above, "keyword", getattr(above, "name", None)
        )
        if is_attribute or is_keyword or self._is_in_import(original_node):
            return updated_node
        path = self._module.path(original_node)
        if path in RENAMED and path.rpartition(".")[2] == original_node.value:
            return updated_node.with_changes(value=RENAMED[path].rpartition(".")[2])
        return updated_node

    def leave_ClassDef(  # noqa: N802
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef:
        """Leave a subclass to a person."""
        if any(each.form is Form.CLASS for each in self._module.kinds(original_node)):
            self._note(original_node, Reason.SUBCLASS)
        return updated_node

    def leave_Attribute(  # noqa: N802
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """Rewrite dotted names, ``task.output``, and what hooks and jobs have."""
        if self._is_in_import(original_node):
            return updated_node
        path, text = self._module.path(original_node), dotted(original_node)
        if self._module.is_indirect(original_node):
            self._note(original_node, Reason.NO_SUCH_NAME)
        if text == path == PACKAGE:
            return cst.Name(OUR_PACKAGE)
        if path in RENAMED:
            new = cst.Name(RENAMED[path].rpartition(".")[2])
            return updated_node.with_changes(attr=new) if path.startswith(PACKAGE) else updated_node
        kinds = self._module.kinds(original_node.value)
        if Kind(Form.JOB, Thing.HOOK) in kinds:
            return self._field_of_job(original_node, updated_node)
        if Kind(Form.STATUS, Thing.HOOK) in kinds:
            return self._member_of_status(original_node, updated_node)
        if any(
            each.thing is Thing.HOOK and each.form in (Form.OBJECT, Form.CLASS) and not each.depth
            for each in kinds
        ):
            return self._member_of_hook(original_node, updated_node)
        self._check_value(original_node)
        if original_node.attr.value in OFFICIAL_ONLY and self._may_be_task(original_node):
            self._note(original_node, Reason.ATTRIBUTES)
        if original_node.attr.value in TELLING_METHODS and not self._module.is_known(
            original_node.value
        ):
            self._note(original_node, Reason.MAY_BE_HOOK)
        return self._output(original_node, updated_node)

    def _check_value(self, node: cst.Attribute) -> None:
        """Leave it to a person when a class path is computed, or ``xcom_pull`` is called later."""
        if node.attr.value == "__module__" and any(
            each.form is Form.CLASS for each in self._module.kinds(node.value)
        ):
            self._note(node, Reason.CLASS_ELSEWHERE)
        above = self._module.parent(node)
        is_called = isinstance(above, cst.Call) and above.func is node
        if node.attr.value == "xcom_pull" and not is_called and self._results.has_operators:
            self._note(node, Reason.JOB_ID)

    def _may_be_task(self, node: cst.Attribute) -> bool:
        """Whether ``asynchronous`` and the like may be read from a task, or set in one."""
        if any(each.thing in _TASKS and not each.depth for each in self._module.kinds(node.value)):
            return True
        # Many things have a version, and of a subclass, the comment above it says enough.
        is_general = node.attr.value == "api_version" or dotted(node.value) == "self"
        return not is_general and not self._module.is_known(node.value)

    def _output(self, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression:
        above = self._module.parent(original)
        is_part_read = isinstance(above, cst.Subscript) and above.value is original
        if is_part_read or self._results.is_for_sensor(original):
            return updated
        is_output = self._results.is_output(original)
        if is_output and self._results.is_mapped(original):
            is_output = None
        if is_output is None:
            self._note(original, Reason.JOB_ID)
        return subscripted(updated, self._literal(original, JOB_ID)) if is_output else updated

    def _literal(self, original: cst.CSTNode, text: str) -> cst.SimpleString:
        """Return a literal. Before Python 3.12, an f-string must not contain its own quotes."""
        outer = [e for e in self._module.ancestors(original) if isinstance(e, cst.FormattedString)]
        quote = "'" if any('"' in each.quote for each in outer) else '"'
        return cst.SimpleString(f"{quote}{text}{quote}")

    def _field_of_job(self, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression:
        name = original.attr.value
        if name in SAME_FIELDS or (name == "json" and self._is_read_response(original)):
            return updated
        self._note(original, Reason.JOB_FIELDS)
        return updated.with_changes(attr=cst.Name(RENAMED_FIELDS.get(name, name)))

    def _member_of_status(
        self, original: cst.Attribute, updated: cst.Attribute
    ) -> cst.BaseExpression:
        if original.attr.value == "value":
            return updated.value
        if original.attr.value == "name":
            self._note(original, Reason.JOB_FIELDS)
        return updated

    def _is_read_response(self, node: cst.Attribute) -> bool:
        """Whether ``response.json`` is called for a field that a job has here."""
        return any(
            isinstance(each, cst.Subscript) and response_field(each) is not None
            for each in self._module.ancestors(node)
        )

    def leave_Subscript(  # noqa: N802
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.BaseExpression:
        """Rewrite fields of the HTTP responses that the hook returned up to 4.0."""
        if self._is_whole_result(original_node):
            return updated_node.with_deep_changes(
                updated_node.slice[0].slice, value=self._literal(original_node, JOB_ID)
            )
        found = response_field(original_node)
        if found is None or Kind(Form.JOB, Thing.HOOK) not in self._module.kinds(found[0]):
            return updated_node
        updated = response_field(updated_node)
        return cst.Attribute(updated[0], cst.Name(found[1])) if updated else updated_node

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

    def _member_of_hook(
        self, original: cst.Attribute, updated: cst.Attribute
    ) -> cst.BaseExpression:
        name, above = original.attr.value, self._module.parent(original)
        if name in HOOK_STATUSES:
            return self._literal(original, name.lower())
        is_object = Kind(Form.OBJECT, Thing.HOOK) in self._module.kinds(original.value)
        is_called = is_object and isinstance(above, cst.Call) and above.func is original
        if name not in (*UNCHANGED_HOOK_MEMBERS, "__init__") and not (
            is_called and name in HOOK_METHODS
        ):
            self._note(original, Reason.HOOK_MEMBER)
        return updated

    # Calls.

    def _thing_of_arguments(self, call: cst.Call) -> Thing | None:
        """Return whose arguments those of *call* are, of operator or sensor."""
        func = call.func
        if is_functools_partial(self._module, call):
            func = call.args[0].value
        elif _is_super_init(call):
            func = self._class_around(call) or func  # type: ignore[assignment]
        elif isinstance(func, cst.Attribute) and func.attr.value in (
            "partial",
            "expand",
            "expand_kwargs",
        ):
            func = func.value
        if not _is_super_init(call) and self._has_own_init(func):
            return None
        forms = (Form.CLASS, Form.PARTIAL)
        things = [
            e.thing
            for e in self._module.kinds(func)
            if e.form in forms and not e.depth and e.thing in _TASKS
        ]
        return things[0] if things else None

    def _has_own_init(self, func: cst.BaseExpression) -> bool:
        """Whether *func* is a class of this module that decides about its parameters itself."""
        if not isinstance(func, cst.Name):
            return False
        classes = [each for each in self._module.values(func) if isinstance(each, cst.ClassDef)]
        return any(
            any(_is_init(part) for part in each.body.body)
            or any(self._has_own_init(base.value) for base in each.bases)
            for each in classes
        )

    def _passed_on(self, call: cst.Call) -> tuple[Thing, frozenset[str]] | None:
        """Return whose ``**kwargs`` a class of this module passes on, and its own parameters."""
        func = call.func
        if isinstance(func, cst.Attribute) and func.attr.value in ("partial", "expand"):
            func = func.value
        if not self._has_own_init(func):
            return None
        things = [e.thing for e in self._module.kinds(func) if e.form is Form.CLASS]
        classes = [e for e in self._module.values(func) if isinstance(e, cst.ClassDef)]  # type: ignore[arg-type]
        inits = [part for each in classes for part in each.body.body if _is_init(part)]
        if len(classes) != 1 or len(inits) != 1 or not set(things) <= set(_TASKS) or not things:
            return None
        names = _own_parameters(cst.ensure_type(inits[0], cst.FunctionDef))
        is_inherited = any(self._has_own_init(base.value) for base in classes[0].bases)
        return None if names is None or is_inherited else (things[0], names)

    def _task_of_subclass(
        self, original: cst.Call, updated: cst.Call, thing: Thing, own: frozenset[str]
    ) -> cst.Call:
        """Rewrite the arguments that a subclass passes on to the official class."""
        rewrite = self._rewrite_for(original, thing)

        def rewrite_others(name: str, value: cst.BaseExpression) -> Argument:
            return Argument(name, value) if name in own else rewrite(name, value)

        updated, reasons = rewrite_call(updated, rewrite_others)
        self._note_all(original, reasons)
        return updated

    def _class_around(self, call: cst.Call) -> cst.ClassDef | None:
        return next((e for e in self._module.ancestors(call) if isinstance(e, cst.ClassDef)), None)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:  # noqa: N802
        """Rewrite what makes tasks and hooks, calls of hooks, and ``xcom_pull``."""
        self._note_passed_classes(original_node)
        self._note_names_in_text(original_node)
        if thing := self._thing_of_arguments(original_node):
            return self._task(original_node, updated_node, thing)
        if passed := self._passed_on(original_node):
            return self._task_of_subclass(original_node, updated_node, *passed)
        func = original_node.func
        kinds = self._module.kinds(func)
        if original_node in self._roles:
            return self._literal_call(original_node, updated_node)
        if Kind(Form.CLASS, Thing.HOOK) in kinds or self._is_init_of_hook(original_node):
            return self._hook(original_node, updated_node)
        if Kind(Form.CLASS, Thing.TRIGGER) in kinds:
            return self._trigger(original_node, updated_node)
        if isinstance(func, cst.Attribute):
            if Kind(Form.OBJECT, Thing.HOOK) in self._module.kinds(func.value):
                return self._call_of_hook(original_node, updated_node)
            if _reads_xcom(func) and self._results.has_operators:
                self._note(original_node, Reason.JOB_ID)
            if func.attr.value == "execute" and self._results.is_operator(func.value):
                self._note_executed(original_node)
            if func.attr.value == "xcom_pull":
                return self._xcom_pull(original_node, updated_node)
        if dotted(func).rpartition(".")[2] == "XComArg":
            return self._xcom_arg(original_node, updated_node)
        if dotted(func).endswith("patch.object"):
            return self._patch_object(original_node, updated_node)
        return updated_node

    def _task(self, original: cst.Call, updated: cst.Call, thing: Thing) -> cst.Call:
        is_partial = is_functools_partial(self._module, original)
        if self._module.may_be_other(original.args[0].value if is_partial else original.func):
            self._note(original, Reason.SEVERAL_CLASSES)
        rewrite = self._rewrite_for(original, thing)
        updated, reasons = rewrite_call(updated, rewrite)
        self._note_all(original, reasons)
        self._check_constant(original)
        if _is_super_init(original) or _is_method(original, "expand", "expand_kwargs"):
            return updated
        return self._with_connection(original, updated)

    def _check_constant(self, call: cst.Call) -> None:
        """Check the connection that a call takes from a constant of the module."""
        name = keyword(call, "connection_id")
        values = self._module.values(name) if isinstance(name, cst.Name) else []
        if (
            len(values) == 1
            and isinstance(values[0], cst.BaseString | cst.List | cst.Tuple | cst.Dict)
            and not may_be_uuid(values[0])
        ):
            self._note(call, Reason.CONNECTION_ID)

    def _rewrite_for(self, call: cst.Call, thing: Thing) -> partial[Argument]:
        if _is_method(call, "expand"):
            return partial(rewrite_mapped, thing=thing)
        deferrable = flag_of(keyword(call, "deferrable"), default=False)
        return partial(rewrite_argument, thing=thing, deferrable=deferrable)

    def _with_connection(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Name the Airflow connection that the official provider takes by default."""
        given = self._gives_connection(original)
        if given or (given is None):
            # A mapping that is not known has a comment already.
            return updated
        given = self._defaults.give_connection(original) if self._defaults.has_dags else False
        if given is None or not self._defaults.has_dags:
            self._note(original, Reason.DEFAULT_ARGS)
        return (
            updated
            if given or given is None
            else with_argument(updated, CONN_ID, default_conn_id())
        )

    def _gives_connection(self, call: cst.Call) -> bool | None:
        """Whether a call, or the ``expand`` after it, has ``airbyte_conn_id``."""
        if isinstance(call.func, cst.Name) and any(
            isinstance(each, cst.Call) and is_functools_partial(self._module, each)
            for each in self._module.values(call.func)
        ):
            return None  # functools.partial has it
        own = self._has_connection(call)
        if own is not False or not _is_method(call, "partial"):
            return own
        found = {self._has_connection(each) for each in self._expansions[call]}
        if len(found) > 1:
            # What one of several mapped tasks lacks cannot be given to all of them.
            self._note(call, Reason.KEYWORDS)
            return None
        return found.pop() if found else False

    def _has_connection(self, call: cst.Call) -> bool | None:
        found: set[bool | None] = {CONN_ID in names_in(call)}
        found |= {self._maps_connection(arg.value) for arg in call.args if arg.star == "**"}
        if _is_method(call, "expand_kwargs"):
            found |= {self._mapped_connection(arg.value) for arg in call.args}
        return True if True in found else None if None in found else False

    @cached_property
    def _expansions(self) -> dict[cst.CSTNode, list[cst.Call]]:
        """The calls of ``expand`` after each call of ``partial``, directly or in a variable."""
        found: dict[cst.CSTNode, list[cst.Call]] = defaultdict(list)
        for node in self._module.nodes:
            if isinstance(node, cst.Call) and _is_method(node, "expand", "expand_kwargs"):
                func = cst.ensure_type(node.func, cst.Attribute)
                for each in self._module.alternatives(func.value):
                    if isinstance(each, cst.Call):
                        found[each].append(node)
        return found

    def _maps_connection(self, value: cst.BaseExpression) -> bool | None:
        names = self._mappings.names(value)
        return None if names is None else CONN_ID in names

    def _mapped_connection(self, value: cst.CSTNode) -> bool | None:
        if isinstance(value, cst.Name):
            known = self._module.values(value)
            if len(known) != 1 or not _is_list(known[0]):
                return None
            value = known[0]  # type: ignore[assignment]
        match value:
            case cst.List() | cst.Tuple():
                found = {self._maps_connection(each.value) for each in value.elements}
                return True if True in found else None if None in found else False
            case cst.ListComp():
                return self._maps_connection(value.elt)
        return None

    def _literal_call(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        updated, reasons = rewrite_call(updated, self._rewrite_entry(original))
        self._note_all(original, reasons)
        return updated

    def leave_Dict(self, original_node: cst.Dict, updated_node: cst.Dict) -> cst.Dict:  # noqa: N802
        """Rewrite the arguments of tasks that are in a dict."""
        if original_node not in self._roles:
            return updated_node
        updated, reasons = rewrite_dict(updated_node, self._rewrite_entry(original_node))
        self._note_all(original_node, reasons)
        return updated

    def _rewrite_entry(self, literal: cst.CSTNode) -> partial[Argument]:
        thing = self._roles[literal]
        if thing is None:
            return partial(self._rewrite_default)
        return partial(rewrite_argument, thing=thing, deferrable=False)

    def _rewrite_default(self, name: str, value: cst.BaseExpression) -> Argument:
        """Return an entry of ``default_args``, of which other operators may take any."""
        if name not in OFFICIAL_ONLY or (name == "api_version" and self._has_other_tasks):
            return Argument(name, value)
        return rewrite_argument(name, value, Thing.SENSOR, deferrable=False)

    def _trigger(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        self._note(original, Reason.TRIGGER)
        updated, _ = rewrite_call(
            updated, lambda name, value: Argument(_TRIGGER_PARAMETERS.get(name, name), value)
        )
        return updated

    def _is_init_of_hook(self, call: cst.Call) -> bool:
        around = self._class_around(call) if _is_super_init(call) else None
        return Kind(Form.CLASS, Thing.HOOK) in self._module.kinds(around)

    def _hook(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Rewrite what makes a hook, unless a class of this module decides about its parameters."""
        if not _is_super_init(original) and self._has_own_init(original.func):
            return updated
        if self._module.may_be_other(original.func):
            self._note(original, Reason.SEVERAL_CLASSES)
        updated, reasons = rewrite_constructor(updated, is_init=_is_super_init(original))
        self._note_all(original, reasons)
        return updated

    def _call_of_hook(self, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
        func = cst.ensure_type(original.func, cst.Attribute)
        if func.attr.value not in HOOK_METHODS:
            return updated
        above = self._module.parent(original)
        reads_job_id = isinstance(above, cst.Attribute) and above.attr.value == "job_id"
        new, reasons = rewrite_method(updated, reads_job_id=reads_job_id)
        self._note_all(original, reasons)
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
                    self._note(above, Reason.ERRORS)
            inner = above

    def _xcom_pull(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        if self._results.is_for_sensor(original):
            return updated
        pulled = self._results.tasks_pulled(original)
        if pulled is None:
            self._note(original, Reason.JOB_ID)
        return with_job_id(updated, self._literal(original, JOB_ID)) if pulled else updated

    def _note_executed(self, call: cst.Call) -> None:
        """Leave it to a person to read the result of ``task.execute(context)``."""
        if not isinstance(self._module.parent(call), cst.Expr):
            self._note(call, Reason.JOB_ID)

    def _xcom_arg(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        is_result = bool(original.args) and self._results.is_operator(original.args[0].value)
        if not is_result or self._results.is_for_sensor(original):
            return updated
        if self._results.is_mapped(original):
            self._note(original, Reason.JOB_ID)
            return updated
        literal = self._literal(original, JOB_ID)
        if len(original.args) == 1:
            return with_argument(updated, "key", literal)
        key = updated.args[1]
        if text_of(key.value) != RESULT:
            return updated
        return updated.with_changes(args=[updated.args[0], key.with_changes(value=literal)])

    def _patch_object(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        if len(original.args) < 2 or not any(
            each.thing is Thing.HOOK for each in self._module.kinds(original.args[0].value)
        ):
            return updated
        name = text_of(original.args[1].value) or ""
        value = updated.args[1].value
        if name not in HOOK_METHODS or not isinstance(value, cst.SimpleString):
            return updated
        self._note(original, Reason.MOCKS)
        new = with_text(value, lambda _: HOOK_METHODS[name])
        args = [updated.args[0], updated.args[1].with_changes(value=new), *updated.args[2:]]
        return updated.with_changes(args=args)

    def _note_passed_classes(self, call: cst.Call) -> None:
        """Leave it to a person when a class is created elsewhere."""
        if dotted(call.func).rpartition(".")[2] in _ASKS_ABOUT_CLASS:
            return
        if is_class_creation(call):
            if any(each.form is Form.CLASS for each in self._module.kinds(call)):
                self._note(call, Reason.SUBCLASS)
            return
        for arg in call.args:
            if isinstance(arg.value, _MAY_HOLD_CLASS) and any(
                each.form is Form.CLASS for each in self._module.kinds(arg.value)
            ):
                self._note(call, Reason.CLASS_ELSEWHERE)

    def _note_names_in_text(self, call: cst.Call) -> None:
        """Leave it to a person to look at ``getattr(task, "asynchronous")`` and the like."""
        function = dotted(call.func).rpartition(".")[2]
        if function not in _TAKES_NAME or len(call.args) < 2:
            return
        owner, name = call.args[0].value, text_of(call.args[1].value) or ""
        kinds = self._module.kinds(owner)
        is_known = self._module.is_known(owner)
        is_hook = any(each.thing is Thing.HOOK and not each.depth for each in kinds)
        is_task = any(each.thing in _TASKS and not each.depth for each in kinds)
        if name in OFFICIAL_ONLY and (is_task or not (is_known or name == "api_version")):
            self._note(call, Reason.ATTRIBUTES)
        elif name in TELLING_METHODS and (is_hook or not is_known):
            is_replaced = isinstance(call.func, cst.Attribute)
            reason = Reason.HOOK_MEMBER if is_hook else Reason.MAY_BE_HOOK
            self._note(call, Reason.MOCKS if is_replaced else reason)

    # Strings.

    def leave_SimpleString(  # noqa: N802
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """Rewrite class paths, templates and annotations."""
        above = self._module.parent(original_node)
        if isinstance(above, cst.Expr) or original_node.prefix.startswith("b"):
            return updated_node
        if isinstance(above, cst.Annotation):
            return self._annotation(updated_node)
        text = text_of(original_node) or ""
        if CLASS_PATH.fullmatch(text):
            return self._class_path(original_node, updated_node)
        if f"{PACKAGE}." in text:
            self._note(original_node, Reason.CLASS_ELSEWHERE)
        return with_text(updated_node, partial(self._text, original_node))

    def leave_FormattedStringText(  # noqa: N802
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        """Rewrite the same in an f-string."""
        string = self._module.parent(original_node)
        if string is None or isinstance(self._module.parent(string), cst.Expr):
            return updated_node
        new = self._text(string, updated_node.value)
        if PACKAGE in new:
            self._note(original_node, Reason.CLASS_ELSEWHERE)
            new = CLASS_PATH.sub(lambda match: new_text_path(match[0]), new)
        return updated_node.with_changes(value=new)

    def _text(self, node: cst.CSTNode, text: str) -> str:
        if f"{PACKAGE}." in text:
            text = CLASS_PATH.sub(lambda match: new_text_path(match[0]), text)
        if "xcom_pull" in text and not self._results.is_for_sensor(node):
            text, unclear = self._results.rewrite_template(text)
            if unclear:
                self._note(node, Reason.JOB_ID)
        return text

    def _annotation(self, node: cst.SimpleString) -> cst.SimpleString:
        for path in RENAMED:
            old, new = path.rpartition(".")[2], RENAMED[path].rpartition(".")[2]
            if path.startswith(PACKAGE):
                node = with_text(node, lambda text: re.sub(rf"\b{old}\b", new, text))  # noqa: B023
        return node

    def _class_path(
        self, original: cst.SimpleString, updated: cst.SimpleString
    ) -> cst.SimpleString:
        path = text_of(original) or ""
        call = next((e for e in self._module.ancestors(original) if isinstance(e, cst.Call)), None)
        function = "" if call is None else dotted(call.func).rpartition(".")[2]
        is_patch = function in _PATCHES
        if is_patch and (is_member(path) or path not in KNOWN or function == "multiple"):
            self._note(original, Reason.MOCKS)
        elif path not in KNOWN and not is_member(path):
            self._note(original, Reason.NO_SUCH_NAME)
        elif path in CLASSES and not is_patch and not self._is_in_factory(original):
            self._note(original, Reason.CLASS_ELSEWHERE)
        return with_text(updated, lambda _: new_text_path(path))

    def _is_in_factory(self, node: cst.CSTNode) -> bool:
        return any(each in self._roles for each in self._module.ancestors(node))


def _name_of(alias: cst.ImportAlias) -> str:
    """Return the name that an import gives to what it imports."""
    return dotted(alias.asname.name if alias.asname else alias.name)


def _is_super_init(call: cst.Call) -> bool:
    """Whether *call* is ``super().__init__(…)`` or ``Base.__init__(self, …)``."""
    if not _is_method(call, "__init__"):
        return False
    owner = cst.ensure_type(call.func, cst.Attribute).value
    if isinstance(owner, cst.Call):
        return dotted(owner.func) == "super"
    return bool(call.args) and dotted(call.args[0].value) == "self"


def _reads_xcom(func: cst.Attribute) -> bool:
    """Whether *func* is a method of Airflow's model, which may read the result of any task."""
    is_model = dotted(func.value).rpartition(".")[2] in ("BaseXCom", "XCom")
    return is_model and func.attr.value in ("get_all", "get_many", "get_one", "get_value")


def _own_parameters(init: cst.FunctionDef) -> frozenset[str] | None:
    """Return the parameters of a constructor that does nothing but pass on its ``**kwargs``."""
    rest = init.params.star_kwarg
    if rest is None:
        return None
    code = cst.Module([]).code_for_node(init.body)
    uses = re.findall(rf"(\**)\b{rest.name.value}\b", code)
    if uses != ["**"]:
        return None
    params = (*init.params.posonly_params, *init.params.params, *init.params.kwonly_params)
    return frozenset(each.name.value for each in params)


def _is_init(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.FunctionDef) and node.name.value == "__init__"


def _is_method(call: cst.Call, *names: str) -> bool:
    return isinstance(call.func, cst.Attribute) and call.func.attr.value in names


def _is_list(node: object) -> bool:
    return isinstance(node, cst.List | cst.Tuple | cst.ListComp)

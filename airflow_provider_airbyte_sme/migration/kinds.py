"""What the expressions of a module are: classes and objects of the official provider, and jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import libcst as cst
from libcst import metadata as meta

from airflow_provider_airbyte_sme.migration.names import Names
from airflow_provider_airbyte_sme.migration.nodes import (
    dotted,
    is_call_of,
    is_class_creation,
    returns,
    text_of,
)
from airflow_provider_airbyte_sme.migration.official import CLASSES, Thing

_JOB_METHODS = frozenset(
    {"submit_sync_connection", "submit_reset_connection", "get_job_details", "get_job"}
)
# Methods of an operator that return it.
_FLUENT = frozenset({"as_setup", "as_teardown"})


class Form(Enum):
    """In which form an expression has a :class:`.Thing`."""

    CLASS = "class"
    PARTIAL = "partial"
    OBJECT = "object"
    JOB = "job"
    """What a method of the hook returned."""
    STATUS = "status"
    """The status of a job, which is an enum in the official provider and text here."""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What an expression may be.

    :param depth: In how many collections: 1 for a list of operators.
    """

    form: Form
    thing: Thing
    depth: int = 0


Kinds = frozenset[Kind]
NOTHING: Kinds = frozenset()


@dataclass(frozen=True, eq=False, slots=True)
class Element:
    """Any element of an iterable expression."""

    of: cst.CSTNode


Value = cst.CSTNode | Element
"""What a name may stand for."""


class Module:
    """
    A parsed module with its metadata.

    :param tree: The module that was parsed.
    """

    def __init__(self, tree: cst.Module) -> None:
        wrapper = meta.MetadataWrapper(tree)
        self.tree = wrapper.module
        self.names = Names(wrapper)
        self._scopes: Mapping[cst.CSTNode, meta.Scope | None] = wrapper.resolve(meta.ScopeProvider)
        self._parents = wrapper.resolve(meta.ParentNodeProvider)
        self.nodes: list[cst.CSTNode] = list(self._parents)
        self._reaches_by_text = any(map(_reaches_by_text, self.nodes))
        self._kinds: dict[Value, Kinds] = {}
        self._open: set[Value] = set()
        """What :meth:`kinds` is looking at, from the outside to the inside."""
        self._is_cut = False

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return the node that contains *node*; ``None`` for the module."""
        return self._parents.get(node)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield what contains *node*, from the inside to the outside."""
        while (above := self.parent(node)) is not None:
            yield above
            node = above

    def is_in_import(self, node: cst.CSTNode) -> bool:
        """Whether *node* is part of an import."""
        return node in self._in_imports

    @cached_property
    def _in_imports(self) -> frozenset[cst.CSTNode]:
        imports = (each for each in self.nodes if isinstance(each, cst.Import | cst.ImportFrom))
        return frozenset(part for each in imports for part in _parts(each))

    def _path_by_text(self, node: Value, seen: frozenset[Value] = frozenset()) -> str:
        """Return the path of what ``import_module("a")`` and ``getattr(a, "b")`` give."""
        if not self._reaches_by_text or node in seen:
            return ""
        seen |= {node}
        match node:
            case cst.Name():
                values = self.values(node)
                return self._path_by_text(values[0], seen) if len(values) == 1 else ""
            case cst.Attribute():
                return self._member(node.value, node.attr.value, seen)
            case cst.Call() if is_call_of(node, "import_module"):
                return text_of(node.args[0].value) or ""
            case cst.Call() if is_call_of(node, "getattr") and len(node.args) > 1:
                return self._member(node.args[0].value, text_of(node.args[1].value), seen)
        return ""

    def _member(self, owner: cst.CSTNode, name: str | None, seen: frozenset[Value]) -> str:
        path = self.names.path(owner) or self._path_by_text(owner, seen)
        return f"{path}.{name}" if path and name else ""

    def kinds(self, node: Value | None) -> Kinds:
        """Return what *node* may be; nothing if it is something else or unknown."""
        if node is None:
            return NOTHING
        if node in self._kinds:
            return self._kinds[node]
        if node in self._open:
            self._is_cut = True
            return NOTHING
        was_cut, self._is_cut = self._is_cut, False
        self._open.add(node)
        found = self._find_kinds(node)
        self._open.remove(node)
        # What refers to itself is only complete where it began.
        if not self._open or not self._is_cut:
            self._kinds[node] = found
        self._is_cut = bool(self._open) and (was_cut or self._is_cut)
        return found

    def _find_kinds(self, node: Value) -> Kinds:
        if thing := CLASSES.get(self.names.path(node) or self._path_by_text(node)):
            return frozenset({Kind(Form.CLASS, thing)})
        match node:
            case cst.Name():
                return self._of_all(self.values(node))
            case cst.Await() | cst.NamedExpr():
                inner = node.expression if isinstance(node, cst.Await) else node.value
                return self.kinds(inner)
            case cst.IfExp():
                return self._of_all([node.body, node.orelse])
            case cst.List() | cst.Tuple() | cst.Set():
                return _deeper(self._of_all([each.value for each in node.elements]))
            case cst.Dict():
                return _deeper(self._of_all([each.value for each in node.elements]))
            case cst.ListComp() | cst.GeneratorExp() | cst.SetComp():
                return _deeper(self.kinds(node.elt))
            case cst.DictComp():
                return _deeper(self.kinds(node.value))
            case cst.Subscript():
                return _shallower(self.kinds(node.value))
            case cst.Attribute():
                own = self._of_all(self._own_values(node))
                return own | self._of_status(node)
            case cst.ClassDef():
                return self._of_all([each.value for each in node.bases])
            case Element():
                return _shallower(self.kinds(node.of))
            case cst.Annotation():
                return self._of_annotation(node)
            case cst.Call():
                return self._of_call(node)
        return NOTHING

    def _of_all(self, nodes: Sequence[Value]) -> Kinds:
        return frozenset().union(*(self.kinds(each) for each in nodes))

    def _of_call(self, call: cst.Call) -> Kinds:
        func = call.func
        if is_functools_partial(self, call):
            return self.kinds(call.args[0].value)
        if is_class_creation(call):
            return _shallower(self.kinds(call.args[1].value))
        made = {
            Kind(Form.OBJECT, each.thing)
            for each in self.kinds(func)
            if each.form is Form.CLASS and not each.depth
        }
        if made:
            return frozenset(made)
        if isinstance(func, cst.Attribute):
            returned = [e for each in self._own_methods(func) for e in returns(each)]
            return frozenset(self._of_method(func)) | self._of_all(returned)
        if isinstance(func, cst.Name):
            returned = [
                each
                for function in self.values(func)
                if isinstance(function, cst.FunctionDef | cst.Lambda)
                for each in returns(function)
            ]
            return self._of_all(returned)
        return NOTHING

    def _of_method(self, func: cst.Attribute) -> Iterator[Kind]:
        name = func.attr.value
        for each in self.kinds(func.value):
            match each.form, name:
                case Form.CLASS, "partial":
                    yield Kind(Form.PARTIAL, each.thing)
                case Form.PARTIAL, "expand" | "expand_kwargs":
                    yield Kind(Form.OBJECT, each.thing)
                case Form.OBJECT, _ if name in _FLUENT:
                    yield each
                case Form.OBJECT, _ if each.thing is Thing.HOOK and name in _JOB_METHODS:
                    yield Kind(Form.JOB, each.thing)
                case Form.OBJECT, "get_job_status" if each.thing is Thing.HOOK:
                    yield Kind(Form.STATUS, each.thing)
                case _, "values" | "copy" if each.depth:
                    yield each

    def _of_status(self, node: cst.Attribute) -> Kinds:
        if node.attr.value != "status":
            return NOTHING
        return frozenset(
            replace(each, form=Form.STATUS)
            for each in self.kinds(node.value)
            if each.form is Form.JOB
        )

    def _of_annotation(self, node: cst.Annotation) -> Kinds:
        return frozenset(
            replace(each, form=Form.OBJECT)
            for part in _alternatives_of_annotation(node.annotation)
            for each in self.kinds(part)
            if each.form is Form.CLASS
        )

    def values(self, name: cst.Name) -> list[Value]:
        """Return what may be assigned to *name*: expressions, functions, classes, parameters."""
        scope = self._scopes.get(name)
        if scope is None:
            return []
        return [
            value
            for assignment in scope[name.value]
            if isinstance(assignment, meta.Assignment)
            and not isinstance(assignment, meta.ImportAssignment)
            for value in self._assigned(assignment.node)
        ]

    def references(self, name: cst.Name) -> list[cst.CSTNode]:
        """Return where the value of the variable *name* is read."""
        scope = self._scopes.get(name)
        if scope is None:
            return []
        return [access.node for assignment in scope[name.value] for access in assignment.references]

    def _assigned(self, target: cst.CSTNode) -> Iterator[Value]:
        """Yield the value of an assignment to *target*."""
        if isinstance(target, cst.FunctionDef | cst.ClassDef):
            yield target
            return
        if isinstance(target, cst.Param):
            yield target.annotation or target
            return
        above = self.parent(target)
        match above:
            case cst.AssignTarget():
                statement = self.parent(above)
                if isinstance(statement, cst.Assign):
                    yield statement.value
            case cst.AnnAssign():
                yield from self._annotated(above)
            case cst.NamedExpr():
                yield above.value
            case cst.For() | cst.CompFor():
                yield Element(of=above.iter)
            case cst.AsName():
                item = self.parent(above)
                if isinstance(item, cst.WithItem):
                    yield item.item
            case cst.Param():
                yield above.annotation or above
            case cst.Element():
                yield from self._unpacked(above)
            case cst.AugAssign():
                yield above.target
                yield cst.Param(cst.Name("unknown"))

    def _unpacked(self, element: cst.Element) -> Iterator[Value]:
        """Yield the value of an element of ``a, b = x, y``."""
        targets = self.parent(element)
        statement = None if targets is None else self.parent(targets)
        if isinstance(statement, cst.AssignTarget):
            statement = self.parent(statement)
        if isinstance(targets, cst.Tuple) and isinstance(statement, cst.For | cst.CompFor):
            is_value = targets.elements[-1] is element
            values = _values_of_pairs(statement.iter) if len(targets.elements) == 2 else None
            yield Element(of=values) if values and is_value else cst.Param(cst.Name("unknown"))
            return
        if not isinstance(targets, cst.Tuple | cst.List) or not isinstance(statement, cst.Assign):
            yield cst.Param(cst.Name("unknown"))
            return
        values, index = statement.value, list(targets.elements).index(element)
        if isinstance(values, cst.Tuple | cst.List) and index < len(values.elements):
            yield values.elements[index].value
        else:
            yield Element(of=values)

    def _annotated(self, assign: cst.AnnAssign) -> Iterator[Value]:
        if assign.value is not None:
            yield assign.value
        # Of most annotations, nothing is to be learned.
        if self._of_annotation(assign.annotation):
            yield assign.annotation

    def _own_values(self, node: cst.Attribute) -> list[Value]:
        """Return what a class has as ``self.name``."""
        properties = [
            value for each in self._own_methods(node, properties=True) for value in returns(each)
        ]
        own = self.class_around(node) if dotted(node.value) == "self" else None
        return properties + [
            value
            for around, assign in self._assigns_of_classes.get(node.attr.value, ())
            if around is own
            for value in self._values_of(assign)
        ]

    def _values_of(self, assign: cst.Assign | cst.AnnAssign) -> Iterator[Value]:
        if isinstance(assign, cst.Assign):
            yield assign.value
        else:
            yield from self._annotated(assign)

    def _own_methods(
        self, node: cst.Attribute, *, properties: bool = False
    ) -> Iterator[cst.FunctionDef]:
        """Yield the method, or the property, of its class that ``self.name`` is."""
        own = self.class_around(node) if dotted(node.value) in ("self", "cls") else None
        for each in own.body.body if own else ():
            if isinstance(each, cst.FunctionDef) and each.name.value == node.attr.value:
                names = {dotted(decorator.decorator) for decorator in each.decorators}
                if properties == any(name.endswith("property") for name in names):
                    yield each

    def class_around(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """Return the innermost class that contains *node*."""
        return next((e for e in self.ancestors(node) if isinstance(e, cst.ClassDef)), None)

    @cached_property
    def _assigns_of_classes(
        self,
    ) -> dict[str, list[tuple[cst.ClassDef, cst.Assign | cst.AnnAssign]]]:
        """The assignments to ``self.name``, and to names in the body of a class, by name."""
        found = defaultdict(list)
        for node in self.nodes:
            if isinstance(node, cst.Assign | cst.AnnAssign) and (own := self.class_around(node)):
                targets = (
                    [each.target for each in node.targets]
                    if isinstance(node, cst.Assign)
                    else [node.target]
                )
                for target in targets:
                    head, _, name = dotted(target).rpartition(".")
                    if head == "self" or (not head and self._is_in_body(node, own)):
                        found[name].append((own, node))
        return found

    def _is_in_body(self, node: cst.CSTNode, own: cst.ClassDef) -> bool:
        return not any(
            isinstance(each, cst.FunctionDef) and own in self.ancestors(each)
            for each in self.ancestors(node)
        )


def _values_of_pairs(node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return what the second of each pair comes from, in ``x.items()`` and ``enumerate(x)``."""
    match node:
        case cst.Call(func=cst.Attribute(value=owner, attr=cst.Name(value="items"))):
            return owner
        case cst.Call(func=cst.Name(value="enumerate"), args=[first, *_]):
            return first.value
    return None


def _parts(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield all that *node* contains."""
    for child in node.children:
        yield child
        yield from _parts(child)


def is_functools_partial(module: Module, call: cst.Call) -> bool:
    """Whether *call* is ``functools.partial(something, …)``."""
    return module.names.path(call.func) == "functools.partial" and bool(call.args)


def _reaches_by_text(node: cst.CSTNode) -> bool:
    return is_call_of(node, "getattr") or is_call_of(node, "import_module")


def _deeper(kinds: Kinds) -> Kinds:
    return frozenset(replace(each, depth=each.depth + 1) for each in kinds)


def _shallower(kinds: Kinds) -> Kinds:
    return frozenset(replace(each, depth=each.depth - 1) for each in kinds if each.depth)


def _alternatives_of_annotation(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield the parts of ``A | B``, ``Optional[A]`` and ``Union[A, B]``."""
    match node:
        case cst.BinaryOperation():
            yield from _alternatives_of_annotation(node.left)
            yield from _alternatives_of_annotation(node.right)
        case cst.Subscript() if dotted(node.value).rpartition(".")[2] in ("Optional", "Union"):
            for each in node.slice:
                if isinstance(each.slice, cst.Index):
                    yield from _alternatives_of_annotation(each.slice.value)
        case _:
            yield node

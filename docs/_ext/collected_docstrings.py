"""
Whole descriptions, from docstrings that say each thing once.

The parameters of an operator or sensor are described where they are handled, which is mostly a base
class. Its reference has them all in one list, with the errors and the result, but without those of
Airflow. What a method does not describe because its name says it, is described here, once.
"""

from __future__ import annotations

import inspect
import pydoc
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from airflow_provider_airbyte_sme.operators import base
from airflow_provider_airbyte_sme.operators.base import AirbyteOperator

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PACKAGE = "airflow_provider_airbyte_sme"

SELF_EXPLAINING = {
    "actor_id": "UUID of the source or destination.",
    "actor_type": "``source`` or ``destination``.",
    "application_id": "UUID of the application.",
    "client_id": "Client id of the application.",
    "client_secret": "Client secret of the application.",
    "connection_id": "UUID of the Airbyte connection.",
    "dataplane_id": "UUID of the data plane.",
    "definition_id": "UUID of the definition.",
    "destination_id": "UUID of the destination.",
    "group_id": "UUID of the group.",
    "job": "The job.",
    "job_id": "Job number.",
    "name": "Its name.",
    "organization_id": "UUID of the organization.",
    "payload": "The body of the request, as Airbyte wants it.",
    "permission_id": "UUID of the permission.",
    "region_id": "UUID of the region.",
    "resource_id": "UUID of the resource.",
    "session": "What sends its requests.",
    "source_id": "UUID of the source.",
    "state": "The state, as Airbyte returns it.",
    "tag_id": "UUID of the tag.",
    "timeout": "Seconds for the whole operation; ``None`` for no limit of its own.",
    "user_id": "UUID of the user.",
    "workspace_id": "UUID of the workspace.",
}
"""What parameters of this name are, wherever a docstring does not say it."""

# As autodoc calls them.
_CALLABLE = ("class", "exception", "function", "method")
_FIELD = re.compile(r":(?P<kind>param|raises|return)(?: (?P<name>\w+))?:")
_PAGE = re.compile(r"(?<![`\w/])docs/(?P<page>[\w/-]+)\.md")
_SENTENCE_END = r"\.(?=\s|$)"
# Here they are all in one list, so nobody needs to know from where they come.
_WHERE_THE_REST_IS = re.compile(
    rf"Its (?:other )?(?:parameters|result)\b(?:(?!{_SENTENCE_END}).)*?"
    rf"\b(?:are|is)\s+(?:those|that)\s+of\b.*?{_SENTENCE_END}",
    re.DOTALL,
)


class Docstring(NamedTuple):
    """
    A docstring in its parts.

    :param text: All but the fields.
    :param fields: Their texts, by kind (``param``, ``raises``, ``return``) and name.
    """

    text: str
    fields: dict[tuple[str, str], str]

    @classmethod
    def of(cls, documented: type) -> Docstring:
        """Take the docstring of a class itself apart, whatever its base classes have."""
        lines, text = inspect.cleandoc(vars(documented).get("__doc__") or "").splitlines(), []
        fields: dict[tuple[str, str], str] = {}
        key = None
        for line in lines:
            if found := _FIELD.match(line):
                key = found["kind"], found["name"] or ""
                fields[key] = line[found.end() :].strip()
            elif key and line.startswith(" "):
                fields[key] += f" {line.strip()}"
            else:
                key = None
                text.append(line)
        return cls("\n".join(text).strip(), fields)


class Parameter(NamedTuple):
    """
    A parameter of a task.

    :param annotation: Its type, with aliases spelled out.
    :param default: As code; empty if the parameter is required.
    :param description: Empty if there is none.
    """

    name: str
    annotation: str
    default: str
    description: str

    def lines(self) -> Iterator[str]:
        """Yield it as fields of reStructuredText."""
        yield f":param {self.name}: {self.description} {self._default_text()}".rstrip()
        yield f":type {self.name}: {self.annotation}"

    def _default_text(self) -> str:
        if not self.default:
            return "Required."
        if self.default == "None" and "by default" in self.description.lower():
            # What is used instead is in the description.
            return ""
        return f"Default: ``{self.default}``."


def is_task(documented: object) -> bool:
    """Whether it is an operator or a sensor of this package."""
    return inspect.isclass(documented) and issubclass(documented, AirbyteOperator)


def is_enum(documented: object) -> bool:
    """Whether it is an enumeration, which nobody calls."""
    return inspect.isclass(documented) and issubclass(documented, Enum)


def own_classes(task: type) -> list[type]:
    """Return a class and its base classes, without those of Airflow and Python."""
    return [each for each in task.__mro__ if each.__module__.partition(".")[0] == PACKAGE]


def parameters_of(task: type) -> list[Parameter]:
    """
    Return the parameters that a task adds to those of Airflow.

    The required ones come first, then those that say on what it works, then what it does.
    """
    descriptions = collected(task)
    found: dict[str, Parameter] = {}
    for each in sorted(own_classes(task), key=lambda each: each.__module__ != base.__name__):
        for parameter in _parameters_of_constructor(each):
            name = parameter.name
            found.setdefault(
                name,
                Parameter(
                    name,
                    spelled_out(str(parameter.annotation), _names_of(vars(each)["__init__"])),
                    "" if parameter.default is parameter.empty else repr(parameter.default),
                    descriptions.get(("param", name), ""),
                ),
            )
    return sorted(found.values(), key=lambda parameter: bool(parameter.default))


def _parameters_of_constructor(documented: type) -> Iterator[inspect.Parameter]:
    constructor = vars(documented).get("__init__")
    if constructor is None:
        return
    for parameter in inspect.signature(constructor).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD and parameter.name != "self":
            yield parameter


def collected(task: type) -> dict[tuple[str, str], str]:
    """
    Return the fields of all docstrings of a task.

    What a subclass says wins over its base classes; of an error, all reasons count.
    """
    fields: dict[tuple[str, str], str] = {}
    for each in own_classes(task):
        for key, text in Docstring.of(each).fields.items():
            earlier = fields.setdefault(key, text)
            if key[0] == "raises" and text not in earlier:
                fields[key] = f"{earlier} {text}"
    return fields


def description_of(task: type) -> list[str]:
    """Return the lines of the whole description of a task, in reStructuredText."""
    lines = [*_without_pointers(Docstring.of(task).text).splitlines(), ""]
    for parameter in parameters_of(task):
        lines.extend(parameter.lines())
    for (kind, name), field in collected(task).items():
        if kind != "param":
            lines.append(f":{kind} {name}: {field}" if name else f":{kind}: {field}")
    return [*lines, f":rtype: {_type_of_result(task)}", ""]


def _type_of_result(task: type) -> str:
    # A sensor's `execute` is Airflow's, which returns anything.
    methods = [getattr(task, name, None) for name in ("execute", "execute_complete")]
    types = [each.__annotations__["return"] for each in methods if each]
    return str(next(each for each in types if each != "Any"))


def _names_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the names of the module of a function, also of one that is wrapped."""
    names: Mapping[str, Any] = inspect.unwrap(function).__globals__
    return names


def spelled_out(annotation: str, names: Mapping[str, Any], model: type | None = None) -> str:
    """
    Return a type without the names that only its module knows.

    :param annotation: The type, as it is written in the code.
    :param names: What the names mean in that module.
    :param model: What a type variable stands for, in a group of operations on it.
    """

    def text_of(found: re.Match[str]) -> str:
        known = names.get(found[0])
        if get_origin(known) is Literal:
            return f"Literal[{', '.join(map(repr, get_args(known)))}]"
        if isinstance(known, UnionType):
            return " | ".join(each.__name__ for each in get_args(known))
        if model and isinstance(known, TypeVar):
            return model.__name__
        return found[0]

    return re.sub(r"(?<![\w.'\"])[A-Z]\w*", text_of, annotation)


def _without_pointers(text: str) -> str:
    """Leave out the sentences that say where other parameters are described."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        rest, count = _WHERE_THE_REST_IS.subn("", paragraph)
        paragraphs.append(" ".join(rest.split()) if count else paragraph)
    return "\n\n".join(filter(None, paragraphs))


def undescribed(function: Callable[..., Any]) -> list[str]:
    """Return the parameters of a function or class of which its docstring does not say a word."""
    text = _own_text(function)
    return [
        name
        for name, parameter in _signature(function).items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and not re.search(rf":param {name}:|\*{name}\*", text)
    ]


def _own_text(documented: Callable[..., Any]) -> str:
    """Return a docstring; of a class, not that of its base class, which Python would take."""
    if inspect.isclass(documented):
        return inspect.cleandoc(vars(documented).get("__doc__") or "")
    return inspect.getdoc(documented) or ""


def _signature(documented: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(documented).parameters
    except ValueError:  # an exception without a constructor of its own takes anything
        return {}


def elsewhere(documented: Callable[..., Any]) -> dict[str, str]:
    """
    Return what is said of parameters, but not in their docstring.

    Either the base class says it, which has the constructor, or their names do.
    """
    inherited = collected(documented) if inspect.isclass(documented) else {}
    said = {
        name: inherited.get(("param", name)) or SELF_EXPLAINING.get(name, "")
        for name in undescribed(documented)
    }
    return {name: text for name, text in said.items() if text}


def with_descriptions(documented: Callable[..., Any], lines: list[str]) -> list[str]:
    """Return the lines of a docstring with what is said elsewhere, before its other fields."""
    start = next((at for at, line in enumerate(lines) if _FIELD.match(line)), len(lines))
    fields = [f":param {name}: {text}" for name, text in elsewhere(documented).items()]
    gap = [""] if fields and start == len(lines) else []
    return [*lines[:start], *gap, *fields, *lines[start:]]


def types_of(function: Callable[..., Any], owner: object = None) -> dict[str, str]:
    """
    Return the types in a signature that need to be spelled out, by parameter, or ``return``.

    :param owner: The class of a method, or the module of a function.
    """
    # A method of the hook stands for one of a group of the client.
    group = inspect.getclosurevars(function).nonlocals.get("group", owner)
    names = _names_of(function)
    types = {
        name: (annotation, spelled_out(annotation, names, getattr(group, "model", None)))
        for name, annotation in function.__annotations__.items()
        if isinstance(annotation, str)
    }
    return {name: text for name, (written, text) in types.items() if text != written}


def _with_types(function: Callable[..., Any], name: str, lines: list[str]) -> list[str]:
    owner = pydoc.locate(name.rpartition(".")[0])
    described = {found["name"] for line in lines if (found := _FIELD.match(line))}
    types = types_of(function, owner).items()
    fields = [f":type {name}: {text}" for name, text in types if name in described]
    fields += [f":rtype: {text}" for name, text in types if name == "return"]
    return [*lines, *fields]


def _process_docstring(
    app: Sphinx, what: str, name: str, documented: object, options: Any, lines: list[str]
) -> None:
    if is_task(documented):
        lines[:] = description_of(documented)  # type: ignore[arg-type]
    elif what in _CALLABLE and name.startswith(f"{PACKAGE}.") and not is_enum(documented):
        lines[:] = with_descriptions(documented, lines)  # type: ignore[arg-type]
        function = documented.__init__ if inspect.isclass(documented) else documented
        if inspect.isfunction(function):
            lines[:] = _with_types(function, name, lines)
    lines[:] = [_PAGE.sub(r":doc:`\g<0> </\g<page>>`", line) for line in lines]


def _process_signature(
    app: Sphinx, what: str, name: str, documented: object, options: Any, *signature: str | None
) -> tuple[str, None] | None:
    # The list of parameters has it all.
    return ("", None) if is_task(documented) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Have autodoc take the descriptions from here."""
    app.connect("autodoc-process-docstring", _process_docstring)
    app.connect("autodoc-process-signature", _process_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

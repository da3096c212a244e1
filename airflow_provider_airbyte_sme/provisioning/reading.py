"""Reads the values of one mapping. Every problem is noted, so that all are reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar
from uuid import UUID

from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.models.connections import FieldPath
from airflow_provider_airbyte_sme.literals import parse_literal
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError

T = TypeVar("T")


class Problems(list[str]):
    """What is wrong with a declaration, one text for each problem."""

    def note(self, where: str, problem: str) -> None:
        """
        Add a problem.

        :param where: The field; empty for the whole declaration.
        """
        self.append(f"{where} {problem}" if where else f"it {problem}")

    def raise_if_any(self, what: str) -> None:
        """
        Report all problems at once.

        :param what: What is declared, for the message.
        :raises AirbyteDeclarationError: There is a problem.
        """
        if self:
            raise AirbyteDeclarationError(what, self)


class Fields:
    """
    One mapping. ``None`` counts as not declared, as do keys that are missing.

    A value may be the text that a template was rendered to, where its type is clear. No message has
    the value of a mapping or a list, in which secrets may be.

    :param value: The mapping.
    :param where: Where it is, for messages; empty for the whole declaration.
    :param known: Every key that it may have.
    """

    def __init__(self, value: Any, where: str, problems: Problems, known: Sequence[str]) -> None:
        self._where = where
        self._problems = problems
        value = from_text(value, Mapping)
        self._is_mapping = isinstance(value, Mapping)
        self._values: Mapping[str, Any] = value if self._is_mapping else {}
        if not self._is_mapping:
            problems.note(where, f"must be a mapping with {', '.join(known)}, not {type_of(value)}")
        for key in self._values:
            if key not in known:
                self._note_unknown(key, known)

    def _note_unknown(self, key: object, known: Sequence[str]) -> None:
        closest = get_close_matches(str(key), known, n=1, cutoff=0.5)
        advice = f"did you mean {closest[0]}?" if closest else f"known keys: {', '.join(known)}"
        self._problems.note(self.at(str(key)), f"is unknown; {advice}")

    def at(self, key: str) -> str:
        """Return how messages name a key."""
        key = one_line(key)
        return f"{self._where}.{key}" if self._where else key

    def note(self, key: str, problem: str) -> None:
        """Add a problem of one key; none if there are no keys at all, which is a problem itself."""
        if self._is_mapping:
            self._problems.note(self.at(key), problem)

    def get(self, key: str) -> Any:
        """Return the value of a key, of any type; ``None`` if it is not declared."""
        return self._values.get(key)

    def required(self, key: str) -> Any:
        """Return the value of a key that must be there."""
        value = self.get(key)
        if value is None:
            self.note(key, "is missing")
        return value

    def text(self, key: str) -> str | None:
        """Return a text, which may be empty; ``None`` if it is not declared."""
        value = self.get(key)
        if value is None or isinstance(value, str):
            return value
        self.note(key, not_text(value))
        return None

    def name(self, key: str) -> str | None:
        """Return a text that is not empty; ``None`` if it is not declared."""
        value = self.text(key)
        if value is not None and not value.strip():
            self.note(key, "is empty")
            return None
        return value

    def required_name(self, key: str) -> str:
        """Return a text that must be there."""
        return "" if self.required(key) is None else self.name(key) or ""

    def uuid(self, key: str) -> str | None:
        """Return a UUID in the form that Airbyte uses; ``None`` if it is not declared."""
        value = self.name(key)
        if value is None:
            return None
        try:
            return str(UUID(value.strip()))
        except ValueError:
            self.note(key, f"must be a UUID, not {shown(value)}")
            return None

    def choice(self, key: str, choices: Sequence[str]) -> str | None:
        """Return one of *choices*; ``None`` if it is not declared."""
        value = self.get(key)
        if value is None:
            return None
        if value in choices:
            return str(value)
        self.note(key, f"must be {' or '.join(choices)}, not {shown(value)}")
        return None

    def flag(self, key: str) -> bool:
        """Return a truth value; false if it is not declared."""
        value = self.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        self.note(key, f"must be true or false, not {shown(value)}")
        return False

    def mapping(self, key: str) -> Mapping[str, Any] | None:
        """Return a mapping of anything; ``None`` if it is not declared."""
        value = from_text(self.get(key), Mapping)
        if value is None or isinstance(value, Mapping):
            return value
        self.note(key, f"must be a mapping, not {type_of(value)}")
        return None

    def section(self, key: str, known: Sequence[str]) -> Fields | None:
        """Return a mapping with these keys; ``None`` if it is not declared."""
        value = self.get(key)
        return None if value is None else Fields(value, self.at(key), self._problems, known)

    def each(self, key: str, read: Callable[[Any, str], T | None]) -> tuple[T, ...] | None:
        """
        Return what *read* makes of each item of a list; ``None`` if it is not declared.

        :param read: Gets an item, and where it is. ``None`` from it leaves the item out.
        """
        value = self.get(key)
        return None if value is None else each(value, self.at(key), self._problems, read)

    def paths(self, key: str) -> tuple[FieldPath, ...] | None:
        """Return paths of fields, such as ``["id", ["address", "city"]]`` or ``"id"``."""
        value = self.get(key)
        found = self._listed(key, [value] if _is_name(value) else from_text(value, list))
        return None if found is None else tuple(self._path(key, item) for item in found)

    def path(self, key: str) -> FieldPath | None:
        """Return the path of one field, such as ``"id"`` or ``["address", "city"]``."""
        value = from_text(self.get(key), list)
        return None if value is None else self._path(key, value)

    def _path(self, key: str, value: Any) -> FieldPath:
        names = [value] if isinstance(value, str) else value
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return tuple(names)
        self.note(key, f"must be names of fields, not {type_of(value)}")
        return ("?",)

    def _listed(self, key: str, value: Any) -> Sequence[Any] | None:
        if value is None or isinstance(value, list | tuple):
            return value
        self.note(key, f"must be a list, not {type_of(value)}")
        return None


def each(
    value: Any, where: str, problems: Problems, read: Callable[[Any, str], T | None]
) -> tuple[T, ...] | None:
    """
    Return what *read* makes of each item of a list; ``None`` if it is none.

    :param read: Gets an item, and where it is. ``None`` from it leaves the item out.
    """
    items = from_text(value, list)
    if not isinstance(items, list | tuple):
        problems.note(where, f"must be a list, not {type_of(items)}")
        return None
    found = (read(item, place) for item, place in _placed(items, where))
    return tuple(each for each in found if each is not None)


def _placed(items: Sequence[Any], where: str) -> Iterator[tuple[Any, str]]:
    """Yield each item of a list, and how messages name it: by its name if it has one."""
    for number, item in enumerate(items, start=1):
        name = item.get("name") if isinstance(item, Mapping) else None
        yield item, f"{where}[{shown(name) if isinstance(name, str) else f'#{number}'}]"


def from_text(value: Any, expected: type) -> Any:
    """Return the list or mapping that a template was rendered to; anything else unchanged."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            parsed = parse_literal(value.strip())
        except ValueError:
            return value
        return parsed if isinstance(parsed, expected) else value
    return value


def not_text(value: object) -> str:
    """Return the problem of a value that should be text."""
    advice = ": quote it" if isinstance(value, bool | int | float) else ""
    return f"must be text, not {type_of(value)}{advice}"


def type_of(value: object) -> str:
    """Return what a value is, for people who write YAML."""
    match value:
        case None:
            return "nothing"
        case bool() | int() | float():
            return shown(value)
        case str():
            return "text"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return type(value).__name__


def shown(value: object) -> str:
    """Return a value for a message."""
    return one_line(repr(value)) if isinstance(value, str | int | float) else type_of(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and not isinstance(from_text(value, list), list)

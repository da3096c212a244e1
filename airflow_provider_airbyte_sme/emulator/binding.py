"""
How a request becomes values: Micronaut's and Jackson's part, before a handler sees anything.

A field reader turns what JSON brought into what the handler wants, or raises
:class:`UnreadableError`. Jackson is lenient about scalars (``5`` is a fine string) and ignores
unknown fields.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_airbyte_sme.emulator.problems import HateoasError, OpaqueError

Reader = Callable[[Any], Any]


class UnreadableError(ValueError):
    """A value is not of the kind that is wanted; the text says why."""


_INT32 = 2**31
_INT64 = 2**63
_DIGITS = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True)
class Body:
    """
    What a handler's request body is made of.

    :param argument: The name of the handler's argument, which errors carry as their path.
    :param required: Fields that must be there and not null.
    :param optional: Fields that may be missing. A null stays apart from a missing one.
    """

    argument: str
    required: Mapping[str, Reader]
    optional: Mapping[str, Reader]

    def __init__(
        self,
        argument: str,
        required: Mapping[str, Reader] | None = None,
        optional: Mapping[str, Reader] | None = None,
    ) -> None:
        object.__setattr__(self, "argument", argument)
        object.__setattr__(self, "required", required or {})
        object.__setattr__(self, "optional", optional or {})

    def read(self, raw: bytes) -> dict[str, Any]:
        """
        Read a JSON body.

        :raises HateoasError: 400: it is no JSON object, or a field is missing or of another kind.
        """
        try:
            return self(parse_json(raw))
        except ValueError as error:
            raise self.refusal(str(error)) from None

    def read_form(self, raw: bytes) -> dict[str, Any]:
        """
        Read an ``application/x-www-form-urlencoded`` body.

        :raises HateoasError: 400: it cannot be decoded, or a field is missing.
        """
        try:
            fields = parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=1_000)
            return self({name: values[0] for name, values in fields.items()})
        except ValueError as error:
            raise self.refusal(str(error)) from None

    def refusal(self, why: str) -> HateoasError:
        """Return the framework's answer to a body that cannot be bound."""
        message = f"Failed to convert argument [{self.argument}] for value [null] due to: {why}"
        return HateoasError(400, message, argument=self.argument)

    def __call__(self, payload: Any) -> dict[str, Any]:
        """Read the object when it is a part of another one."""
        if not isinstance(payload, dict):
            raise UnreadableError(f"an object was expected, not {_kind(payload)}")
        values = {}
        for name, reader in self.required.items():
            if payload.get(name) is None:
                raise UnreadableError(f"missing required property '{name}'")
            values[name] = _at(name, reader, payload[name])
        for name, reader in self.optional.items():
            if name in payload:
                values[name] = None if payload[name] is None else _at(name, reader, payload[name])
        return values


def parse_json(raw: bytes) -> Any:
    """
    Decode *raw* as Jackson would.

    :raises UnreadableError: It is no JSON.
    """
    if not raw.strip():
        raise UnreadableError("no content to map due to end-of-input")
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except RecursionError:
        raise UnreadableError("document nesting depth exceeds the maximum allowed") from None
    except UnicodeDecodeError:
        raise UnreadableError("invalid UTF-8") from None


def text(value: Any) -> str:
    """Read a string; Jackson takes any scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise UnreadableError(f"a string was expected, not {_kind(value)}")


def uuid_text(value: Any) -> str:
    """Read a UUID, and return it in its usual form."""
    try:
        if isinstance(value, str) and len(value) == 36:
            return str(uuid.UUID(value))
    except ValueError:
        pass
    raise UnreadableError("UUID has to be represented by standard 36-char representation")


def boolean(value: Any) -> bool:
    """Read a truth value; Jackson takes the words as well."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise UnreadableError(f"a boolean was expected, not {_kind(value)}")


def integer(value: Any) -> int:
    """Read an int64; Jackson takes digits in a string as well."""
    number = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
    if isinstance(number, int) and not isinstance(number, bool) and -_INT64 <= number < _INT64:
        return number
    raise UnreadableError(f"a number was expected, not {_kind(value)}")


def json_object(value: Any) -> dict[str, Any]:
    """Read an object of whatever content."""
    if not isinstance(value, dict):
        raise UnreadableError(f"an object was expected, not {_kind(value)}")
    return value


def one_of(*words: str) -> Reader:
    """Read one of the words of an enumeration."""

    def read(value: Any) -> str:
        if value not in words:
            raise UnreadableError(f"unexpected value, it must be one of: {', '.join(words)}")
        return str(value)

    return read


def array_of(reader: Reader) -> Reader:
    """Read an array whose items *reader* reads."""

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise UnreadableError(f"an array was expected, not {_kind(value)}")
        return [_at(str(index), reader, item) for index, item in enumerate(value)]

    return read


class Query:
    """
    The query of a request, read the way the framework binds it.

    :raises HateoasError: From every method, 400: the parameter is of another kind.
    """

    def __init__(self, raw: str) -> None:
        # A query that is no UTF-8 has replacement characters in it and then fails to convert.
        self._values = parse_qs(raw, keep_blank_values=True, errors="replace")

    def text(self, name: str) -> str | None:
        """Return the first value; an empty one counts as none."""
        return self._values.get(name, [""])[0] or None

    def converted(self, name: str, reader: Reader) -> Any:
        """Return the first value as *reader* reads it, or ``None``."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return reader(value)
        except UnreadableError as error:
            raise _unconvertible(name, value, str(error)) from None

    def required(self, name: str, reader: Reader) -> Any:
        """Return a parameter that must be there."""
        value = self.converted(name, reader)
        if value is None:
            raise HateoasError(400, f"Required QueryValue [{name}] not specified", argument=name)
        return value

    def items(self, name: str) -> list[str]:
        """Return the items of a list, given with commas or repeated."""
        return [item for value in self._values.get(name, ()) for item in value.split(",") if item]

    def uuids(self, name: str) -> list[str]:
        """Return a list of ids."""
        items = self.items(name)
        try:
            return [uuid_text(item) for item in items]
        except UnreadableError as error:
            raise _unconvertible(name, ",".join(items), str(error)) from None

    def instant(self, name: str) -> float | None:
        """Return an instant in seconds since the epoch."""
        value: float | None = self.converted(name, instant)
        return value

    def page(self) -> tuple[int, int]:
        """
        Return limit and offset.

        :raises OpaqueError: 400: one is out of bounds. [inf] bean validation
        """
        limit = self.converted("limit", _int32)
        offset = self.converted("offset", _int32)
        limit = 20 if limit is None else limit
        offset = 0 if offset is None else offset
        if not 1 <= limit <= 100 or offset < 0:
            raise OpaqueError(400)
        return limit, offset


def path_value(name: str, value: str, reader: Reader) -> Any:
    """
    Read a part of the path.

    :raises HateoasError: 400: it is of another kind. [inf]
    """
    try:
        return reader(value)
    except UnreadableError:
        raise _unconvertible(name, value, f'For input string: "{value}"') from None


def instant(value: str) -> float:
    """
    Read a date-time: ISO-8601 with an offset, or RFC-1123 (micronaut ``TimeConverterRegistrar``).

    :raises UnreadableError: It is neither.
    """
    try:
        is_iso = value[:1].isdigit()
        parsed = datetime.fromisoformat(value) if is_iso else parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise UnreadableError(f"Text '{value}' could not be parsed") from None
    if parsed.tzinfo is None:
        raise UnreadableError(f"Text '{value}' could not be parsed: it has no offset")
    try:
        return parsed.astimezone(UTC).timestamp()
    except OverflowError:
        raise UnreadableError(f"Text '{value}' could not be parsed") from None


def _int32(value: str) -> int:
    number = integer(value)
    if not -_INT32 <= number < _INT32:
        raise UnreadableError(f'For input string: "{value}"')
    return number


def _unconvertible(name: str, value: str, why: str) -> HateoasError:
    return HateoasError(
        400, f"Failed to convert argument [{name}] for value [{value}] due to: {why}", argument=name
    )


def _at(name: str, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except UnreadableError as error:
        raise UnreadableError(f"{error} (through '{name}')") from None


def _no_constant(word: str) -> Any:
    raise UnreadableError(f"non-standard token '{word}'")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}.get(
        type(value), "a number"
    )

"""
Binding a request's body, query and path to typed values, as Micronaut and Jackson do.

A reader converts one JSON value, or raises :class:`ConversionError`. Like Jackson, readers accept
other scalars where they can be converted (``5`` for a string); unknown fields are ignored.
Errors: ``docs/airbyte-api.md`` §6.2.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_airbyte_sme.emulator.problems import HateoasError, OpaqueError

Reader = Callable[[Any], Any]


class ConversionError(ValueError):
    """A value does not have the expected type; the message says why."""


_INT32 = 2**31
_INT64 = 2**63
_DIGITS = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True)
class Body:
    """
    The schema of a request's body, or of an object inside it.

    :param argument: The name of the handler's argument, which is the ``path`` of errors; empty for
        an object inside a body.
    :param required: Fields that must be present and not null.
    :param optional: Fields that may be missing. A null is kept, so it differs from a missing field.
    """

    argument: str
    required: Mapping[str, Reader] = field(default_factory=dict)
    optional: Mapping[str, Reader] = field(default_factory=dict)

    def read(self, raw: bytes) -> dict[str, Any]:
        """
        Read a JSON body.

        :raises HateoasError: 400: it is not a JSON object, or a field is missing or has the wrong
            type.
        """
        try:
            return self(parse_json(raw))
        except ValueError as error:
            raise self.rejection(str(error)) from None

    def read_form(self, raw: bytes) -> dict[str, Any]:
        """
        Read an ``application/x-www-form-urlencoded`` body.

        :raises HateoasError: 400: it cannot be decoded, or a field is missing.
        """
        try:
            fields = parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=1_000)
            return self({name: values[0] for name, values in fields.items()})
        except ValueError as error:
            raise self.rejection(str(error)) from None

    def rejection(self, reason: str) -> HateoasError:
        """Return the framework's error for a body that cannot be bound."""
        message = f"Failed to convert argument [{self.argument}] for value [null] due to: {reason}"
        return HateoasError(400, message, argument=self.argument)

    def __call__(self, payload: Any) -> dict[str, Any]:
        """Convert *payload*, so that a body can be the reader of a field."""
        if not isinstance(payload, dict):
            raise ConversionError(f"an object was expected, not {_type_name(payload)}")
        values = {}
        for name, reader in self.required.items():
            if payload.get(name) is None:
                raise ConversionError(f"missing required property '{name}'")
            values[name] = _read_field(name, reader, payload[name])
        for name, reader in self.optional.items():
            if name in payload:
                values[name] = (
                    None if payload[name] is None else _read_field(name, reader, payload[name])
                )
        return values


def parse_json(raw: bytes) -> Any:
    """
    Decode *raw* as Jackson would.

    :raises ValueError: *raw* is not valid JSON.
    """
    if not raw.strip():
        raise ConversionError("no content to map due to end-of-input")
    try:
        return json.loads(raw, parse_constant=_reject_constant)
    except RecursionError:
        raise ConversionError("document nesting depth exceeds the maximum allowed") from None
    except UnicodeDecodeError:
        raise ConversionError("invalid UTF-8") from None


def text(value: Any) -> str:
    """Read a string; Jackson accepts any scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise ConversionError(f"a string was expected, not {_type_name(value)}")


def uuid_text(value: Any) -> str:
    """Read a UUID and return it in lower case."""
    try:
        if isinstance(value, str) and len(value) == 36:
            return str(uuid.UUID(value))
    except ValueError:
        pass
    raise ConversionError("UUID has to be represented by standard 36-char representation")


def boolean(value: Any) -> bool:
    """Read a boolean; Jackson also accepts the strings."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ConversionError(f"a boolean was expected, not {_type_name(value)}")


def integer(value: Any) -> int:
    """Read an int64; Jackson also accepts a string of digits."""
    number = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
    if isinstance(number, int) and not isinstance(number, bool) and -_INT64 <= number < _INT64:
        return number
    raise ConversionError(f"a number was expected, not {_type_name(value)}")


def json_object(value: Any) -> dict[str, Any]:
    """Read an object with any content."""
    if not isinstance(value, dict):
        raise ConversionError(f"an object was expected, not {_type_name(value)}")
    return value


def one_of(*values: str) -> Reader:
    """Return a reader for the *values* of an enumeration, which may be sent in any case (§4.1)."""
    by_lower_case = {value.lower(): value for value in values}

    def read(value: Any) -> str:
        found = by_lower_case.get(value.lower()) if isinstance(value, str) else None
        if found is None:
            raise ConversionError(f"unexpected value, it must be one of: {', '.join(values)}")
        return found

    return read


def array_of(reader: Reader) -> Reader:
    """Return a reader for an array, whose items *reader* converts."""

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ConversionError(f"an array was expected, not {_type_name(value)}")
        return [_read_field(str(index), reader, item) for index, item in enumerate(value)]

    return read


class Query:
    """
    The query of a request, bound as the framework does it.

    A method that converts a parameter raises ``HateoasError`` 400 if it has the wrong type.
    """

    def __init__(self, raw: str) -> None:
        # A query that is not valid UTF-8 gets replacement characters, which then fail to convert.
        self._values = parse_qs(raw, keep_blank_values=True, errors="replace")

    def without(self, names: Collection[str]) -> Query:
        """Return the query without some of its parameters."""
        query = Query("")
        query._values = {name: v for name, v in self._values.items() if name not in names}
        return query

    def text(self, name: str) -> str | None:
        """Return the first value, or ``None`` if it is missing or empty."""
        return self._values.get(name, [""])[0] or None

    def optional(self, name: str, reader: Reader) -> Any:
        """Return the first value, converted by *reader*, or ``None``."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return reader(value)
        except ConversionError as error:
            raise _conversion_failed(name, value, str(error)) from None

    def required(self, name: str, reader: Reader) -> Any:
        """Return a parameter that must be present, converted by *reader*."""
        value = self.optional(name, reader)
        if value is None:
            raise HateoasError(400, f"Required QueryValue [{name}] not specified", argument=name)
        return value

    def items(self, name: str) -> list[str]:
        """Return the items of a list, comma-separated or repeated."""
        return [item for value in self._values.get(name, ()) for item in value.split(",") if item]

    def uuids(self, name: str) -> list[str]:
        """Return the ids of a list."""
        items = self.items(name)
        try:
            return [uuid_text(item) for item in items]
        except ConversionError as error:
            raise _conversion_failed(name, ",".join(items), str(error)) from None

    def timestamp(self, name: str) -> float | None:
        """Return a date-time in seconds since the epoch, or ``None``."""
        value: float | None = self.optional(name, timestamp)
        return value

    def limit_and_offset(self) -> tuple[int, int]:
        """
        Return ``limit`` (1 to 100, by default 20) and ``offset`` (by default 0).

        :raises OpaqueError: 400: one is out of range. [inf] bean validation: §6.3
        """
        limit = self.optional("limit", _int32)
        offset = self.optional("offset", _int32)
        limit = 20 if limit is None else limit
        offset = 0 if offset is None else offset
        if not 1 <= limit <= 100 or offset < 0:
            raise OpaqueError(400)
        return limit, offset


def path_value(name: str, value: str, reader: Reader) -> Any:
    """
    Return a path parameter, converted by *reader*.

    :raises HateoasError: 400: the conversion failed. [inf]
    """
    try:
        return reader(value)
    except ConversionError:
        raise _conversion_failed(name, value, f'For input string: "{value}"') from None


def timestamp(value: str) -> float:
    """
    Read a date-time and return it in seconds since the epoch: ISO-8601 with an offset, or RFC-1123.

    :raises ConversionError: *value* is neither.
    """
    try:
        is_iso = value[:1].isdigit()
        parsed = datetime.fromisoformat(value) if is_iso else parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise ConversionError(f"Text '{value}' could not be parsed") from None
    if parsed.tzinfo is None:
        raise ConversionError(f"Text '{value}' could not be parsed: it has no offset")
    try:
        return parsed.astimezone(UTC).timestamp()
    except OverflowError:
        raise ConversionError(f"Text '{value}' could not be parsed") from None


def _int32(value: str) -> int:
    number = integer(value)
    if not -_INT32 <= number < _INT32:
        raise ConversionError(f'For input string: "{value}"')
    return number


def _conversion_failed(name: str, value: str, reason: str) -> HateoasError:
    return HateoasError(
        400,
        f"Failed to convert argument [{name}] for value [{value}] due to: {reason}",
        argument=name,
    )


def _read_field(name: str, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except ConversionError as error:
        raise ConversionError(f"{error} (through '{name}')") from None


def _reject_constant(word: str) -> Any:
    raise ConversionError(f"non-standard token '{word}'")


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}.get(
        type(value), "a number"
    )

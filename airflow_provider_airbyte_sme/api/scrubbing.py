"""
The only place that removes secrets from messages.

Every pattern runs in linear time: each repetition is bounded, stops before the next place where a
match could begin, or ends in a match.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"

# Characters. Masking a shorter secret would mangle the text, and so reveal the secret.
MIN_SECRET_LENGTH = 4
# Characters. A shorter secret is masked as a whole word only: "test" must not mangle "latest".
MIN_SUBSTRING_LENGTH = 8
# Characters. A shorter text of lower-case letters in a configuration is a type, a mode or a host.
_MIN_WORD_LENGTH = 16

# Fields of a payload in which each connector names its secrets as it likes.
_CONFIGURATION_FIELDS = frozenset({"configuration", "connectionConfiguration"})

# Names of fields that hold a secret, in the order to try them.
_COMPOUND_NAME = (
    r"passw(?:or)?d|passphrase|pwd|api[_-]?key|access[_-]?key|private[_-]?key|(?<=[_-])secret"
    r"|(?<=[_-])token"
)
_NAME = rf"(?:{_COMPOUND_NAME}|secret|token|credential)[\w-]{{0,24}}"

# A value in quotes, which JSON in JSON escapes, up to the end of a truncated text; or a bare one.
_QUOTED = r"(?:b(?=[\"']))?(?P<quote>\\{0,8}[\"']).*?(?:(?<!\\)(?P=quote)|\Z)"
_BARE = r"[^\s,;&\"'{}\[\]()<>\\]+"
_LITERAL = r"(?!(?:null|none|true|false)\b)"
# What follows the name of a field in a sentence about it.
_NO_SENTENCE = r"(?!(?:is|are|was|must|may|should|does|has|not|cannot|missing|invalid|required)\b)"
_MASKED_FIELD = rf"\g<key>\g<quote>{MASK}\g<quote>"

_PATTERNS = (
    # User and password in a URL, also when the URL is JSON-escaped or percent-encoded.
    (r"(:(?:\\?/){2})[^\s/?#\"'<>]*@", rf"\1{MASK}@"),
    (r"(%3a%2f%2f)(?:(?!%2f)[^\s\"'<>&]){0,256}%40", rf"\1{MASK}%40"),
    # The value of Authorization or Proxy-Authorization, with its scheme.
    (
        rf"(?P<key>authorization(?:\\{{0,8}}[\"'])?\s{{0,8}}[:=]\s{{0,8}})"
        rf"(?:{_QUOTED}|(?:[\w-]{{1,40}}\s{{1,8}})?{_BARE})",
        _MASKED_FIELD,
    ),
    (
        r"\b(bearer)\s{1,8}(?!(?:tokens?|auth|authentication|authorization|realm|error|scheme)\b)"
        r"[^\s,;\"'<>\\]+",
        rf"\1 {MASK}",
    ),
    # A digit, padding or a capital inside tells base64 from a word: "basic authentication".
    (
        r"\b(basic)\s{1,8}(?=[\w+/-]*(?:[0-9=]|(?-i:[a-z][A-Z])))[\w+/-]{4,}={0,2}",
        rf"\1 {MASK}",
    ),
    # Fields: '"token": "…"' with any quotes, 'token=…', and 'access_token: …'. In 'token: …', the
    # name may be a word of a sentence.
    (
        rf"(?P<key>{_NAME}\\{{0,8}}[\"']\s{{0,8}}[:=]\s{{0,8}})"
        rf"(?:{_QUOTED}|{_LITERAL}{_BARE})",
        _MASKED_FIELD,
    ),
    (rf"(?P<key>{_NAME}(?:=|%3d))(?:{_QUOTED}|{_BARE})", _MASKED_FIELD),
    (
        rf"(?P<key>(?:{_COMPOUND_NAME})[\w-]{{0,24}}:\s{{0,8}})"
        rf"(?:{_QUOTED}|{_NO_SENTENCE}{_LITERAL}{_BARE})",
        _MASKED_FIELD,
    ),
    # JWTs: their first bytes are '{"'.
    (r"(?-i:eyJ)[\w-]{8,}(?:\.[\w-]*){0,2}", MASK),
    (r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,32}-----|\Z)", MASK),
)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """
    Return *text* without secrets.

    Whatever looks like a secret is masked: user and password in a URL, values of ``Authorization``
    headers, bearer tokens, JWTs, private keys, and the values of fields with names such as
    ``client_secret``.

    :param secrets: Values to mask wherever they occur, also URL-encoded or JSON-escaped. One of
        fewer than ``MIN_SUBSTRING_LENGTH`` characters is masked as a whole word only, and one of
        fewer than ``MIN_SECRET_LENGTH`` not at all.
    """
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):  # a secret may be part of a longer one
        text = _without(text, form)
    for pattern, replacement in _compiled():
        text = pattern.sub(replacement, text)
    return text


def scrub_data(value: Any, secrets: Iterable[str] = ()) -> Any:
    """
    Return a parsed JSON value without secrets.

    Every text is scrubbed, and the values of fields with names such as ``password`` are masked.

    :param secrets: As for :func:`scrub`.
    :raises RecursionError: *value* is nested too deeply.
    """
    known = tuple(secrets)
    if isinstance(value, str):
        return scrub(value, known)
    if isinstance(value, list):
        return [scrub_data(item, known) for item in value]
    if isinstance(value, dict):
        return {
            scrub(name, known): MASK
            if _is_secret_name(name) and _as_secret(item)
            else scrub_data(item, known)
            for name, item in value.items()
        }
    return value


def secret_values(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Return the texts in the payload of a request that an error message must not quote.

    They are the values of fields with names such as ``password``, and every text below
    ``configuration`` or ``connectionConfiguration``, where each connector names its secrets as it
    likes. Left out there is what hides nothing and would mangle a message: a text of fewer than 16
    lower-case letters and nothing else, such as ``postgres``. :func:`scrub` leaves out what is too
    short.
    """
    return tuple(dict.fromkeys(_secret_leaves(payload)))


def _secret_leaves(payload: Mapping[str, Any]) -> Iterator[str]:
    # With a list instead of recursion, no payload is nested too deeply.
    pending: list[tuple[Any, bool, bool]] = [(payload, False, False)]
    while pending:
        value, is_secret, is_configuration = pending.pop()
        if isinstance(value, Mapping):
            pending += [
                (
                    item,
                    _is_secret_name(str(name)),
                    is_configuration or name in _CONFIGURATION_FIELDS,
                )
                for name, item in value.items()
            ]
        elif isinstance(value, list | tuple):
            pending += [(item, is_secret, is_configuration) for item in value]
        elif is_secret:
            yield from filter(None, [_as_secret(value)])
        elif is_configuration and isinstance(value, str) and not _is_word(value):
            yield value


def _as_secret(value: object) -> str:
    """Return the value of a secret field as text; empty if it cannot be a secret."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, str) else ""


def _is_word(text: str) -> bool:
    return len(text) < _MIN_WORD_LENGTH and text.isascii() and text.isalpha() and text.islower()


def _is_secret_name(name: str) -> bool:
    return re.search(rf"(?i){_NAME}|authorization", name) is not None


def _forms(secret: str) -> Iterator[str]:
    """Yield *secret* as it stands in a URL, a form, JSON, Python code and a Basic header."""
    yield secret
    yield quote(secret, safe="", errors="surrogatepass")
    yield quote(secret, errors="surrogatepass")  # a slash may stay as it is in a path
    yield quote_plus(secret, errors="surrogatepass")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    if ":" in secret:
        yield base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode()


def _without(text: str, secret: str) -> str:
    if len(secret) < MIN_SECRET_LENGTH:
        return text
    if len(secret) >= MIN_SUBSTRING_LENGTH:
        return text.replace(secret, MASK)
    whole_word = rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])"
    return re.sub(whole_word, MASK, text)


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], str], ...]:
    # Late: most processes never raise an error.
    flags = re.IGNORECASE | re.DOTALL
    return tuple((re.compile(pattern, flags), replacement) for pattern, replacement in _PATTERNS)

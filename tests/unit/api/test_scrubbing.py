"""One place removes secrets from messages, whatever the text around them."""

import json
from base64 import b64encode
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import AirbyteDecodeError, HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.errors import api_error
from airflow_provider_airbyte_sme.api.response import ApiResponse
from airflow_provider_airbyte_sme.api.scrubbing import scrub, scrub_data, secret_values
from tests.unit.api.malformed import ANY_JSON, reproducible
from tests.unit.api.responses import hateoas, problem

SECRET = 's3cret/with:"quotes" & größe'

RECOGNISED = {
    "user and password in a URL": (
        "407, message='Proxy', url='http://user:pw@proxy.example.com:3128'",
        "407, message='Proxy', url='http://***@proxy.example.com:3128'",
    ),
    "at sign in a password": ("http://user:p@ss@proxy/", "http://***@proxy/"),
    "percent-encoded password": ("http://user:p%40ss@proxy/", "http://***@proxy/"),
    "JDBC URL": ("jdbc:postgresql://u:pw@db/crm", "jdbc:postgresql://***@db/crm"),
    "URL in JSON": (r'{"p":"http:\/\/user:pw@proxy"}', r'{"p":"http:\/\/***@proxy"}'),
    "percent-encoded URL": (
        "?next=http%3A%2F%2Fuser%3Ap%40w%40proxy%2F&x=1",
        "?next=http%3A%2F%2F***%40proxy%2F&x=1",
    ),
    "header": ("Authorization: Basic dXNlcjpwdw== Accept: x", "Authorization: *** Accept: x"),
    "header of a proxy": ("proxy-authorization: Basic dTpw", "proxy-authorization: ***"),
    "header of another scheme": ("Authorization: Token abc", "Authorization: ***"),
    "headers of Python": (
        "{'Authorization': 'Bearer x', 'A': 1}",
        "{'Authorization': '***', 'A': 1}",
    ),
    "bearer token": ("no Bearer x.y-z, but", "no Bearer ***, but"),
    "basic credentials": ("sent basic dXNlcjpwdw==", "sent basic ***"),
    "JWT": ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln expired", "token *** expired"),
    "truncated JWT": ("saw eyJhbGciOiJIUzI1NiJ9", "saw ***"),
    "form": ("client_id=me&client_secret=hunter2&x=1", "client_id=me&client_secret=***&x=1"),
    "JSON": ('{"client_secret":"a\\"b","id":1}', '{"client_secret":"***","id":1}'),
    "number in JSON": ('{"password": 12345, "id": 1}', '{"password": ***, "id": 1}'),
    "truncated JSON": ('{"access_token": "abc', '{"access_token": "***"'),
    "JSON in JSON": (
        json.dumps(json.dumps({"api_key": 'a"b', "id": 1})),
        json.dumps(json.dumps({"api_key": "***", "id": 1})),
    ),
    "JSON in JSON in JSON": (
        json.dumps(json.dumps(json.dumps({"apiKey": 'a"b', "id": 1}))),
        json.dumps(json.dumps(json.dumps({"apiKey": "***", "id": 1}))),
    ),
    "Python": ("{'password': 'a, b', 'id': b'1'}", "{'password': '***', 'id': b'1'}"),
    "bytes of Python": ("{b'password': b'a, b'}", "{b'password': b'***'}".replace("b'***", "'***")),
    "field in a sentence": ("bad access_token: abc", "bad access_token: ***"),
    "header of a gateway": ("X-Api-Key: abc", "X-Api-Key: ***"),
    "private key": (
        "key -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end",
        "key *** end",
    ),
}


@pytest.mark.parametrize(("text", "expected"), RECOGNISED.values(), ids=RECOGNISED)
def test_what_looks_like_a_secret_is_masked(text, expected):
    assert scrub(text) == expected
    assert scrub(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Caller does not have the required permissions to access the resource(s).",
        "$.password: is missing but it is required",
        "Unexpected token: '}'",
        "Invalid client id or token",
        "Bearer token is missing",
        "basic authentication is disabled",
        '{"password": null}',
        "Connection https://airbyte.example.com/api/public/v1/jobs?limit=20&offset=0 closed",
        "contact a@b.example.com",
        "monkeyJar",
        "",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert scrub(text) == text


ENCODINGS = {
    "plain": str,
    "URL": lambda secret: quote(secret, safe=""),
    "form": quote_plus,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "JSON with all characters": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "Python": lambda secret: repr(secret)[1:-1],
    "base64": lambda secret: b64encode(secret.encode()).decode(),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_given_secret_is_masked_in_every_encoding(encode):
    assert scrub(f"it was {encode(SECRET)}!", [SECRET]) == "it was ***!"


def test_the_longest_secret_is_masked_first():
    assert scrub("it was abcdefghijkl", ["abcdefgh", "abcdefghijkl"]) == "it was ***"


@pytest.mark.parametrize(
    ("secret", "masked"),
    [
        pytest.param("a", "a test is not the latest", id="too short"),
        pytest.param("", "a test is not the latest", id="empty"),
        pytest.param("test", "a *** is not the latest", id="whole word"),
    ],
)
def test_a_short_secret_does_not_mangle_the_text(secret, masked):
    assert scrub("a test is not the latest", [secret]) == masked


HOSTILE = {
    "letters": "a",
    "spaces": " ",
    "backslashes": "\\",
    "URLs": "://",
    "URLs with an at sign": "://@",
    "percent-encoded URLs": "%3a%2f%2f",
    "names": "password",
    "compound names": "api_key_token_",
    "open quotes": "token='",
    "escaped quotes": 'secret\\\\\\":',
    "schemes": "authorization bearer basic ",
    "halves of JWTs": "eyJ.",
    "private keys": "-----BEGIN PRIVATE KEY-----",
}


@pytest.mark.parametrize("part", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.timeout(60)  # quadratic time would be hours
def test_a_long_hostile_text_is_scrubbed(part):
    text = part * (200_000 // len(part))

    assert scrub(f"{text} Authorization: Basic s3cret", ["s3cret"]).count("s3cret") == 0


def test_a_megabyte_of_everything_is_scrubbed():
    text = "".join(part * (1_000_000 // len(HOSTILE) // len(part)) for part in HOSTILE.values())

    assert scrub(f"{text} Authorization: Basic s3cret", ["s3cret"]).count("s3cret") == 0


def test_the_end_of_a_huge_body_is_not_searched():
    body = b"x" * 400 + b'"title": {"a": 1}, ' * 1_000_000

    error = api_error(REQUEST, HttpResponse(502, {}, body))

    assert error.problem.text == "x" * 399 + "…"


def test_the_details_of_a_huge_problem_are_dropped():
    response = problem(422, "unprocessable-entity", {"message": "why", "more": "x" * 100_000})

    parsed = api_error(REQUEST, response).problem

    assert (parsed.text, parsed.data) == ("why", {})


@reproducible
@given(text=st.text(), secrets=st.lists(st.text()))
def test_any_text_can_be_scrubbed(text, secrets):
    scrubbed = scrub(text, secrets)

    assert not any(secret in scrubbed for secret in secrets if len(secret) >= 8)


@reproducible
@given(ANY_JSON)
def test_any_payload_can_be_scrubbed(payload):
    scrub_data(payload, [SECRET])
    secret_values({"configuration": payload})


def test_the_details_of_a_problem_are_scrubbed():
    details = {"password": "hunter2", "hint": [f"not {SECRET}"], "keys": {"apiKey": 5}, "n": None}

    assert scrub_data(details, [SECRET]) == {
        "password": "***",
        "hint": ["not ***"],
        "keys": {"apiKey": "***"},
        "n": None,
    }


def test_the_secrets_of_a_payload_are_its_secret_fields_and_its_configuration():
    payload = {
        "name": "orders database",
        "workspaceId": "744c1f5e",
        "secretId": None,
        "configuration": {
            "sourceType": "postgres",
            "host": "db.example.com",
            "port": 5432,
            "password": "hunter",
            "pin_password": 1234,
            "ssl": True,
            "tunnel": {"method": "NO_TUNNEL", "keys": ["line 1", "line 2"]},
        },
        "connectionConfiguration": {"apiToken": "abc"},
        "client_secret": ["one", "two"],
    }

    assert set(secret_values(payload)) == {
        *("db.example.com", "hunter", "1234", "NO_TUNNEL", "line 1", "line 2"),
        *("abc", "one", "two"),
    }


def test_a_payload_that_is_nested_deeply_has_secrets_too():
    payload: dict[str, object] = {"password": "hunter2"}
    for _ in range(10_000):
        payload = {"configuration": payload}

    assert secret_values(payload) == ("hunter2",)


REQUEST = HttpRequest(
    "POST",
    f"https://ab/api/public/v1/sources?hint={quote(SECRET, safe='')}",
    secrets=(SECRET, "proxy-password"),
)
ECHOES = {
    "problem": problem(422, "unprocessable-entity", {"message": f"invalid: {SECRET}"}),
    "title": problem(422, f"invalid {SECRET}"),
    "framework": hateoas(400, "Bad Request", f"cannot convert [{SECRET}]"),
    "form": HttpResponse(400, {}, urlencode({"client_secret": SECRET, "x": 1}).encode()),
    "JSON": HttpResponse(400, {}, json.dumps({"echo": {"client_secret": SECRET}}).encode()),
    "end of a long text": HttpResponse(502, {}, (" " + "x" * 395 + SECRET).encode()),
    "redirect": HttpResponse(302, {"location": f"https://u:{quote(SECRET)}@sso/{quote(SECRET)}"}),
}


@pytest.mark.parametrize("response", ECHOES.values(), ids=ECHOES)
def test_an_error_does_not_repeat_the_secrets_of_its_request(response):
    error = api_error(REQUEST, response)
    again = error.as_error(type(error), "see http://user:proxy-password@proxy")

    for text in (str(error), repr(error.problem), error.url, str(again), repr(again.problem)):
        assert "s3cret" not in text
        assert "proxy-password" not in text


@pytest.mark.parametrize("body", [b"<html>", b"{", b"[]"])
def test_a_decode_error_does_not_repeat_the_secrets_of_its_request(body):
    response = ApiResponse(REQUEST, HttpResponse(200, {}, body))

    with pytest.raises(AirbyteDecodeError) as failure:
        response.decode_page(lambda item: item)

    assert "hint=***" in str(failure.value)

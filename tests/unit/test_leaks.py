"""The search for secrets finds those that were planted."""

import base64
import html
import json
import re
import zlib
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy

from tests.leaks import Search, search_airflow, told

SECRET = 'pl4nted/"s3cret" &ü=+1'
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi0xMjM0NTY3ODkw"

FORMS = {
    "as it is": SECRET,
    "in a URL": quote(SECRET, safe=""),
    "in a path": quote(SECRET),
    "in a form": quote_plus(SECRET),
    "in a URL in lower case": re.sub("%..", lambda match: match[0].lower(), quote(SECRET)),
    "in JSON": json.dumps({"password": SECRET}),
    "in JSON as UTF-8": json.dumps({"password": SECRET}, ensure_ascii=False),
    "in JSON in JSON": json.dumps({"extra": json.dumps({"password": SECRET})}),
    "in a repr": repr({"password": SECRET + "'"}),
    "in bytes": repr(SECRET.encode()),
    "in HTML": html.escape(SECRET),
    "in hexadecimal": SECRET.encode().hex(),
    "in base64": base64.b64encode(SECRET.encode()).decode(),
    "in base64 after one character": base64.b64encode(f"x{SECRET}".encode()).decode(),
    "in a Basic header": base64.b64encode(f"me:{SECRET}\n".encode()).decode(),
    "in base64 for URLs": base64.urlsafe_b64encode(f"user:{SECRET}".encode()).decode(),
}


@pytest.fixture
def database(tmp_path):
    """Return the URL of a database like Airflow's, and a function that runs a statement in it."""
    url = f"sqlite:///{tmp_path / 'airflow.db'}"
    engine = sqlalchemy.create_engine(url)

    def run(statement, **values):
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement), values)

    run("CREATE TABLE xcom (dag_id TEXT, value JSON)")
    run("CREATE TABLE serialized_dag (data_compressed BLOB)")
    run("CREATE TABLE connection (password TEXT)")
    run('CREATE TABLE "order" (value TEXT)')
    run("INSERT INTO xcom VALUES ('dag', '{\"job_id\": 42}')")
    yield url, run
    engine.dispose()


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs" / "dag_id=dag"
    folder.mkdir(parents=True)
    (folder / "attempt=1.log").write_text("[2026-03-25] INFO - Started job 42")
    return folder


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_secret_is_found_in_each_form(text):
    assert list(Search({"password": SECRET}).in_text("log", f"before {text} after"))


def test_a_text_without_the_secret_has_none():
    text = f"{SECRET[:-1]}2 and {base64.b64encode(b'something else').decode()}"

    assert not list(Search({"password": SECRET}).in_text("log", text))


def test_a_finding_tells_what_and_where_and_not_the_secret():
    (leak,) = Search({"the password": "s3cret-and-long"}).in_text("a log", "a=s3cret-and-long;")

    assert str(leak) == "the password (as it is) in a log: a=***;"
    assert told([leak]).startswith("1 secrets were found:\n")


def test_31_characters_of_a_truncated_secret_are_found():
    secret = "".join(map(str, range(100, 140)))

    for start in range(len(secret) - 31):
        assert list(Search({"key": secret}).in_text("log", f"({secret[start : start + 31]}"))


def test_the_signature_of_a_token_is_found_and_its_readable_part_is_no_secret():
    head, body, signature = TOKEN.split(".")
    search = Search({"token": TOKEN})

    assert list(search.in_text("log", TOKEN))
    assert list(search.in_text("log", signature))
    assert not list(search.in_text("log", f"{head}.{body}.***"))


def test_a_secret_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="the key has fewer than 8"):
        Search({"the key": "1234567"})


def test_nothing_is_found_where_nothing_is(database, logs):
    url, run = database
    run("INSERT INTO connection VALUES (:secret)", secret=SECRET)  # where it belongs

    assert search_airflow([logs], url, {"password": SECRET}) == []


@pytest.mark.parametrize("column", ["xcom", "serialized_dag", '"order"'])
def test_a_secret_in_the_database_is_found(database, logs, column):
    url, run = database
    as_json = json.dumps({"password": SECRET})
    run(
        f"INSERT INTO {column} VALUES ({':key, ' if column == 'xcom' else ''}:value)",
        key="key",
        value=zlib.compress(as_json.encode()) if column == "serialized_dag" else as_json,
    )

    leaks = search_airflow([logs], url, {"password": SECRET})

    assert {leak.place.partition(".")[0] for leak in leaks} == {column.strip('"')}


def test_a_secret_in_a_log_is_found(database, logs):
    (logs / "attempt=2.log").write_bytes(b"\xff Bearer " + TOKEN.encode())

    places = {leak.place for leak in search_airflow([logs], database[0], {"token": TOKEN})}

    assert places == {str(logs / "attempt=2.log")}


def test_a_search_of_nothing_is_a_mistake(database, logs, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()

    with pytest.raises(ValueError, match="no files"):
        search_airflow([empty], database[0], {"token": TOKEN})
    with pytest.raises(ValueError, match="no rows"):
        search_airflow([logs], f"sqlite:///{tmp_path / 'new.db'}", {"token": TOKEN})
    with pytest.raises(ValueError, match="no secrets"):
        search_airflow([logs], database[0], {})

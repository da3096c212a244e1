"""Each fault that would make a bad release is found, and what is as it should be is not."""

import os
import re
import subprocess
import sys
from datetime import date

import pytest

from scripts import release_check
from scripts.release_check import (
    changelog_problems,
    checkout_problems,
    declared_version,
    history_problems,
    leak_problems,
    link_problems,
    rendered,
    requirement_problems,
    sdist_problems,
    support_problems,
    url_problems,
    version_problems,
    versions_in,
    wanted_version,
    wheel_problems,
)

TODAY = date(2026, 11, 26)
PACKAGE = release_check.PACKAGE
RELEASED = """# Changelog

## [0.2.0] - 2026-11-20

- More.

## [0.1.0] - 2026-10-01

- The first.
"""
UNRELEASED = RELEASED.replace("## [0.2.0] - 2026-11-20", "## [Unreleased]")
SOURCES = {f"{PACKAGE}/__init__.py", f"{PACKAGE}/py.typed", f"{PACKAGE}/plugins/page/page.css"}
INFO = f"{PACKAGE}-0.2.0.dist-info"
WHEEL = {
    **dict.fromkeys(SOURCES, b""),
    **{f"{INFO}/{name}": b"" for name in release_check.WHEEL_METADATA},
}
SDIST = dict.fromkeys(SOURCES | release_check.DOCUMENTS | release_check.SDIST_METADATA, b"")
PYPROJECT = {
    "project": {
        "requires-python": ">=3.11",
        "dependencies": ["requests>=2", "apache-airflow>=2.11"],
        "classifiers": [
            "Programming Language :: Python :: 3.11",
            "Programming Language :: Python :: 3.9",
            "Programming Language :: Python :: 3.13",
        ],
    }
}
PINS = {
    "airflow-3.3": "aiohttp==3\napache-airflow==3.3.2\n    # via x",
    "airflow-2.11": "apache-airflow==2.11.2",
}
SUPPORT = "Airflow 2.11, Python 3.11 to 3.13. The tests run on Airflow 3.3.2 and 2.11.2."


def test_only_tags_of_releases_count_and_the_newest_is_the_first():
    tags = ["v0.9.0", "nightly", "v0.10.0", "0.11.0", "v0.12.0-rc1", "v0.10.0rc1"]

    assert versions_in(tags) == ["0.10.0", "0.10.0rc1", "0.9.0"]


def test_the_version_is_read_from_the_package():
    assert declared_version('"""A package."""\n\n__version__ = "0.2.0"\n') == "0.2.0"


@pytest.mark.parametrize(
    ("declared", "tags", "release", "here"),
    [
        pytest.param("0.1.0", [], "", [], id="before the first release"),
        pytest.param("0.1.0", [], "0.1.0", [], id="the first release"),
        pytest.param("0.1.0", ["0.1.0"], "", [], id="after a release"),
        pytest.param("0.10.0", ["0.9.0", "0.1.0"], "0.10.0", [], id="the next release"),
        pytest.param("0.2.0", ["0.2.0", "0.1.0"], "0.2.0", ["0.2.0"], id="at the tag"),
        pytest.param("0.2.0rc1", ["0.1.0"], "0.2.0rc1", [], id="a candidate"),
    ],
)
def test_a_good_version_is_accepted(declared, tags, release, here):
    assert list(version_problems(declared, tags, release=release, here=here)) == []


@pytest.mark.parametrize(
    ("declared", "tags", "release", "problem"),
    [
        ("next", [], "", "'next' is no version by PEP 440: correct __version__"),
        ("", [], "", "'' is no version by PEP 440"),
        ("0.2.0-rc1", [], "", "write 0.2.0rc1"),
        ("0.2.0+local", [], "", "refuses the local version 0.2.0+local: write 0.2.0"),
        ("0.1.0", [], "0.2.0", "the package has 0.1.0, not 0.2.0: set __version__"),
        ("0.1.0", ["0.1.0"], "0.1.0", "0.1.0 is not newer than the newest tag, v0.1.0"),
        ("0.9.0", ["0.10.0", "0.2.0"], "", "0.9.0 is not newer than the newest tag, v0.10.0"),
        ("0.2.0rc1", ["0.2.0"], "", "0.2.0rc1 is not newer than the newest tag, v0.2.0"),
    ],
)
def test_a_bad_version_is_found(declared, tags, release, problem):
    (found,) = version_problems(declared, tags, release=release)

    assert problem in found


@pytest.mark.parametrize(
    ("changelog", "release"),
    [
        (UNRELEASED, ""),
        (RELEASED, ""),
        (RELEASED, "0.2.0"),
        (RELEASED.replace("## [0.2.0]", "## [Unreleased]\n\n## [0.2.0]"), "0.2.0"),
    ],
)
def test_a_good_changelog_is_accepted(changelog, release):
    assert list(changelog_problems(changelog, release, today=TODAY)) == []


@pytest.mark.parametrize(
    ("changelog", "release", "problem"),
    [
        (UNRELEASED, "0.2.0", "rename '## [Unreleased]' to '## [0.2.0] - 2026-11-26'"),
        (RELEASED, "0.3.0", "no entry for 0.3.0"),
        (
            RELEASED.replace("## [0.2.0]", "## [Unreleased]\n\n- Late.\n\n## [0.2.0]"),
            "0.2.0",
            "'## [Unreleased]' has entries: move them to '## [0.2.0]'",
        ),
        (RELEASED.replace(" - 2026-11-20", ""), "0.2.0", "'## [0.2.0]' has no date"),
        (RELEASED.replace("2026-11-20", "20.11.2026"), "", "'## [0.2.0]' has no date"),
        (RELEASED.replace("2026-11-20", "2026-11-27"), "", "which is in the future"),
        (RELEASED.replace("- More.", ""), "", "'## [0.2.0]' is empty"),
        (RELEASED.replace("0.1.0", "0.3.0"), "", "put the newest first"),
        (RELEASED.replace("0.1.0", "0.2.0"), "", "put the newest first, each once"),
        (RELEASED.replace("[0.1.0]", "[first]"), "", "Invalid version: 'first'"),
        (RELEASED.replace("[0.1.0]", "0.1.0"), "", "is no heading of a release"),
        ("# Changelog\n", "", "no section: write '## [Unreleased]'"),
    ],
)
def test_a_bad_changelog_is_found(changelog, release, problem):
    (found,) = changelog_problems(changelog, release, today=TODAY)

    assert problem in found


def test_a_release_needs_a_clean_checkout():
    assert list(checkout_problems("")) == []
    assert list(checkout_problems(" M README.md\n?? notes.txt\n")) == [
        "README.md is not as committed: commit it or remove it",
        "notes.txt is not as committed: commit it or remove it",
    ]


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("[guide](docs/tutorial.md)", "docs/tutorial.md"),
        ("![form](docs/pictures/form.png)", "docs/pictures/form.png"),
        ("See [guide].\n\n[guide]: ../guide.md", "../guide.md"),
        ("[site](http://example.com/)", "http://example.com/"),
    ],
)
def test_a_link_that_leads_nowhere_on_a_package_index_is_found(tmp_path, text, link):
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n\n[good](https://example.com/docs/guide.md) {text}\n")

    assert list(link_problems(rendered(readme))) == [
        f"{link!r} leads nowhere on a package index: write an absolute https URL"
    ]


def test_a_readme_that_cannot_be_rendered_is_found():
    assert list(link_problems("")) == ["README.md cannot be rendered: see what `twine check` says"]


def test_a_relative_url_of_the_project_is_found():
    urls = {"Source": "https://example.com/source", "Changelog": "CHANGELOG.md"}

    assert list(url_problems(urls)) == [
        "Changelog is 'CHANGELOG.md': write an absolute https URL in [project.urls]"
    ]


def test_a_dependency_that_names_a_file_is_found():
    project = {
        "dependencies": ["requests>=2", "certifi @ https://example.com/certifi.whl"],
        "optional-dependencies": {"migrate": ["libcst @ git+https://example.com/libcst"]},
    }

    problems = list(requirement_problems(project))

    assert len(problems) == 2
    assert "certifi @ https" in problems[0]
    assert "write a version, such as 'libcst>=1'" in problems[1]


def test_pages_that_agree_with_the_code_are_accepted():
    pages = {"README.md": SUPPORT, "CONTRIBUTING.md": "Python 3.11 or newer"}

    assert list(support_problems(PYPROJECT, pages, PINS)) == []


@pytest.mark.parametrize(
    ("page", "text", "problem"),
    [
        ("CONTRIBUTING.md", "Python 3.10 or newer", "'Python 3.11 or newer'"),
        ("docs/faq.md", "Python 3.11 to 3.12", "'3.11 to 3.13'"),
        ("docs/faq.md", "The tests run on Airflow 3.2.1 and 2.11.2.", "Airflow 3.3.2 and 2.11.2"),
    ],
)
def test_a_page_with_other_versions_is_found(page, text, problem):
    (found,) = support_problems(PYPROJECT, {"README.md": SUPPORT, page: text}, PINS)

    assert found.startswith(f"{page} says ")
    assert problem in found


def test_a_supported_version_that_no_page_mentions_is_found():
    pages = {"README.md": SUPPORT.replace("Airflow 2.11, ", ""), "docs/faq.md": "Airflow 2.11"}

    assert list(support_problems(PYPROJECT, pages, PINS)) == [
        "README.md and docs/compatibility.md do not mention 2.11: say what is supported"
    ]


def test_good_distributions_are_accepted():
    assert list(wheel_problems(WHEEL, SOURCES | {"tests/test_x.py"})) == []
    assert list(sdist_problems(SDIST, SOURCES | {"tests/test_x.py"})) == []


@pytest.mark.parametrize("name", ["notes.txt", f"{PACKAGE}/draft.py", f"{INFO}/licenses/OTHER"])
def test_a_file_too_much_in_the_wheel_is_found(name):
    (found,) = wheel_problems({**WHEEL, name: b""}, SOURCES)

    assert f"{name.removeprefix(f'{INFO}/')} is not expected" in found


@pytest.mark.parametrize(
    "name", [f"{PACKAGE}/py.typed", f"{PACKAGE}/plugins/page/page.css", f"{INFO}/licenses/LICENSE"]
)
def test_a_file_that_the_wheel_lacks_is_found(name):
    files = {each: content for each, content in WHEEL.items() if each != name}

    (found,) = wheel_problems(files, SOURCES - {f"{PACKAGE}/py.typed"})

    assert f"{name.removeprefix(f'{INFO}/')} is missing" in found


@pytest.mark.parametrize("name", ["tests/conftest.py", "docs/index.md", ".env"])
def test_a_file_too_much_in_the_sdist_is_found(name):
    assert any(
        f"{name} is not expected" in found
        for found in sdist_problems({**SDIST, name: b""}, {*SOURCES, name})
    )


@pytest.mark.parametrize("name", ["tests/helpers.py", "emulator/test_jobs.py", "conftest.py"])
def test_a_test_in_the_package_is_found(name):
    path = f"{PACKAGE}/{name}"

    assert list(wheel_problems({**WHEEL, path: b""}, {*SOURCES, path})) == [
        f"{path} is a test: move it to tests/"
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'FOLDER = "/home/' + b'jane/provider/x.py"', "a machine"),
        (b"-----BEGIN PRIVATE " + b"KEY-----\n" + b"MIIEvQIBADANBgkqhkiG9w0B" * 3, "a private key"),
        (b"token: eyJhbGciOiJIUzI1" + b".eyJzdWIiOiJhYmMi" + b".c2lnbmF0dXJlMTIz", "a token"),
        (b"AKIA" + b"A1B2C3D4" * 2, "a key of AWS"),
        (b"ghp_" + b"a1B2c3D4e5F6" * 3, "a token of GitHub"),
    ],
    ids=["path", "key", "token", "AWS", "GitHub"],
)
def test_what_must_not_leave_the_machine_is_found(content, problem):
    assert list(leak_problems({"good.py": b"see https://example.com/home/jane/x"})) == []
    (found,) = leak_problems({"bad.py": content})

    assert found.startswith("bad.py has ")
    assert problem in found


def test_every_problem_is_printed_and_fails_the_run(capsys):
    checks = [("version", lambda: []), ("links", lambda: ["one", "two"])]

    assert release_check.run(checks) == 1
    assert capsys.readouterr().out.splitlines() == [
        "passed version",
        "FAILED links: one",
        "FAILED links: two",
        "Problems: 2",
    ]
    assert release_check.run(checks[:1]) == 0


def test_a_check_that_cannot_run_is_a_problem_and_does_not_stop_the_others(capsys):
    checks = [
        ("changelog", lambda: changelog_problems(release_check.text_of("NOTHING.md"), today=TODAY)),
        ("versions", lambda: support_problems({"project": {}}, {}, {})),
        ("links", lambda: []),
    ]

    assert release_check.run(checks) == 1
    changelog, versions, links, _ = capsys.readouterr().out.splitlines()
    assert changelog.startswith("FAILED changelog: it cannot be checked, correct this first: File")
    assert "NOTHING.md" in changelog
    assert versions.startswith("FAILED versions: it cannot be checked, ")
    assert links == "passed links"


@pytest.mark.parametrize(
    ("written", "version"),
    [("0.2.0", "0.2.0"), ("v0.2.0", "0.2.0"), ("0.2.0-rc1", "0.2.0rc1"), ("", "")],
)
def test_the_version_to_release_may_be_written_as_its_tag(written, version):
    assert wanted_version(written) == version


def test_something_else_than_a_version_is_refused_before_anything_is_checked(capsys):
    with pytest.raises(SystemExit) as ended:
        release_check.main(["--version", "next"])

    assert ended.value.code == 2
    said = capsys.readouterr()
    assert "'next' is no version by PEP 440: write one such as 0.2.0" in said.err
    assert said.out == ""


def test_a_checkout_without_the_older_release_is_found(tmp_path, monkeypatch):
    version_file = tmp_path / release_check.VERSION_FILE
    version_file.parent.mkdir()
    version_file.write_text("")
    for command in ("init", "add .", "-c user.name=a -c user.email=a@b commit -m a", "tag v0.1.0"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.setattr(release_check, "REPOSITORY", tmp_path)

    assert list(history_problems("v0.1.0")) == []
    (problem,) = history_problems("41ca022")
    assert problem.startswith("41ca022 is not in this checkout: run `git fetch --tags`")


def test_a_folder_that_is_no_repository_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(release_check, "REPOSITORY", tmp_path)

    with pytest.raises(SystemExit, match="`git tag` fails: fatal: not a git repository"):
        next(release_check.all_checks("", tmp_path, installs=False))


def test_a_build_that_fails_is_the_only_problem_and_says_why(tmp_path, monkeypatch):
    repository, folder = tmp_path / "repository", tmp_path / "dist"
    repository.mkdir()
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=repository, check=True)
    # Its package is not there.
    (repository / "pyproject.toml").write_text(
        (release_check.REPOSITORY / "pyproject.toml").read_text()
    )
    monkeypatch.setattr(release_check, "REPOSITORY", repository)

    checks = release_check.distribution_checks(folder, installs=True)
    problems = {name: list(problems_of()) for name, problems_of in checks}

    assert list(problems) == ["build"]
    (problem,) = problems["build"]
    assert problem.startswith("the build fails, see `make build`: ")
    assert release_check.VERSION_FILE in problem
    # Where the exception was raised.
    assert re.search(r" at \S+\.py:\d+$", problem)


def test_a_distribution_without_an_entry_point_of_airflow_is_found(tmp_path):
    metadata = tmp_path / f"{PACKAGE}-0.2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: airflow-provider-airbyte-sme\nVersion: 0.2.0\n")
    (metadata / "entry_points.txt").write_text(
        "[apache_airflow_provider]\nprovider_info=a:b\n[pytest11]\nc=d\n"
    )

    probe = release_check.REPOSITORY / "scripts/installation_probe.py"
    done = subprocess.run(
        [sys.executable, str(probe), "airflow"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "RuntimeError: there is no entry point of airflow.plugins" in done.stderr


def test_this_repository_passes_what_needs_no_package_index(tmp_path):
    problems = {
        name: found
        for name, problems_of in release_check.all_checks("", tmp_path, installs=False)
        if (found := list(problems_of()))
    }

    assert problems == {}

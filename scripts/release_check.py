"""
Checks what a release needs: version, changelog, distributions, provider info, supported versions.

``make release-check`` runs it, then the slower parts. Without a version it checks what must hold on
every commit. With ``--version``, or on a commit with a tag such as ``v0.2.0``, it checks what a
release needs besides. Each problem is one line: what is wrong, and what to do.
docs/releasing.md says how a release is made.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "airflow_provider_airbyte_sme"
VERSION_FILE = f"{PACKAGE}/__init__.py"
DOCUMENTS = frozenset({"README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", "pyproject.toml"})
# What the build backend writes.
WHEEL_METADATA = frozenset({"METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE", "RECORD"})
SDIST_METADATA = frozenset({"PKG-INFO", ".gitignore"})

# Pages that say which versions are supported. At least one has to say each of them.
SUPPORT_PAGES = ("README.md", "docs/compatibility.md")
# Environments of a release: the newest and the lowest supported Airflow.
AIRFLOWS = ("airflow-3.3", "airflow-2.11")

# The older release, as long as none has a tag.
FIRST_FROZEN_COMMIT = "41ca022"

UNRELEASED = "Unreleased"
_SECTION = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\S+))?[ \t]*$", re.MULTILINE)

# A home folder, a temporary folder, or the folder of a checkout, as a program would write it.
_MACHINE_PATH = re.compile(
    rb"(?<![\w.:/-])/(?:home|Users|root|tmp|work|var/folders)/[\w.-]+/[\w.-]+"
)
_SECRETS = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"),
    "a token": re.compile(rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "a key of AWS": re.compile(rb"\bAKIA[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
}

_PYTHON_RANGE = re.compile(r"\b(3\.\d+)(?: to |\N{EN DASH}|-)(3\.\d+)\b(?!\.\d)")
_LOWEST_PYTHON = re.compile(r"Python (3\.\d+) or newer")
_TESTED_AIRFLOWS = re.compile(r"tests run on Airflow (\d[\d.]*\d) and (\d[\d.]*\d)")

# A check: its name, and what yields its problems.
Check = tuple[str, Callable[[], Iterable[str]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run all checks, and print a line for each check that passes, and for each problem.

    :param arguments: Arguments of the command line.
    :return: The exit code: 1 if there is a problem.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0].strip())
    parser.add_argument(
        "--version", type=wanted_version, default="", help="the version to release, such as 0.2.0"
    )
    parser.add_argument("--skip-install", action="store_true", help="install nothing")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        return run(all_checks(options.version, Path(folder), installs=not options.skip_install))


def wanted_version(text: str) -> str:
    """
    Return a version of the command line, normalised: ``v0.2.0``, as its tag is called, is 0.2.0.

    :param text: Empty for none.
    :raises argparse.ArgumentTypeError: It is no version.
    """
    try:
        return text and str(Version(text))
    except InvalidVersion:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no version by PEP 440: write one such as 0.2.0"
        ) from None


def run(checks: Iterable[Check]) -> int:
    """
    Run *checks* in their order. One that cannot run is a problem, and does not stop the others.

    :return: The exit code: 1 if there is a problem.
    """
    count = 0
    for name, problems_of in checks:
        problems = list(_problems_or_error(problems_of))
        count += len(problems)
        for line in [f"FAILED {name}: {each}" for each in problems] or [f"passed {name}"]:
            print(line, flush=True)
    found = f"Problems: {count}"
    print(found if count else "Everything that was checked is as it should be.")
    return 1 if count else 0


def _problems_or_error(problems_of: Callable[[], Iterable[str]]) -> Iterator[str]:
    try:
        yield from problems_of()
    except Exception as error:  # whatever is wrong with a file that the check reads
        reason = " ".join(str(error).split())
        yield f"it cannot be checked, correct this first: {type(error).__name__}: {reason}"


def all_checks(wanted: str, folder: Path, *, installs: bool) -> Iterator[Check]:
    """
    Yield the checks of this repository.

    :param wanted: The version to release; empty for that of a tag, or for none.
    :param folder: An empty folder for what is built.
    :param installs: Whether to install the wheel, which needs a package index.
    """
    tags, here = versions_of_tags("tag"), versions_of_tags("tag", "--points-at", "HEAD")
    release = wanted or next(iter(here), "")
    today = datetime.now(UTC).date()
    yield (
        "version",
        lambda: version_problems(
            declared_version(text_of(VERSION_FILE)), tags, release=release, here=here
        ),
    )
    yield "changelog", lambda: changelog_problems(text_of("CHANGELOG.md"), release, today=today)
    if release:
        yield "checkout", lambda: checkout_problems(output_of("git", "status", "--porcelain"))
        yield "history", lambda: history_problems(older_release())
    yield "links in README.md", lambda: link_problems(rendered(REPOSITORY / "README.md"))
    yield "URLs of the project", lambda: url_problems(read_pyproject()["project"]["urls"])
    yield "dependencies", lambda: requirement_problems(read_pyproject()["project"])
    yield "supported versions", lambda: support_problems(read_pyproject(), *read_pages(REPOSITORY))
    yield from distribution_checks(folder, installs=installs)


def distribution_checks(folder: Path, *, installs: bool) -> Iterator[Check]:
    """Yield the checks of what is built into *folder*."""
    listed = output_of("git", "ls-files", "--cached", "--others", "--exclude-standard")
    tracked = {path for path in listed.splitlines() if (REPOSITORY / path).is_file()}
    yield "build", lambda: build_problems(folder)
    # Whoever runs the checks has run that one before the next is asked for.
    if not ({*folder.glob("*.whl")} and {*folder.glob("*.tar.gz")}):
        return
    yield "content of the wheel", lambda: wheel_problems(wheel_files(folder), tracked)
    yield "content of the sdist", lambda: sdist_problems(sdist_files(folder), tracked)
    yield "metadata for a package index", lambda: twine_problems(folder)
    if installs:
        for name in AIRFLOWS:
            yield f"installed with {name}", partial(install_problems, folder, name)


# Version and changelog


def declared_version(module: str) -> str:
    """Return the version that the text of the package's ``__init__.py`` declares, or nothing."""
    found = re.search(r'^__version__ = "(.*)"$', module, re.MULTILINE)
    return found[1] if found else ""


def version_problems(
    declared: str, tags: Sequence[str], *, release: str = "", here: Sequence[str] = ()
) -> Iterator[str]:
    """
    Yield what is wrong with the version of the package.

    :param declared: The version in the package.
    :param tags: Versions of all tags.
    :param release: The version to release; empty between two releases.
    :param here: Versions of the tags of the present commit.
    """
    try:
        version = Version(declared)
    except InvalidVersion:
        yield f"{declared!r} is no version by PEP 440: correct __version__ in {VERSION_FILE}"
        return
    if declared != str(version):
        yield f"{declared!r} is not written as PEP 440 normalises it: write {version}"
    if version.local:
        yield f"a package index refuses the local version {declared}: write {version.public}"
    if release and release != declared:
        yield f"the package has {declared}, not {release}: set __version__ in {VERSION_FILE}"
    newest = max(map(Version, set(tags) - set(here)), default=None)
    if newest and (version < newest or (release and version == newest)):
        yield f"{declared} is not newer than the newest tag, v{newest}: choose a newer version"


def changelog_problems(changelog: str, release: str = "", *, today: date) -> Iterator[str]:
    """
    Yield what is wrong with the changelog.

    :param changelog: The text of CHANGELOG.md.
    :param release: The version to release; empty between two releases.
    :param today: No release is younger.
    """
    for heading in re.findall(r"^## .*$", changelog, re.MULTILINE):
        if not _SECTION.fullmatch(heading):
            yield f"{heading!r} is no heading of a release: write '## [1.2.3] - 2026-01-31'"
    sections = sections_of(changelog)
    yield from _order_problems([each.name for each in sections if each.name != UNRELEASED])
    for section in sections:
        yield from _section_problems(section, today)
    texts = {each.name: each.text for each in sections}
    if release and release not in texts:
        yield f"no entry for {release}: rename '## [{UNRELEASED}]' to '## [{release}] - {today}'"
    elif release and texts.get(UNRELEASED):
        yield f"'## [{UNRELEASED}]' has entries: move them to '## [{release}]'"
    if not release and not sections:
        yield f"no section: write '## [{UNRELEASED}]' and what a user can see"


class Section(NamedTuple):
    """
    What the changelog says about one release.

    :param name: The version, or "Unreleased".
    :param written: The date as it is written; empty if there is none.
    :param text: The entries.
    """

    name: str
    written: str
    text: str


def sections_of(changelog: str) -> list[Section]:
    """Return the sections of the changelog in their order."""
    found = list(_SECTION.finditer(changelog))
    ends = [each.start() for each in found[1:]] + [len(changelog)]
    return [
        Section(each["name"], each["date"] or "", changelog[each.end() : end].strip())
        for each, end in zip(found, ends, strict=False)
    ]


def _section_problems(section: Section, today: date) -> Iterator[str]:
    name = section.name
    if name == UNRELEASED:
        return
    if not section.text:
        yield f"'## [{name}]' is empty: say what a user can see"
    try:
        released = date.fromisoformat(section.written)
    except ValueError:
        yield f"'## [{name}]' has no date: write '## [{name}] - {today}'"
        return
    if released > today:
        yield f"'## [{name}]' has the date {released}, which is in the future: write {today}"


def _order_problems(names: Sequence[str]) -> Iterator[str]:
    try:
        versions = [Version(name) for name in names]
    except InvalidVersion as error:
        yield f"{error}: a heading names '{UNRELEASED}' or a version by PEP 440"
        return
    if versions != sorted(set(versions), reverse=True):
        yield f"the versions are {', '.join(names)}: put the newest first, each once"


def checkout_problems(status: str) -> Iterator[str]:
    """
    Yield why a release may not be made of this checkout.

    :param status: The output of ``git status --porcelain``.
    """
    for line in status.splitlines():
        yield f"{line[3:]} is not as committed: commit it or remove it"


def history_problems(older: str) -> Iterator[str]:
    """
    Yield why the older release, from which deferred tasks are taken over, cannot be run.

    Without its code, ``make test-upgrade`` would be skipped.

    :param older: A tag or a commit.
    """
    command = ["git", "cat-file", "-e", f"{older}:{VERSION_FILE}"]
    if subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True).returncode:
        yield f"{older} is not in this checkout: run `git fetch --tags`, or clone without --depth"


# README and supported versions


class _Links(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def rendered(readme: Path) -> str:
    """Return the HTML that a package index makes of *readme*; empty if it cannot."""
    from readme_renderer import markdown

    return markdown.render(readme.read_text(encoding="utf-8")) or ""


def link_problems(html: str) -> Iterator[str]:
    """Yield which links of the rendered README do not work on a package index."""
    if not html:
        yield "README.md cannot be rendered: see what `twine check` says"
    links = _Links()
    links.feed(html)
    for link in dict.fromkeys(links.found):
        if not re.match(r"https://[\w.-]+/|#", link):
            yield f"{link!r} leads nowhere on a package index: write an absolute https URL"


def url_problems(urls: Mapping[str, str]) -> Iterator[str]:
    """Yield which of the project's URLs are not absolute."""
    for name, url in urls.items():
        if not re.match(r"https://[\w.-]+/", url):
            yield f"{name} is {url!r}: write an absolute https URL in [project.urls]"


def requirement_problems(project: Mapping[str, Any]) -> Iterator[str]:
    """Yield which dependencies a package index refuses because they name a file."""
    extras = project.get("optional-dependencies", {}).values()
    for text in [*project["dependencies"], *(each for extra in extras for each in extra)]:
        if Requirement(text).url:
            yield f"{text!r} names a file: write a version, such as '{Requirement(text).name}>=1'"


def read_pages(repository: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the pages for users, and the pins of the supported Airflows, by their names."""
    paths = [*repository.glob("*.md"), *repository.glob("docs/**/*.md")]
    pages = {
        path.relative_to(repository).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(paths)
        if path.name != "CHANGELOG.md"
    }
    pins = {
        name: (repository / f"constraints/{name}.txt").read_text(encoding="utf-8")
        for name in AIRFLOWS
    }
    return pages, pins


def support_problems(
    pyproject: Mapping[str, Any], pages: Mapping[str, str], pins: Mapping[str, str]
) -> Iterator[str]:
    """
    Yield where pages and code disagree about the supported versions of Airflow and Python.

    :param pyproject: The content of pyproject.toml: lower bounds and classifiers.
    :param pages: Texts of pages, by their path.
    :param pins: Texts of constraints, by the name of the environment.
    """
    project = pyproject["project"]
    lowest_python = project["requires-python"].removeprefix(">=")
    pythons = [lowest_python, _newest_python(project["classifiers"])]
    lowest_airflow = _lowest_airflow(project["dependencies"])
    tested = [_pin(text) for text in pins.values()]
    facts: list[tuple[re.Pattern[str], list[str], str]] = [
        (_LOWEST_PYTHON, [lowest_python], "Python {} or newer"),
        (_PYTHON_RANGE, pythons, "{} to {}"),
        (_TESTED_AIRFLOWS, tested, "The tests run on Airflow {} and {}"),
    ]
    for pattern, values, wording in facts:
        expected = wording.format(*values)
        for page, text in pages.items():
            for found in pattern.finditer(text):
                if list(found.groups()) != values:
                    yield f"{page} says {found[0]!r}, the code {expected!r}: correct one of them"
    support = "\n".join(pages.get(page, "") for page in SUPPORT_PAGES)
    for needed in dict.fromkeys([*tested, lowest_airflow, *pythons]):
        if not re.search(rf"(?<![\d.]){re.escape(needed)}(?!\.?\d)", support):
            yield f"{' and '.join(SUPPORT_PAGES)} do not mention {needed}: say what is supported"


def _newest_python(classifiers: Iterable[str]) -> str:
    prefix = "Programming Language :: Python :: "
    versions = [each.removeprefix(prefix) for each in classifiers if each.startswith(f"{prefix}3.")]
    return max(versions, key=Version)


def _lowest_airflow(dependencies: Iterable[str]) -> str:
    (airflow,) = (each for each in map(Requirement, dependencies) if each.name == "apache-airflow")
    return str(airflow.specifier).removeprefix(">=")


def _pin(constraints: str) -> str:
    found = re.search(r"^apache-airflow==([\d.]+)", constraints, re.MULTILINE)
    return found[1] if found else ""


# Distributions


def build_problems(folder: Path) -> Iterator[str]:
    """
    Build the wheel and the sdist twice, once into *folder*.

    :return: Why they cannot be built, or which of them differ.
    """
    again = folder / "again"
    for each in (folder, again):
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(each)]
        process = subprocess.run(
            command, cwd=REPOSITORY, check=False, capture_output=True, text=True
        )
        if process.returncode:
            yield f"the build fails, see `make build`: {_reason(process.stdout + process.stderr)}"
            return
    for path in again.iterdir():
        if path.read_bytes() != (folder / path.name).read_bytes():
            yield f"{path.name} differs between two builds: find what depends on time or order"


def _reason(output: str) -> str:
    """Return why a program failed, in one line: its last exception, or else all that it says."""
    lines = output.strip().splitlines()
    exceptions = [line for line in lines if re.match(r"[\w.]*(?:Error|Exception)\b", line)]
    if not exceptions:
        return " ".join(output.split())
    places = re.findall(r'^ *File "(.*)", line (\d+)', output, re.MULTILINE)
    return " at ".join([exceptions[-1], *(f"{path}:{line}" for path, line in places[-1:])])


def wheel_files(folder: Path) -> dict[str, bytes]:
    """Return the content of each file of the wheel in *folder*, by its name."""
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sdist_files(folder: Path) -> dict[str, bytes]:
    """Return the content of each file of the sdist in *folder*, without the outermost folder."""
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {
            member.name.partition("/")[2]: stream.read()
            for member in archive.getmembers()
            if (stream := archive.extractfile(member))
        }


def wheel_problems(files: Mapping[str, bytes], sources: Iterable[str]) -> Iterator[str]:
    """
    Yield what the wheel lacks, and what it should not have.

    :param files: The content of each file, by its name.
    :param sources: Paths of all files of the repository.
    """
    expected = {path for path in sources if path.startswith(f"{PACKAGE}/")}
    packaged = {name for name in files if ".dist-info/" not in name}
    metadata = {name.partition(".dist-info/")[2] for name in files if ".dist-info/" in name}
    yield from _content_problems(packaged, expected | {f"{PACKAGE}/py.typed"})
    yield from _content_problems(metadata, WHEEL_METADATA)
    yield from leak_problems(files)


def sdist_problems(files: Mapping[str, bytes], sources: Iterable[str]) -> Iterator[str]:
    """
    Yield what the sdist lacks, and what it should not have.

    :param files: The content of each file, by its name.
    :param sources: Paths of all files of the repository.
    """
    expected = {path for path in sources if path.startswith(f"{PACKAGE}/")}
    yield from _content_problems(files, expected | DOCUMENTS | SDIST_METADATA)
    yield from leak_problems(files)


def _content_problems(names: Iterable[str], expected: Iterable[str]) -> Iterator[str]:
    for name in sorted(set(names) - set(expected)):
        yield f"{name} is not expected: remove it, or leave it out in [tool.hatch.build]"
    for name in sorted(set(expected) - set(names)):
        yield f"{name} is missing: include it in [tool.hatch.build]"
    for name in sorted(names):
        if re.search(r"(?:^|/)(?:tests?/|test_[^/]*$|conftest\.py$)", name):
            yield f"{name} is a test: move it to tests/"


def leak_problems(files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield which of *files* have a path of a machine, or a secret."""
    for name, content in files.items():
        for path in dict.fromkeys(_MACHINE_PATH.findall(content)):
            yield f"{name} has the path {path.decode()} of a machine: remove it"
        for kind, pattern in _SECRETS.items():
            if pattern.search(content):
                yield f"{name} has {kind}: remove it, and revoke it if it is real"


def twine_problems(folder: Path) -> Iterator[str]:
    """Yield what a package index would not accept of the distributions in *folder*."""
    distributions = [str(path) for path in folder.iterdir() if path.is_file()]
    process = subprocess.run(
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *distributions],
        check=False,
        capture_output=True,
        text=True,
    )
    if process.returncode:
        lines = (process.stdout + process.stderr).split("\n")
        yield " ".join(each.strip() for each in lines if each.strip())
    process = subprocess.run(
        [sys.executable, "-m", "validate_pyproject", "pyproject.toml"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    if process.returncode:
        yield " ".join((process.stdout + process.stderr).split())


def install_problems(folder: Path, name: str) -> Iterator[str]:
    """
    Install the wheel in *folder* into a new environment, and load there what Airflow loads.

    :param name: Name of the file in constraints/ whose versions are installed.
    """
    environment, (wheel,) = folder / name, folder.glob("*.whl")
    python = str(environment / "bin/python")
    uv = [sys.executable, "-m", "uv"]
    constraints = str(REPOSITORY / f"constraints/{name}.txt")
    install = [*uv, "pip", "install", "--quiet", "--python", python, "--constraint", constraints]
    probe = str(REPOSITORY / "scripts/installation_probe.py")
    for step, command in {
        "a new environment": [*uv, "venv", "--quiet", "--python", sys.executable, str(environment)],
        "the installation of the wheel": [*install, str(wheel)],
        "loading what Airflow loads": [python, "-P", probe, "airflow"],
        # The plugin for pytest is loaded by pytest alone, which nobody else needs.
        "the installation of pytest": [*install, "pytest"],
        "loading what pytest loads": [python, "-P", probe, "pytest"],
    }.items():
        process = subprocess.run(
            command,
            cwd=folder,
            env={**environment_without_checkout(), "AIRFLOW_HOME": str(folder / f"home-{name}")},
            check=False,
            capture_output=True,
            text=True,
        )
        if process.returncode:
            yield f"{step} fails, correct this: {_reason(process.stderr or process.stdout)}"
            return


def environment_without_checkout() -> dict[str, str]:
    """Return the environment, without what makes Python import this checkout, and Airflow's."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("AIRFLOW_")
    }


# The repository


def versions_of_tags(*command: str) -> list[str]:
    """Return the versions of the tags that ``git`` lists, newest first: ``v0.2.0`` is 0.2.0."""
    return versions_in(output_of("git", *command).split())


def versions_in(tags: Iterable[str]) -> list[str]:
    """Return the versions of those *tags* that are of a release, newest first."""
    versions = []
    for tag in tags:
        try:
            version = Version(tag.removeprefix("v"))
        except InvalidVersion:
            continue
        if tag == f"v{version}":
            versions.append(version)
    return [str(each) for each in sorted(versions, reverse=True)]


def older_release() -> str:
    """
    Return the release whose deferred tasks this one has to complete.

    :return: The tag of the newest release other than the present commit, or a commit as long as
        there is none.
    """
    here = versions_of_tags("tag", "--points-at", "HEAD")
    earlier = [each for each in versions_of_tags("tag") if each not in here]
    return f"v{earlier[0]}" if earlier else FIRST_FROZEN_COMMIT


def text_of(path: str) -> str:
    """Return the text of a file of the repository."""
    return (REPOSITORY / path).read_text(encoding="utf-8")


def read_pyproject() -> dict[str, Any]:
    """Return the content of pyproject.toml."""
    return tomllib.loads(text_of("pyproject.toml"))


def output_of(*command: str) -> str:
    """
    Return the output of a command that runs in the repository.

    :raises SystemExit: The command fails, as git does outside of a repository.
    """
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` fails: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())

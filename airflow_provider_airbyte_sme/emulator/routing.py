"""Routing: from a request's method and path to its handler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.context import RequestContext

Handler = Callable[[RequestContext], HttpResponse]

PUBLIC_API = "/api/public/v1"
CONFIG_API = "/api/v1"


@dataclass(frozen=True)
class Route:
    """
    One operation.

    :param template: The path, with its parameters in braces.
    :param needs_token: Whether the security filter requires a token.
    :param consumes: Media types that the request's body may have.
    """

    method: str
    template: str
    handler: Handler
    needs_token: bool = True
    consumes: tuple[str, ...] = ("application/json",)

    @property
    def name(self) -> str:
        """The route's name, such as ``GET /jobs/{jobId}``; in the config API with its full path."""
        return f"{self.method} {self.template.removeprefix(PUBLIC_API)}"


class Router:
    """Collects routes whose paths start with *prefix*."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.routes: list[Route] = []

    def add(
        self,
        method: str,
        template: str,
        *,
        needs_token: bool = True,
        consumes: tuple[str, ...] = ("application/json",),
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function for *method* and *template*."""

        def register(handler: Handler) -> Handler:
            self.routes.append(
                Route(method, self._prefix + template, handler, needs_token, consumes)
            )
            return handler

        return register


@dataclass(frozen=True)
class Match:
    """
    The result of looking up a method and a path.

    :param route: ``None``: no operation has this path and method.
    :param parameters: The path parameters, percent-decoded.
    :param known_path: Whether an operation has this path, with this or another method.
    """

    route: Route | None
    parameters: dict[str, str]
    known_path: bool


class RouteTable:
    """All routes, indexed by the number of segments in their paths."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], Route]]] = {}
        for route in routes:
            segments = tuple(route.template.strip("/").split("/"))
            self._by_length.setdefault(len(segments), []).append((segments, route))
        for candidates in self._by_length.values():
            # A literal segment wins over a parameter: in /applications/token, `token` is not an id.
            candidates.sort(key=lambda candidate: [s.startswith("{") for s in candidate[0]])

    def match(self, method: str, path: str) -> Match:
        """Find the route for a *path* that is still percent-encoded."""
        segments = path.strip("/").split("/")
        known_path = False
        for template, route in self._by_length.get(len(segments), ()):
            parameters = _parameters(template, segments)
            if parameters is None:
                continue
            if route.method == method:
                return Match(route, parameters, known_path=True)
            known_path = True
        return Match(None, {}, known_path=known_path)


def _parameters(template: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    parameters = {}
    for pattern, segment in zip(template, segments, strict=True):
        if pattern.startswith("{"):
            if not segment:
                return None
            parameters[pattern[1:-1]] = unquote(segment)
        elif pattern != segment:
            return None
    return parameters

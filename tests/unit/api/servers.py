"""Small servers on loopback that send exactly the bytes that a test gives them."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from types import TracebackType
from typing import Literal, Self

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """One request as it was received; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class RawResponse:
    """
    The bytes of one response, and what to do with the connection after them.

    :param then: ``keep`` the connection for the next request, ``close`` it, ``hold`` it open
        without another byte until the server stops, or ``garble`` the TLS stream.
    """

    raw: bytes
    then: Literal["keep", "close", "hold", "garble"] = "keep"


def raw_response(
    body: bytes = b"{}", status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()
) -> RawResponse:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return RawResponse("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


class RawServer:
    """
    Sends the given responses in order, repeats the last one, and records the requests.

    :param tls: Context for TLS; ``None`` for plain HTTP. A failed handshake is ignored here.
    """

    def __init__(self, *responses: RawResponse, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self._responses = deque(responses or (raw_response(),))
        self._tls = tls
        self._stopped = threading.Event()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = {self._listener}
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for open_socket in tuple(self._open):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        for thread in tuple(self._threads):
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            # A failed TLS handshake, or a client that disconnects.
            with connection, suppress(OSError):
                if self._tls is None:
                    self._handle_requests(connection)
                else:
                    with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                        self._open.add(encrypted)
                        self._handle_requests(encrypted)
        finally:
            self._open = {open_socket for open_socket in self._open if open_socket.fileno() >= 0}

    def _handle_requests(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while request := _read(stream):
                self.requests.append(request)
                if not self.respond(connection, request):
                    return

    def respond(self, connection: socket.socket, request: Received) -> bool:
        """Respond to *request* and return whether to keep the connection."""
        del request
        current = self._responses.popleft() if len(self._responses) > 1 else self._responses[0]
        connection.sendall(current.raw)
        if current.then == "hold":
            self._stopped.wait()
        elif current.then == "garble":
            os.write(connection.fileno(), b"not a TLS record")
        return current.then == "keep"


class Proxy(RawServer):
    """A proxy that responds to plain HTTP itself and tunnels CONNECT to the real target."""

    def respond(self, connection: socket.socket, request: Received) -> bool:
        if request.method != "CONNECT":
            return super().respond(connection, request)
        host, _, port = request.target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as target:
            target.settimeout(None)
            self._open.add(target)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            backward = threading.Thread(target=_pump, args=(target, connection))
            backward.start()
            _pump(connection, target)
            backward.join(10)
        return False


def _read(stream: BufferedReader) -> Received | None:
    line = stream.readline().decode("latin-1").strip()
    if not line:
        return None
    method, target, _ = line.split(" ")
    headers = {}
    while header := stream.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Received(method, target, headers, stream.read(int(headers.get("content-length", "0"))))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

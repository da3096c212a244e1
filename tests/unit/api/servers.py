"""Small servers on loopback: what goes over the wire is what a test wrote, byte for byte."""

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
    """One request as it came in; names of headers in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """
    What goes out, and what becomes of the connection then.

    :param then: ``keep`` it for the next request, ``close`` it, ``hold`` it open in silence until
        the server stops, or ``garble`` what is encrypted.
    """

    raw: bytes
    then: Literal["keep", "close", "hold", "garble"] = "keep"


def answer(
    body: bytes = b"{}", status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()
) -> Answer:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return Answer("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


class RawServer:
    """
    Gives its answers in order, the last one again and again, and keeps what it was asked.

    :param tls: Speaks TLS with it; a handshake that fails is the client's affair.
    """

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self._answers = deque(answers or (answer(),))
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
        kind: type[BaseException] | None,
        error: BaseException | None,
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
            # A client that does not trust us, or whom we do not trust, leaves in the middle.
            with connection, suppress(OSError):
                if self._tls is None:
                    self._talk(connection)
                else:
                    with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                        self._open.add(encrypted)
                        self._talk(encrypted)
        finally:
            self._open = {open_socket for open_socket in self._open if open_socket.fileno() >= 0}

    def _talk(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while request := _read(stream):
                self.requests.append(request)
                if not self.respond(connection, request):
                    return

    def respond(self, connection: socket.socket, request: Received) -> bool:
        """Answer *request* and tell whether to wait for another one."""
        del request
        now = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        connection.sendall(now.raw)
        if now.then == "hold":
            self._stopped.wait()
        elif now.then == "garble":
            os.write(connection.fileno(), b"no record of TLS")
        return now.then == "keep"


class Proxy(RawServer):
    """A proxy that answers for plain HTTP itself, and leads to the real target for the rest."""

    def respond(self, connection: socket.socket, request: Received) -> bool:
        if request.method != "CONNECT":
            return super().respond(connection, request)
        host, _, port = request.target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as target:
            target.settimeout(None)
            self._open.add(target)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(target, connection))
            back.start()
            _pump(connection, target)
            back.join(10)
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

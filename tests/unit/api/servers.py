"""Small servers on loopback that send exactly the bytes that a test gives them."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from io import BufferedReader
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"


def supports_ipv6() -> bool:
    """Return whether this machine has an IPv6 loopback address; many containers have none."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Received:
    """One request as it was received; header names in lower case, those of the same name joined."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class RawResponse:
    """
    The bytes of one response, and what to do with the connection after them.

    :param then: ``keep`` the connection for the next request, ``close`` it, ``reset`` it, ``hold``
        it open without another byte until the server stops, or ``garble`` the TLS stream.
    :param pause: Seconds before each byte; 0 sends all at once.
    """

    raw: bytes
    then: Literal["keep", "close", "reset", "hold", "garble"] = "keep"
    pause: float = 0


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
    :param host: Address to listen on.
    :param reads_bodies: Whether to read the body of a request before the response.

    ``received`` is set as soon as there is a request; ``connections`` counts the accepted ones.
    """

    def __init__(
        self,
        *responses: RawResponse,
        tls: ssl.SSLContext | None = None,
        host: str = LOOPBACK,
        reads_bodies: bool = True,
    ) -> None:
        self.requests: list[Received] = []
        self.received = threading.Event()
        self.connections = 0
        self._responses = deque(responses or (raw_response(),))
        self._tls = tls
        self._reads_bodies = reads_bodies
        self._stopped = threading.Event()
        self._host = f"[{host}]" if ":" in host else host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = {self._listener}
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def answer(self, *responses: RawResponse) -> None:
        """Send these from now on, in place of the responses given before."""
        self._responses = deque(responses)

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
            self.connections += 1
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
            while request := _read(stream, reads_body=self._reads_bodies):
                self.requests.append(request)
                self.received.set()
                if not self.respond(connection, request):
                    return

    def respond(self, connection: socket.socket, request: Received) -> bool:
        """Respond to *request* and return whether to keep the connection."""
        del request
        current = self._responses.popleft() if len(self._responses) > 1 else self._responses[0]
        return self.write(connection, current)

    def write(self, connection: socket.socket, response: RawResponse) -> bool:
        """Send *response* and return whether to keep the connection."""
        if response.pause:
            for byte in response.raw:
                if self._stopped.wait(response.pause):
                    return False
                connection.sendall(bytes([byte]))
        else:
            connection.sendall(response.raw)
        if response.then == "hold":
            self._stopped.wait()
        elif response.then == "garble":
            os.write(connection.fileno(), b"not a TLS record")
        elif response.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return response.then == "keep"


class HangUpServer(RawServer):
    """Closes each connection without reading anything."""

    def _serve(self, connection: socket.socket) -> None:
        connection.close()


class ClosingServer(RawServer):
    """Reads what comes first, and then closes each connection."""

    def _serve(self, connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.close()


class RefusingServer(RawServer):
    """Refuses what comes first in plain HTTP, and resets the connection at once."""

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65_536)
            self.write(connection, replace(raw_response(b"", "400 Bad Request"), then="reset"))


class DrippingServer(RawServer):
    """Begins a TLS handshake, and sends a byte of it now and then."""

    def _serve(self, connection: socket.socket) -> None:
        # The head of the longest record, a ServerHello.
        record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + bytes(16_000)
        with connection, suppress(OSError):
            self.write(connection, RawResponse(record, pause=0.05))


class Proxy(RawServer):
    """
    A forward proxy: it forwards plain HTTP and tunnels CONNECT. It records what it was asked.

    :param responses: Send these to plain HTTP requests, and forward none.
    :param connect: Send this to CONNECT, and open no tunnel.
    :param drop_when: Close all connections once this is set.
    :param tls: Context for TLS between client and proxy.
    """

    def __init__(
        self,
        *responses: RawResponse,
        connect: RawResponse | None = None,
        drop_when: threading.Event | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(*responses, tls=tls)
        self._forwards = not responses
        self._connect = connect
        self._drop_when = drop_when or threading.Event()
        self._threads.append(threading.Thread(target=self._drop))

    def __enter__(self) -> Self:
        self._threads[1].start()
        return super().__enter__()

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._drop_when.set()
        super().__exit__(exception_type, exception, traceback)

    def _drop(self) -> None:
        self._drop_when.wait()
        for open_socket in self._open - {self._listener}:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def respond(self, connection: socket.socket, request: Received) -> bool:
        if request.method == "CONNECT":
            return self._tunnel(connection, request)
        return (
            self._forward(connection, request)
            if self._forwards
            else super().respond(connection, request)
        )

    def _tunnel(self, connection: socket.socket, request: Received) -> bool:
        if self._connect:
            return self.write(connection, self._connect)
        host, _, port = request.target.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as target:
            target.settimeout(None)
            self._open.add(target)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            backward = threading.Thread(target=_pump, args=(target, connection))
            backward.start()
            _pump(connection, target)
            backward.join(10)
        return False

    def _forward(self, connection: socket.socket, request: Received) -> bool:
        url = urlsplit(request.target)
        path = request.target.partition(url.netloc)[2]
        headers = {
            name: value for name, value in request.headers.items() if not name.startswith("proxy-")
        }
        target = HTTPConnection(url.hostname or "", url.port, timeout=10)
        try:
            target.connect()
            self._open.add(target.sock)
            target.request(request.method, path, request.body, headers)
            response = target.getresponse()
            body = response.read()
        except (OSError, HTTPException):
            if self._drop_when.is_set():
                return False
            return self.write(connection, raw_response(b"", "502 Bad Gateway"))
        finally:
            target.close()
        status = f"{response.status} {response.reason}"
        kept = [item for item in response.getheaders() if item[0] not in _FRAMING]
        return self.write(connection, raw_response(body, status, kept))


# A proxy writes its own.
_FRAMING = ("Content-Length", "Transfer-Encoding")


def _read(stream: BufferedReader, *, reads_body: bool) -> Received | None:
    line = stream.readline().decode("latin-1").strip()
    if not line:
        return None
    method, target, _ = line.split(" ")
    headers: dict[str, str] = {}
    while header := stream.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    length = int(headers.get("content-length", "0")) if reads_body else 0
    return Received(method, target, headers, stream.read(length))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

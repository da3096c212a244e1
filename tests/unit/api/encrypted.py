"""An emulator behind TLS."""

from __future__ import annotations

import socket
import ssl

from airflow_provider_airbyte_sme.api import HttpRequest
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.servers import RawServer, Received, raw_response


class EncryptedEmulator(RawServer):
    """Serves an emulator over https."""

    def __init__(self, emulator: Emulator, context: ssl.SSLContext) -> None:
        super().__init__(tls=context)
        self._emulator = emulator

    def respond(self, connection: socket.socket, request: Received) -> bool:
        response = self._emulator.respond(
            HttpRequest(request.method, self.url + request.target, request.headers, request.body)
        )
        headers = response.headers.items()
        return self.write(connection, raw_response(response.body, f"{response.status} -", headers))

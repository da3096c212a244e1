"""
Access tokens, permissions and roles: ``docs/airbyte-api.md`` §2.

Tokens are JWTs with Airbyte's claims (§2.4). In every mode they are signed with a key of this
instance (HS256), so that the standard library is enough: apart from ``exp``, a token is opaque to
clients anyway.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

from airflow_provider_airbyte_sme.emulator.world import (
    DEFAULT_ORGANIZATION_ID,
    ActorKind,
    Application,
    Permission,
    User,
    World,
)

AuthMode = Literal["oidc", "generic-oidc", "simple", "none"]

_MAX_REMEMBERED_TOKENS = 10_000

READER = "WORKSPACE_READER"
RUNNER = "WORKSPACE_RUNNER"
SOURCE_EDITOR = "WORKSPACE_SOURCE_EDITOR"
DESTINATION_EDITOR = "WORKSPACE_DESTINATION_EDITOR"
EDITOR = "WORKSPACE_EDITOR"
ADMIN = "WORKSPACE_ADMIN"
ORGANIZATION_MEMBER = "ORGANIZATION_MEMBER"
ORGANIZATION_READER = "ORGANIZATION_READER"
ORGANIZATION_EDITOR = "ORGANIZATION_EDITOR"
ORGANIZATION_ADMIN = "ORGANIZATION_ADMIN"

# Roles of which one is enough to change connections and tags: §2.7.
ANY_EDITOR = (EDITOR, SOURCE_EDITOR, DESTINATION_EDITOR)
# Roles of which one is enough to change sources, or destinations.
ACTOR_EDITORS: Mapping[ActorKind, tuple[str, ...]] = {
    "source": (EDITOR, SOURCE_EDITOR),
    "destination": (EDITOR, DESTINATION_EDITOR),
}

_WORKSPACE_READER = frozenset({READER})
_WORKSPACE_RUNNER = _WORKSPACE_READER | {RUNNER}
_WORKSPACE_EDITOR = _WORKSPACE_RUNNER | {SOURCE_EDITOR, DESTINATION_EDITOR, EDITOR}
_WORKSPACE_ADMIN = _WORKSPACE_EDITOR | {ADMIN}
_ORGANIZATION_READER = frozenset({ORGANIZATION_MEMBER, ORGANIZATION_READER})
_ORGANIZATION_EDITOR = _ORGANIZATION_READER | {ORGANIZATION_EDITOR}
_ORGANIZATION_ADMIN = _ORGANIZATION_EDITOR | {ORGANIZATION_ADMIN}

# The roles that each permission implies: docs/airbyte-api.md §2.7.
_IN_WORKSPACE: Mapping[str, frozenset[str]] = {
    "workspace_reader": _WORKSPACE_READER,
    "workspace_runner": _WORKSPACE_RUNNER,
    "workspace_source_editor": _WORKSPACE_RUNNER | {SOURCE_EDITOR},
    "workspace_destination_editor": _WORKSPACE_RUNNER | {DESTINATION_EDITOR},
    "workspace_editor": _WORKSPACE_EDITOR,
    "workspace_admin": _WORKSPACE_ADMIN,
    "workspace_owner": _WORKSPACE_ADMIN,
    "organization_member": frozenset(),
    "organization_reader": _WORKSPACE_READER,
    "organization_runner": _WORKSPACE_RUNNER,
    "organization_editor": _WORKSPACE_EDITOR,
    "organization_admin": _WORKSPACE_ADMIN,
    "instance_admin": _WORKSPACE_ADMIN,
}
_IN_ORGANIZATION: Mapping[str, frozenset[str]] = {
    "organization_member": frozenset({ORGANIZATION_MEMBER}),
    "organization_reader": _ORGANIZATION_READER,
    "organization_runner": _ORGANIZATION_READER,
    "organization_editor": _ORGANIZATION_EDITOR,
    "organization_admin": _ORGANIZATION_ADMIN,
    "instance_admin": _ORGANIZATION_ADMIN,
}
PERMISSION_TYPES = frozenset(_IN_WORKSPACE)
INSTANCE_ADMIN = "instance_admin"


def in_workspace(permission_type: str) -> frozenset[str]:
    """Return the roles that a permission gives in each workspace that it covers."""
    return _IN_WORKSPACE[permission_type]


def scope_of(permission_type: str) -> Literal["workspace", "organization", "none"]:
    """Return the kind of resource that a permission of this type is granted on."""
    if permission_type.startswith("workspace_"):
        return "workspace"
    return "organization" if permission_type.startswith("organization_") else "none"


class Access:
    """
    The applications, tokens and roles of the users in one world.

    :param token_lifetime: How long an access token is valid, in seconds.
    """

    def __init__(self, world: World, *, auth_mode: AuthMode, token_lifetime: float) -> None:
        self._world = world
        self.auth_mode = auth_mode
        self.token_lifetime = token_lifetime
        #: Whether the identity provider can be asked for a new token.
        self.issues_tokens = True
        #: Whether it can be asked if a token is valid; until then none is (§2.4).
        self.checks_tokens = True
        #: The tokens issued last, the oldest first, whether still valid or not.
        self.issued_tokens: deque[str] = deque(maxlen=_MAX_REMEMBERED_TOKENS)

    def application(self, client_id: str, client_secret: str) -> Application | None:
        """Return the application with these credentials, or ``None``."""
        for application in self._world.applications.values():
            if application.client_id == client_id and hmac.compare_digest(
                application.client_secret.encode(), client_secret.encode("utf-8", "replace")
            ):
                return application
        return None

    def issue_token(self, application: Application, *, now: float, airbyte_url: str) -> str:
        """Return a token that acts as the user who created *application*."""
        claims: dict[str, Any] = {"sub": application.user_id, "exp": int(now + self.token_lifetime)}
        if self.auth_mode == "oidc":
            claims["iss"] = f"{airbyte_url}/auth/realms/airbyte"
            claims["user_id"] = application.user_id
            claims["azp"] = application.client_id
        else:
            claims["iss"] = airbyte_url
            claims["aud"] = "airbyte-server"
            if self.auth_mode == "simple":
                claims["roles"] = ["INSTANCE_ADMIN"]
        # With a fraction, two exchanges in the same second give different tokens.
        claims["iat"] = round(now, 6)
        head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = _encode(json.dumps(claims).encode())
        token = f"{head}.{body}.{self._signature(f'{head}.{body}')}"
        self.issued_tokens.append(token)
        return token

    def user_of(self, authorization: str | None, *, now: float) -> tuple[User | None, bool]:
        """
        Find the user of the token in an ``Authorization`` header.

        :return: The user, and whether the token is valid. The user of a valid token is ``None``
            if they no longer exist.
        """
        if not self.checks_tokens:
            return None, False
        scheme, _, token = (authorization or "").partition(" ")
        signed, _, signature = token.strip().rpartition(".")
        if scheme.lower() != "bearer" or not signed.isascii() or not signature.isascii():
            return None, False
        if not hmac.compare_digest(signature, self._signature(signed)):
            return None, False
        claims = json.loads(_decode(signed.partition(".")[2]))
        # [inf] Keycloak rejects the tokens of a deleted application: §2.4
        client_id = claims.get("azp")
        if claims["exp"] <= now or client_id not in (None, *self._world.applications):
            return None, False
        return self._world.users.get(claims["sub"]), True

    def workspace_roles(self, user: User, workspace_id: str) -> frozenset[str]:
        """Return the roles that *user* has in a workspace, through any permission."""
        workspace = self._world.workspaces.get(workspace_id)
        if workspace is None:
            return frozenset()
        roles: frozenset[str] = frozenset()
        for permission in self.permissions_of(user):
            if (
                permission.type == INSTANCE_ADMIN
                or permission.workspace_id == workspace_id
                or permission.organization_id == workspace.organization_id
            ):
                roles |= _IN_WORKSPACE[permission.type]
        return roles

    def organization_roles(
        self, user: User, organization_id: str = DEFAULT_ORGANIZATION_ID
    ) -> frozenset[str]:
        """Return the roles that *user* has in an organization."""
        roles: frozenset[str] = frozenset()
        for permission in self.permissions_of(user):
            if permission.type == INSTANCE_ADMIN or permission.organization_id == organization_id:
                roles |= _IN_ORGANIZATION.get(permission.type, frozenset())
        return roles

    def is_instance_admin(self, user: User) -> bool:
        """Whether *user* has every role, and gets 404 instead of 403 for unknown ids (§4.1)."""
        return any(permission.type == INSTANCE_ADMIN for permission in self.permissions_of(user))

    def permissions_of(self, user: User) -> list[Permission]:
        """Return the permissions of *user*, granted directly or through a group."""
        groups = {g.id for g in self._world.groups.values() if user.id in g.members}
        return [
            permission
            for permission in self._world.permissions.values()
            if permission.user_id == user.id or permission.group_id in groups
        ]

    def _signature(self, signed: str) -> str:
        key = self._world.signing_key.encode()
        return _encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

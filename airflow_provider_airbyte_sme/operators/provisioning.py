"""What the operators that create, change and delete Airbyte resources have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink, XCom

from airflow_provider_airbyte_sme.api import run_blocking
from airflow_provider_airbyte_sme.operators.base import (
    RESOURCE_URL_KEY,
    AirbyteOperator,
    AirbyteWorkspaceOperator,
)
from airflow_provider_airbyte_sme.operators.rendering import (
    Unrendered,
    as_given,
    check_arguments,
    rendered,
)
from airflow_provider_airbyte_sme.outcome import failing_fast
from airflow_provider_airbyte_sme.parameters import (
    check_one_is_given,
    check_unless_template,
    given_one,
    validate_choice,
    validate_flag,
    validate_name,
    validate_uuid,
)
from airflow_provider_airbyte_sme.provisioning.declarations import IfExists
from airflow_provider_airbyte_sme.provisioning.deletion import Reference
from airflow_provider_airbyte_sme.provisioning.provisioner import Provisioner
from airflow_provider_airbyte_sme.provisioning.results import (
    Action,
    FieldChange,
    ResourceKind,
    ResourceResult,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, TaskInstanceKey

    from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook


class AirbyteResourceLink(BaseOperatorLink):
    """The page of Airbyte's UI that shows the task's resource."""

    name = "Airbyte resource"

    @property
    def xcom_key(self) -> str:
        """The XCom with the link."""
        return RESOURCE_URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link; empty while there is no resource."""
        return XCom.get_value(key=RESOURCE_URL_KEY, ti_key=ti_key) or ""


class AirbyteResourceOperator(AirbyteOperator):
    """
    Base class of what writes to Airbyte's resources.

    A permanent error fails the task at once. The log has a line for each resource, and one for each
    field that differed.

    :param dry_run: Whether to plan only: the result is what would be done, and nothing is written.
        (templated)
    """

    template_fields: Sequence[str] = (*AirbyteOperator.template_fields, "plan_only")
    operator_extra_links = (AirbyteResourceLink(),)

    def __init__(self, *, dry_run: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Not self.dry_run: that is a method of BaseOperator, which `airflow tasks test --dry-run`
        # of Airflow 2 calls.
        self.plan_only = check_unless_template(validate_flag, dry_run, "dry_run")

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: Any = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render *content*, but not what :mod:`.rendering` renders later."""
        if isinstance(content, Unrendered):
            return content.marked_final_if_in(seen_oids)
        return super().render_template(content, context, jinja_env, seen_oids)

    def execute(self, context: Context) -> dict[str, Any]:
        """Do the work of the operator, and return its result."""
        with failing_fast():
            self._validate_parameters()
            return self._run(context)

    @abstractmethod
    def _run(self, context: Context) -> dict[str, Any]:
        """Do the work, with valid parameters."""

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self.plan_only = rendered_flag(self.plan_only, "dry_run")

    @cached_property
    def _provisioner(self) -> Provisioner:
        return make_provisioner(self.hook, dry_run=self.plan_only)

    def _push(self, context: Context, result: ResourceResult, workspace_id: str) -> None:
        """Push the id of a resource, for ``output["source_id"]``, and its page for the link."""
        task_instance = context["ti"]
        if result.resource_id:
            page = self.hook.settings.urls.resource_page(
                result.kind, result.resource_id, workspace_id
            )
            # First: a task with only the id of a connection is shown as waiting for it.
            task_instance.xcom_push(key=RESOURCE_URL_KEY, value=page)
        task_instance.xcom_push(key=f"{result.kind}_id", value=result.resource_id)


class AirbyteCreateOperator(AirbyteResourceOperator):
    """
    Base class of what brings one declared resource about.

    It is found by its name, because Airbyte's names are not unique and nothing else is known before
    it exists. A second run with the same arguments writes nothing.

    A subclass names in :attr:`declared` the parameters that describe the resource, and calls
    :meth:`_check_declaration` at the end of its constructor.

    :param name: Its name. Exactly one resource may have it. (templated)
    :param if_exists: What to do with a resource that exists: ``update`` it where it differs;
        ``reuse`` it as it is; ``fail``. (templated)
    :return: A dict: ``action`` (``created``, ``updated`` or ``unchanged``; with *dry_run*
        ``would_create``, ``would_update`` or ``unchanged``), ``<kind>_id``, ``name``, ``changes``
        (a list of ``{"field", "before", "after"}``; secrets are masked) and ``not_compared`` (the
        fields that it has in Airbyte, and that are not declared). ``<kind>_id`` is an XCom of its
        own too, so another task can have ``source_id=create.output["source_id"]``.
    """

    template_fields: Sequence[str] = (
        *AirbyteResourceOperator.template_fields,
        "name",
        "if_exists",
    )

    kind: ClassVar[ResourceKind]
    declared: ClassVar[Sequence[str]]
    parents: ClassVar[Collection[str]] = ()
    """The parameters with the ids of what must exist before."""

    def __init__(self, *, name: str, if_exists: IfExists = "update", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.if_exists: IfExists = if_exists
        check_unless_template(_check_if_exists, if_exists, "if_exists")

    @abstractmethod
    def _parse(self, arguments: Mapping[str, Any]) -> Any:
        """Return the declaration, and report every problem of the arguments."""

    @abstractmethod
    async def _ensure(self, declaration: Any) -> tuple[ResourceResult, str]:
        """Return the result, and the UUID of the workspace."""

    def _check_declaration(self) -> None:
        """
        Check when the DAG is parsed what needs no template.

        :raises AirbyteConfigError: An argument is invalid.
        """
        arguments = {name: as_given(getattr(self, name)) for name in self.declared}
        check_arguments(f"{self.kind} {self.name!r}", self._parse, arguments)

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        _check_if_exists(self.if_exists, "if_exists")

    def _run(self, context: Context) -> dict[str, Any]:
        missing = self._missing_parents()
        declaration = self._parse(
            {
                name: _NO_ID if name in missing else self._declared_value(name, context)
                for name in self.declared
            }
        )
        result, workspace_id = (
            (self._would_create(), "") if missing else run_blocking(self._ensure(declaration))
        )
        self._push(context, result, workspace_id)
        return result.to_json()

    def _declared_value(self, name: str, context: Context) -> Any:
        """
        Return an argument as the declaration has it.

        A template without a value is rendered to ``None`` as text. A name that is a number is one
        in a DAG with ``render_template_as_native_obj``.
        """
        value = rendered(getattr(self, name), context, self, name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        return None if isinstance(value, str) and value.strip() == "None" else value

    def _missing_parents(self) -> frozenset[str]:
        """
        Return the parents that do not exist yet.

        In a dry run, a task upstream has only planned them, and its result has an empty id.
        """
        missing = (name for name in self.parents if getattr(self, name) == "")
        return frozenset(missing) if self.plan_only else frozenset()

    def _would_create(self) -> ResourceResult:
        changes = (FieldChange("name", None, self.name),)
        result = ResourceResult(self.kind, Action.WOULD_CREATE, "", self.name, changes)
        self.log.info("%s.", result)
        return result


class AirbyteCreateInWorkspaceOperator(AirbyteCreateOperator, AirbyteWorkspaceOperator):
    """
    Base class of what brings one declared resource of a workspace about.

    :param workspace: Name of the workspace. (templated)
    :param workspace_id: UUID of the workspace, instead. (templated)
    """

    template_fields: Sequence[str] = (
        *AirbyteCreateOperator.template_fields,
        *("workspace", "workspace_id"),
    )
    parents: ClassVar[Collection[str]] = ("workspace_id",)

    def _check_declaration(self) -> None:
        self._check_workspace()
        super()._check_declaration()

    def _check_workspace(self) -> None:
        """Check when the DAG is parsed that the workspace is given."""
        check_one_is_given(**self._workspace_ways)

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        if not self._missing_parents():
            self._validate_workspace()

    async def _find_id_of_workspace(self) -> str:
        """Return the UUID of the workspace, whose parameters are valid."""
        if given_one(**self._workspace_ways) == "workspace":
            return await self._provisioner.inventory.workspace_id(str(self.workspace))
        return str(self.workspace_id)


class AirbyteDeleteOperator(AirbyteResourceOperator):
    """
    Base class of what deletes one resource. To delete what is gone succeeds.

    A subclass has a parameter for the id of the resource, and calls :meth:`_check_reference` at the
    end of its constructor.

    :param name: Its name, instead of its id. Exactly one resource may have it. (templated)
    :return: A dict: ``action`` (``deleted`` or ``absent``; with *dry_run* ``would_delete`` or
        ``absent``), ``<kind>_id``, ``name``, ``changes`` and ``not_compared``, which are empty.
    """

    template_fields: Sequence[str] = (*AirbyteResourceOperator.template_fields, "name")

    kind: ClassVar[ResourceKind]

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    @property
    def _id_name(self) -> str:
        return f"{self.kind}_id"

    @property
    def _ways(self) -> Mapping[str, object]:
        return {self._id_name: getattr(self, self._id_name), "name": self.name}

    @property
    def _cascades(self) -> bool:
        return False

    def _check_reference(self) -> None:
        """
        Check when the DAG is parsed that it is clear what to delete.

        :raises AirbyteConfigError: It is not.
        """
        check_one_is_given(**self._ways)

    def _run(self, context: Context) -> dict[str, Any]:
        reference = run_blocking(self._reference())
        if self._can_exist(reference):
            result = run_blocking(self._provisioner.delete(reference, cascade=self._cascades))
        else:
            result = ResourceResult(self.kind, Action.ABSENT, "", reference.name)
            self.log.info("%s. There is nothing to delete.", result)
        return result.to_json()

    def _can_exist(self, reference: Reference) -> bool:
        return bool(reference.resource_id or reference.name)

    async def _reference(self) -> Reference:
        """
        Return what to delete, from valid parameters.

        It has no id and no name if a dry run upstream has only planned the resource.
        """
        if given_one(**self._ways) == "name":
            return Reference(self.kind, name=validate_name(self.name, "name"))
        resource_id = getattr(self, self._id_name)
        if self.plan_only and resource_id == "":
            return Reference(self.kind)
        return Reference(self.kind, validate_uuid(resource_id, self._id_name, self.kind))


class AirbyteDeleteInWorkspaceOperator(AirbyteDeleteOperator, AirbyteWorkspaceOperator):
    """
    Base class of what deletes one resource of a workspace.

    :param workspace: Name of the workspace, with *name*. If it is gone, so is the resource.
        (templated)
    :param workspace_id: UUID of the workspace, instead. (templated)
    """

    template_fields: Sequence[str] = (
        *AirbyteDeleteOperator.template_fields,
        *("workspace", "workspace_id"),
    )

    def _check_reference(self) -> None:
        super()._check_reference()
        if self.name is not None:
            check_one_is_given(**self._workspace_ways)

    def _can_exist(self, reference: Reference) -> bool:
        return bool(reference.resource_id or reference.workspace_id)

    async def _reference(self) -> Reference:
        reference = await super()._reference()
        if not reference.name:
            return reference
        self._validate_workspace()
        return reference._replace(workspace_id=await self._existing_workspace_id())

    async def _existing_workspace_id(self) -> str:
        """
        Return the UUID of the workspace; empty if the user sees none with its name or id.

        To ask for what is in a deleted workspace would be a 403 for a normal user.
        """
        inventory = self._provisioner.inventory
        way = given_one(**self._workspace_ways)
        wanted, key = str(getattr(self, way)), "id" if way == "workspace_id" else "name"
        if all(getattr(each, key) != wanted for each in await inventory.workspaces()):
            self.log.warning("The user sees no workspace %r, so nothing in it.", wanted)
            return ""
        return wanted if key == "id" else await inventory.workspace_id(wanted)


# Only checked, and never sent.
_NO_ID = "00000000-0000-0000-0000-000000000000"


def _check_if_exists(value: str, name: str) -> None:
    validate_choice(value, name, get_args(IfExists))


def rendered_flag(value: object, name: str) -> bool:
    """
    Return a rendered argument, which must be a ``bool`` or its text.

    :raises AirbyteConfigError: It is something else.
    """
    text = value.strip().lower() if isinstance(value, str) else ""
    return validate_flag({"true": True, "false": False}.get(text, value), name)


def make_provisioner(hook: AirbyteHook, *, dry_run: bool) -> Provisioner:
    """
    Return the provisioner of a task.

    The fingerprints of secrets are keyed with the client secret of the Airflow connection: with
    another one, each secret is written to Airbyte once more.
    """
    from airflow_provider_airbyte_sme.provisioning.fingerprints import Fingerprints
    from airflow_provider_airbyte_sme.secret_store import VariableStore

    return Provisioner(
        hook.client,
        store=VariableStore(),
        fingerprints=Fingerprints(hook.settings.client_secret.encode()),
        dry_run=dry_run,
        hide=hide,
    )


def hide(secrets: Iterable[str]) -> None:
    """Have Airflow mask secrets in the log of this task and in everything that it stores."""
    # Not from common.compat, which has it only since 1.14. Late, since only a task needs it.
    try:
        from airflow.sdk.log import mask_secret
    except ImportError:  # Airflow 2
        from airflow.utils.log.secrets_masker import (  # type: ignore[import-not-found,no-redef]
            mask_secret,
        )
    for secret in secrets:
        mask_secret(secret)

"""Operators for everything in one workspace: apply a declared pipeline, and export one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api import AirbyteConfigError, run_blocking
from airflow_provider_airbyte_sme.operators.base import AirbyteWorkspaceOperator
from airflow_provider_airbyte_sme.operators.provisioning import AirbyteResourceOperator
from airflow_provider_airbyte_sme.operators.rendering import (
    as_given,
    check_arguments,
    contains_template,
    render_all,
    rendered,
    template_environment,
    unrendered,
)
from airflow_provider_airbyte_sme.outcome import failing_fast
from airflow_provider_airbyte_sme.parameters import check_one_is_given, is_blank
from airflow_provider_airbyte_sme.provisioning.files import (
    read_document,
    to_document,
    write_yaml,
)
from airflow_provider_airbyte_sme.provisioning.parsing import parse_pipeline
from airflow_provider_airbyte_sme.provisioning.results import Action, ResourceResult

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_FILE_TYPES = (".yaml", ".yml", ".json")


class AirbyteApplyOperator(AirbyteResourceOperator):
    """
    Create everything that a file or a dict declares in one workspace, or change it to that.

    What can be checked before the first write is checked then. Tags, sources and destinations come
    before the connections that need them. Nothing is deleted.

    :param spec: What is declared: docs/pipeline-file.md. A dict, or the path of a file whose name
        ends in ``.yaml``, ``.yml`` or ``.json``: absolute, or relative to the DAG file or to the
        ``template_searchpath`` of the DAG. It is read first, and each text in it is then rendered
        on its own, so that no value can change its structure. It is not rendered before the task
        runs, so that no secret in it is stored or shown by Airflow. What another task returns is
        not rendered, unless it is a path. (templated)
    :return: A dict: ``action`` (``created`` if all was, ``unchanged`` if all is, else ``updated``;
        with *dry_run* ``would_create`` and ``would_update``), and ``resources``, a list with the
        result of each resource as its own operator returns it, and its ``kind``.
    """

    template_fields: Sequence[str] = (*AirbyteResourceOperator.template_fields, "spec")

    def __init__(self, *, spec: Mapping[str, Any] | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = unrendered(spec)
        self._check_spec(as_given(spec))

    def _check_spec(self, spec: Any) -> None:
        """
        Check when the DAG is parsed what needs no template, and no file.

        :raises AirbyteConfigError: It is invalid.
        """
        if isinstance(spec, Mapping):
            check_arguments("spec", parse_pipeline, spec)
        elif not contains_template(spec) and not _is_path(spec):
            raise AirbyteConfigError(
                f"spec must be a dict, or the path of a file that ends in "
                f"{', '.join(_FILE_TYPES)}, not {spec!r}."
            )

    def _run(self, context: Context) -> dict[str, Any]:
        spec = rendered(self.spec, context, self, "spec")
        if _is_path(spec):
            document = render_all(self._read(spec.strip()), context, self, spec.strip())
            pipeline = parse_pipeline(document, what=spec.strip())
        else:
            pipeline = parse_pipeline(spec, what="spec")
        results = run_blocking(self._provisioner.apply(pipeline))
        self._push(context, results[0], results[0].resource_id)
        return {
            "action": str(_common_action(results)),
            "resources": [{"kind": result.kind, **result.to_json()} for result in results],
        }

    def _read(self, path: str) -> Mapping[str, Any]:
        if Path(path).is_absolute():
            return read_document(Path(path))
        # As Airflow finds the files of templates. Late: a DAG file does not need Jinja for this.
        from jinja2 import DictLoader, TemplateNotFound

        environment = template_environment(self)
        loader = environment.loader or DictLoader({})  # none without a DAG
        try:
            text, file, _ = loader.get_source(environment, path)
        except TemplateNotFound:
            raise AirbyteConfigError(
                f"spec: there is no file {path}. Its path must be absolute, or relative to the DAG "
                f"file or to the template_searchpath of the DAG."
            ) from None
        return read_document(Path(file) if file else text)


class AirbyteExportOperator(AirbyteWorkspaceOperator):
    """
    Write everything in a workspace as :class:`AirbyteApplyOperator` reads it.

    To apply what was exported changes nothing. Each secret is a reference to an Airflow variable
    that may be missing: without it, Airbyte keeps the stored secret.

    :param workspace: Name of the workspace. (templated)
    :param workspace_id: UUID of the workspace, instead. (templated)
    :param path: Absolute path of a file to write, on the worker: JSON if its name ends in
        ``.json``, else YAML. Its folder must exist; a file that exists is replaced. (templated)
    :return: A dict: ``workspace_id``; ``path``, the file that was written, or ``None``;
        ``document``, the declaration itself if there is no file, else ``None``; and ``notes``, a
        sentence for each thing that cannot be declared. The texts of the document are templates,
        which are rendered from a file only: what one task returns is not a template to the next.
    """

    template_fields: Sequence[str] = (*AirbyteWorkspaceOperator.template_fields, "path")

    def __init__(self, *, path: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_one_is_given(**self._workspace_ways)
        if path is not None and not contains_template(path):
            _check_target(path)
        self.path = path

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the workspace, and return its declaration, or where it was written."""
        # Late: only this operator needs it.
        from airflow_provider_airbyte_sme.provisioning.export import read_workspace

        with failing_fast():
            self._validate_parameters()
            self._validate_workspace()
            path = None if is_blank(self.path) else _check_target(str(self.path))
            workspace_id = self._find_workspace_id()
            export = run_blocking(read_workspace(self.hook.client, workspace_id))
            document = to_document(export.pipeline)
            for note in export.notes:
                self.log.info(note)
            if path is not None:
                _write(path, document, export.notes)
                self.log.info("Wrote workspace %s to %s.", workspace_id, path)
            return {
                "workspace_id": workspace_id,
                "path": path and str(path),
                "document": None if path else json.loads(json.dumps(document)),
                "notes": list(export.notes),
            }


def _is_path(spec: Any) -> bool:
    return isinstance(spec, str) and spec.strip().endswith(_FILE_TYPES)


def _common_action(results: Sequence[ResourceResult]) -> Action:
    """Return one action for all: that of each, or that some were changed."""
    actions = {result.action for result in results}
    if len(actions) == 1:
        return actions.pop()
    is_planned = any(action is action.planned() for action in actions if action.writes)
    return Action.WOULD_UPDATE if is_planned else Action.UPDATED


def _check_target(path: str) -> Path:
    """
    Return the path of the file to write.

    :raises AirbyteConfigError: It is not absolute: a task may run in any folder.
    """
    target = Path(path.strip())
    if not target.is_absolute():
        raise AirbyteConfigError(f"path must be absolute, not {path!r}.")
    return target


def _write(path: Path, document: Mapping[str, Any], notes: Sequence[str]) -> None:
    """
    Write the file as a whole or not at all.

    :raises AirbyteConfigError: It cannot be written.
    """
    is_json = path.suffix.lower() == ".json"
    text = (
        json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        if is_json
        else write_yaml(document, "\n".join(notes))
    )
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise AirbyteConfigError(f"path: {path} cannot be written: {error.strerror}.") from error

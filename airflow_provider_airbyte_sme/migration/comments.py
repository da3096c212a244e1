"""The comments that leave something to a person, each above a statement."""

from __future__ import annotations

from typing import Any

import libcst as cst

from airflow_provider_airbyte_sme.migration.kinds import Module
from airflow_provider_airbyte_sme.migration.reasons import Reason

_STATEMENTS = cst.SimpleStatementLine | cst.BaseCompoundStatement


class Comments:
    """
    Collects the reasons for comments, and writes them.

    :param module: The original module.
    """

    def __init__(self, module: Module) -> None:
        self.written: list[Reason] = []
        """Once for each comment, in the order of the module."""
        self._module = module
        self._reasons: dict[cst.CSTNode, list[Reason]] = {}

    def note(self, node: cst.CSTNode, *reasons: Reason) -> None:
        """Leave something to a person, above the statement of *node*."""
        for reason in reasons:
            noted = self._reasons.setdefault(self._statement_of(node), [])
            if reason not in noted:
                noted.append(reason)

    def _statement_of(self, node: cst.CSTNode) -> cst.CSTNode:
        return next(
            each for each in (node, *self._module.ancestors(node)) if isinstance(each, _STATEMENTS)
        )

    def write(self, original: cst.CSTNode, new: Any) -> Any:
        """
        Return a rewritten node with the comments above it.

        :param original: The node of the original module.
        :param new: What LibCST has in place of it: a node, or a sentinel.
        """
        reasons = self._reasons.get(original, [])
        if not reasons:
            return new
        first, *rest = [*new] if isinstance(new, cst.FlattenSentinel) else [new]
        there = [line.comment.value for line in first.leading_lines if line.comment]
        missing = [each for each in reasons if each.comment not in there]
        self.written += missing
        lines = [cst.EmptyLine(comment=cst.Comment(each.comment)) for each in missing]
        first = first.with_changes(leading_lines=[*first.leading_lines, *lines])
        return cst.FlattenSentinel([first, *rest]) if rest else first

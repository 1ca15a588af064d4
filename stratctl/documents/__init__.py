"""What a person may write: kinds of documents, their grammars and schemas, and where each was read.

The models are the one source of ``schemas/*.schema.json``. They hold amounts and weights as the
exact text that was written; turning text into integers is the business of ``resolve``.
"""

from __future__ import annotations

from stratctl.documents.kinds import (
    DECLARED,
    KINDS,
    MANAGEABLE,
    Acknowledgement,
    Cohort,
    Document,
    Funding,
    Policy,
    Project,
    ProjectEnvironment,
    Strategy,
    TableSource,
)
from stratctl.documents.problems import SUMMARIES, problem, warning
from stratctl.documents.schema import schemas
from stratctl.documents.sources import (
    AMOUNT_TYPES,
    ENTRY_ROWS,
    FUNDING_ROWS,
    Documents,
    Entries,
    Items,
    Members,
    Node,
    Places,
    Read,
)

__all__ = [
    "AMOUNT_TYPES",
    "DECLARED",
    "ENTRY_ROWS",
    "FUNDING_ROWS",
    "KINDS",
    "MANAGEABLE",
    "SUMMARIES",
    "Acknowledgement",
    "Cohort",
    "Document",
    "Documents",
    "Entries",
    "Funding",
    "Items",
    "Members",
    "Node",
    "Places",
    "Policy",
    "Project",
    "ProjectEnvironment",
    "Read",
    "Strategy",
    "TableSource",
    "problem",
    "schemas",
    "warning",
]

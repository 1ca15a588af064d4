"""Reading a project: files -> documents and columns, exact, checked, each part with its place."""

from __future__ import annotations

from stratctl.load.files import find_root, listing
from stratctl.load.project import document_files, read_project, read_project_file

__all__ = ["document_files", "find_root", "listing", "read_project", "read_project_file"]

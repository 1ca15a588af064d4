"""Reading a project: files -> documents and columns, exact, checked, each part with its place."""

from __future__ import annotations

from stratctl.load.files import find_root, listing
from stratctl.load.project import read_project, read_project_file

__all__ = ["find_root", "listing", "read_project", "read_project_file"]

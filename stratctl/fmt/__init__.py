"""Canonical layout of documents: text in, text out, with the same meaning and every comment.

::

    text ── syntax ──► tree with comments ── layout (order, quoting) ──► text

The text must be one that the reader of documents accepts: no anchors, tags, merge keys or keys
that occur twice. What is canonical, and why, is in docs/fmt.md.
"""

from __future__ import annotations

from stratctl.fmt.layout import laid_out
from stratctl.fmt.syntax import parse

__all__ = ["comments", "formatted"]


def formatted(text: str) -> str:
    """The canonical text of the documents in ``text``. Formatting it again changes nothing."""
    return laid_out(parse(text))


def comments(text: str) -> list[str]:
    """Every comment, ascending, so that two texts can be compared for a lost one."""
    return sorted(comment for document in parse(text) for comment in document.comments())

"""What ``fmt`` did, or would do: names of files, differences, how many there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from stratctl.core.report import Formatted
from stratctl.view.text import count, safe


def names(results: Iterable[Formatted]) -> str:
    """The files that differ from their canonical text, one a line."""
    return "".join(f"{safe(result.file)}\n" for result in results if result.changed)


def differences(results: Iterable[Formatted]) -> str:
    """What formatting changes, as a patch."""
    return "".join(_difference(result) for result in results if result.changed)


def _difference(result: Formatted) -> str:
    before, after = (text.splitlines(keepends=True) for text in (result.before, result.after))
    name = safe(result.file)
    lines = difflib.unified_diff(before, after, f"{name}\toriginal", f"{name}\tformatted")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def summary(results: Sequence[Formatted], *, writes: bool) -> str:
    """How many files changed, or would, and how many cannot be read."""
    changed = sum(result.changed for result in results)
    broken = sum(bool(result.problems) for result in results)
    left = len(results) - changed - broken
    word = "formatted" if writes else "to format"
    parts = [f"{count(changed, 'file')} {word}"] if changed else []
    parts += [f"{count(left, 'file')} {'already ' if changed else ''}in order"] if left else []
    parts += [f"{count(broken, 'file')} with mistakes left as {_is(broken)}"] if broken else []
    return ", ".join(parts) + ".\n"


def _is(number: int) -> str:
    return "it is" if number == 1 else "they are"

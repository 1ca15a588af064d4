"""Lint: what is allowed, and probably not meant. Every finding is a warning.

Pure: it looks at documents, at what they come to in each environment, and at a listing of files
that is handed in. What only the provider knows is looked at when a picture of it is handed in too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic, in_reading_order
from stratctl.lint.amounts import too_small_to_enroll
from stratctl.lint.bands import bands_without_a_floor
from stratctl.lint.codes import look_alikes
from stratctl.lint.digits import needless_digits
from stratctl.lint.files import Surroundings, perhaps_not_shared, unused_tables
from stratctl.lint.members import cohorts_of_nobody
from stratctl.lint.places import Rows

if TYPE_CHECKING:
    from stratctl.core.settings import Configuration
    from stratctl.core.state import Live
    from stratctl.documents import Documents

__all__ = ["Surroundings", "lint"]


def lint(
    documents: Documents,
    configurations: Sequence[Configuration],
    surroundings: Surroundings,
    live: Live | None = None,
) -> tuple[Diagnostic, ...]:
    """Every warning, those of resolving included, in reading order.

    ``documents`` were read for every environment; ``configurations`` is what they come to in those
    that are looked at. ``live`` belongs to the only configuration that is given with it.
    """
    found = [*needless_digits(documents), *unused_tables(documents, surroundings)]
    found += perhaps_not_shared(documents, surroundings)
    for configuration in configurations:
        found += _in_one_environment(documents, configuration)
        if live is not None:
            found += cohorts_of_nobody(documents, configuration, live)
    return in_reading_order(found)


def _in_one_environment(documents: Documents, configuration: Configuration) -> Iterator[Diagnostic]:
    rows = Rows.of(documents, configuration)
    yield from configuration.desired.warnings
    yield from bands_without_a_floor(documents, configuration)
    yield from too_small_to_enroll(rows, configuration)
    yield from look_alikes(rows)

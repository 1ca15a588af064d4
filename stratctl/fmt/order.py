"""In which order the keys of each kind of document stand: the order of the models' fields.

Only mappings whose keys a model knows have an order. Mappings whose keys people choose
(allocations, metadata, environments) keep theirs, because it says something to their readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_args, get_origin

from stratctl.documents import KINDS
from stratctl.documents.kinds import FundedParticipant, Part, Participant
from stratctl.fmt.syntax import Collection, Entry, Scalar

_FIRST = ("kind", "version", "name")
_ROWS = (Participant, FundedParticipant)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model says about a value: its keys in order, and the shapes below it."""

    keys: Mapping[str, Shape] = field(default_factory=dict)
    """Key -> shape of its value, in canonical order; empty where people choose the keys."""
    inner: Shape | None = None
    """The shape of every item, or of every value of a mapping whose keys people choose."""
    row: bool = False
    """One of many alike, which stand on one line each."""

    def of(self, entry: Entry) -> Shape:
        """The shape of an entry's value."""
        known = self.keys.get(entry.key.text) if entry.key else None
        return known or self.inner or ANY

    def ordered(self, collection: Collection) -> list[Entry]:
        """Its entries in canonical order; those with unknown keys come last, as they are."""
        places = {key: place for place, key in enumerate(self.keys)}
        last = len(places)
        return sorted(
            collection.entries,
            key=lambda entry: places.get(entry.key.text, last) if entry.key else last,
        )


ANY = Shape()


def shape_of(document: Collection) -> Shape:
    """The shape of a document, by its ``kind``; ANY if that is not known."""
    for entry in document.entries:
        if entry.key and entry.key.text == "kind" and isinstance(entry.value, Scalar):
            return _kind(entry.value.text)
    return ANY


@cache
def _kind(name: str) -> Shape:
    return _model(KINDS[name]) if name in KINDS else ANY


@cache
def _model(model: type[Part]) -> Shape:
    fields = model.model_fields
    names = sorted(fields, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    keys = {name: _annotation(fields[name].annotation) for name in names}
    return Shape(keys, row=issubclass(model, _ROWS))


def _annotation(annotation: Any) -> Shape:
    """The shape behind a field's type: of the one model in it, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return _model(annotation)
    found = [_annotation(argument) for argument in get_args(annotation)]
    shape = next((one for one in found if one is not ANY), ANY)
    if get_origin(annotation) in (dict, tuple) and shape is not ANY:
        return Shape(inner=shape)
    return shape

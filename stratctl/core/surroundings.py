"""Environment variables, handed in as a value that does not print what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Surroundings(Mapping[str, str]):
    """Variables by name. Some are credentials, and a traceback that shows its locals would show
    them all, as the mapping of the operating system prints its values."""

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        return f"‹{len(self)} environment variables›"

"""A local stand-in for the provider: same paths, same signatures, exact books.

It shares no code with the client that is tested against it, so that a mistake in one
cannot hide in the other. `open_sandbox` gives the whole provider inside this process.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stratctl.sandbox.embed import Sandbox, open_sandbox

__all__ = ["Sandbox", "open_sandbox"]


def __getattr__(name: str) -> Any:
    """Import the embedding only when it is asked for: it needs httpx."""
    if name in __all__:
        from stratctl.sandbox import embed

        return getattr(embed, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

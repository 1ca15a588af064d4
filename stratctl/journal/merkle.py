"""One digest of many rows, from which each row can be proven without showing the others.

The tree is that of RFC 6962, section 2.1: a leaf is hashed behind a 0, two nodes behind a 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256


def root(leaves: Iterable[bytes]) -> str:
    """The tree's head in hexadecimal; of nothing, the hash of nothing."""
    level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    if not level:
        return sha256(b"").hexdigest()
    while len(level) > 1:
        # A node without a partner moves up as it is: so the left half is the largest power of two.
        alone = level[len(level) & ~1 :]
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\1" + left + right).digest() for left, right in pairs] + alone
    return level[0].hex()

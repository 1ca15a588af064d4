"""The tree of RFC 6962: published vectors, the RFC's own recursion, and proofs that only fit."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.journal.merkle import Tree, root, root_from

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The leaves, heads and paths that Certificate Transparency's implementations test themselves with.
"""
HEADS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}

leaves = st.lists(st.binary(max_size=3), max_size=40)


def recursive(of: list[bytes]) -> bytes:
    """MTH of the RFC, word for word."""
    if len(of) < 2:
        return sha256(b"\0" + of[0] if of else b"").digest()
    k = 1
    while k * 2 < len(of):
        k *= 2
    return sha256(b"\1" + recursive(of[:k]) + recursive(of[k:])).digest()


def recursive_path(place: int, of: list[bytes]) -> list[bytes]:
    """PATH of the RFC, word for word."""
    if len(of) == 1:
        return []
    k = 1
    while k * 2 < len(of):
        k *= 2
    if place < k:
        return [*recursive_path(place, of[:k]), recursive(of[k:])]
    return [*recursive_path(place - k, of[k:]), recursive(of[:k])]


@pytest.mark.parametrize("size", range(9))
def test_the_published_heads(size: int) -> None:
    """Heads of the first leaves, as published."""
    assert root(LEAVES[:size]) == HEADS[size]


@pytest.mark.parametrize(("place", "size"), PATHS)
def test_the_published_paths(place: int, size: int) -> None:
    """Audit paths, as published, lead from their leaf to the head."""
    path = PATHS[place, size]
    assert Tree(LEAVES[:size]).path(place) == path
    assert root_from(LEAVES[place], place, size, path) == HEADS[size]


@given(leaves)
def test_heads_and_paths_are_those_of_the_definition(of: list[bytes]) -> None:
    """Level by level, or as the RFC defines them: the same for every tree and every leaf."""
    tree = Tree(of)
    assert tree.root == recursive(of).hex()
    for place, leaf in enumerate(of):
        path = tree.path(place)
        assert [bytes.fromhex(step) for step in path] == recursive_path(place, of)
        assert root_from(leaf, place, len(of), path) == tree.root


@given(of=leaves.filter(len), data=st.data())
def test_a_proof_fits_its_leaf_and_nothing_else(of: list[bytes], data: st.DataObject) -> None:
    """Another leaf, a changed, longer or shorter path: none of them leads to the head."""
    tree, place = Tree(of), data.draw(st.integers(0, len(of) - 1))
    path, leaf = tree.path(place), of[place]
    assert root_from(leaf + b"x", place, len(of), path) != tree.root
    assert root_from(leaf, place, len(of), (*path, tree.root)) is None
    if path:
        assert root_from(leaf, place, len(of), path[:-1]) is None
        step = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:step], "00" * 32, *path[step + 1 :]]
        assert root_from(leaf, place, len(of), changed) != tree.root


def test_there_is_no_proof_of_what_is_not_there() -> None:
    """A place outside of the tree has neither a path nor a head."""
    for place in (-1, 3):
        with pytest.raises(IndexError):
            Tree(LEAVES[:3]).path(place)
        assert root_from(b"", place, 3, ()) is None

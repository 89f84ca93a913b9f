"""Finding out whether ranks are about to do the same, before any of them has begun."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from farandole import ops
from farandole.errors import MismatchError
from farandole.objects import allgather_object
from farandole.process_sets import ProcessSet, contributors


def check_agreement(what: str, facts: Sequence[str], process_set: ProcessSet) -> None:
    """Returns where every rank has the same facts; otherwise raises MismatchError with the first
    difference, in the same words on every rank.

    what: begins the error and the names of the messages. One of a few bytes, unless ranks disagree.
    """
    digest = hashlib.sha256("\n".join(facts).encode("utf-8", "surrogatepass")).digest()
    # Bytes gathered are one dimension: the digests stand one behind the other.
    digests = ops.allgather(digest, f"{what}.digest", process_set).tobytes()
    if digests == digest * (len(digests) // len(digest)):
        return
    everyone = allgather_object(list(facts), f"{what}.facts", process_set)
    raise MismatchError(
        f"{what}: {_difference(everyone, contributors(process_set, len(everyone)))}"
    )


def _difference(everyone: Sequence[Any], ranks: Sequence[str]) -> str:
    """Where the first rank differs from one behind it."""
    mine = everyone[0]
    rank, theirs = next((r, f) for r, f in zip(ranks, everyone, strict=True) if f != mine)
    for here, there in zip(mine, theirs, strict=False):
        if here != there:
            return f"{ranks[0]} has {here}, {rank} has {there}"
    longer, shorter = (ranks[0], rank) if len(mine) > len(theirs) else (rank, ranks[0])
    extra = max(mine, theirs, key=len)[min(len(mine), len(theirs))]
    return f"{longer} has {extra}, which {shorter} has not"

"""Finding out whether ranks are about to do the same, before any of them has begun."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from farandole import ops
from farandole.errors import MismatchError
from farandole.handles import Deadline
from farandole.objects import start_allgather_object
from farandole.process_sets import ProcessSet, contributors


class Question:
    """To all ranks, whether they have the same facts: asked when this is made. A message of a few
    bytes, unless ranks disagree.

    what: begins the error, and the names of the messages unless ``name`` does.
    """

    def __init__(
        self, what: str, facts: Sequence[str], process_set: ProcessSet, name: str | None = None
    ) -> None:
        self._what = what
        self._facts = list(facts)
        self._process_set = process_set
        self._name = what if name is None else name
        text = "\n".join(facts).encode("utf-8", "surrogatepass")
        self._digest = hashlib.sha256(text).digest()
        self._sent = ops.allgather_async(self._digest, f"{self._name}.digest", process_set)
        self._ranks = process_set.ranks

    def wait(self, deadline: Deadline) -> None:
        """Returns where every rank has the same facts; otherwise raises MismatchError with the
        first difference, in the same words on every rank."""
        # Bytes gathered are one dimension: the digests stand one behind the other.
        digests = deadline.wait(self._sent).tobytes()
        if digests == self._digest * (len(digests) // len(self._digest)):
            return
        sent = start_allgather_object(self._facts, f"{self._name}.facts", self._process_set)
        everyone = deadline.wait(sent)
        ranks = contributors(self._ranks, len(everyone))
        raise MismatchError(f"{self._what}: {_difference(everyone, ranks)}")


def check_agreement(
    what: str, facts: Sequence[str], process_set: ProcessSet, deadline: Deadline
) -> None:
    """Asks, and waits for the answer."""
    Question(what, facts, process_set).wait(deadline)


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

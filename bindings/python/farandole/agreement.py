"""Finding out whether ranks are about to do the same, before any of them has begun."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from farandole import ops
from farandole.errors import MismatchError
from farandole.handles import Deadline
from farandole.objects import start_allgather_object
from farandole.process_sets import ProcessSet, contributors

SAME_MODEL = "give every rank the same model (names, shapes and dtypes)"


class Question:
    """To all ranks, whether they have the same facts: asked when this is made. A message of a few
    bytes, unless ranks disagree.

    what: as users know it, what they called; begins the error.
    remedy: ends it: what to give instead, on which rank.
    name: begins those of the messages.
    """

    def __init__(
        self, what: str, remedy: str, facts: Sequence[str], process_set: ProcessSet, name: str
    ) -> None:
        self._what = what
        self._remedy = remedy
        self._facts = list(facts)
        self._process_set = process_set
        self._name = name
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
        difference = _difference(everyone, ranks)
        raise MismatchError(f"{self._what}: ranks disagree: {difference}; {self._remedy}")


def check_alike(
    what: str, fact: str, ranks: Sequence[str], values: Sequence[Any], remedy: str
) -> None:
    """Raises MismatchError where not all have the value of the first; of what every rank knows of
    every other, in the same words on each.

    what, remedy: as a Question's.
    ranks: whose values they are, one after the other, as errors name them.
    """
    for rank, value in zip(ranks, values, strict=True):
        if value != values[0]:
            raise MismatchError(
                f"{what}: ranks disagree on {fact}: {ranks[0]} has {values[0]}, {rank} has "
                f"{value}; {remedy}"
            )


@contextlib.contextmanager
def told_as(what: str, remedy: str) -> Iterator[None]:
    """Where another rank does something else instead of an operation in here, the error says of
    what the operation is a part, which is what users called.

    what, remedy: as a Question's; the operation's own text stands between.
    """
    try:
        yield
    except MismatchError as error:
        raise MismatchError(f"{what}: {error}; {remedy}") from error


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

"""Random collectives whose results every rank can check, because it knows what the others hold."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import letters
import operations
from operations import DTYPES, KINDS, RAGGED, Operation, suits, what_is

import farandole as fdl

ROWS = (0, 1, 3, 100, 4097, 150_000)
OPS = (fdl.Sum, fdl.Average, fdl.Min, fdl.Max, fdl.Product, fdl.Adasum)
# Tensors of one kind keep their names, so that most announcements are known ones.
NAMES = len(KINDS) * len(ROWS)
# What has rows for every rank has no meaning for those that have joined.
OF_ALL = ("alltoall", "scatter")
WITHOUT_ALL = tuple(
    number for number in range(NAMES) if what_is(KINDS[number % len(KINDS)]) not in OF_ALL
)
MISTAKES = 0.02
IN_SETS = 0.3
# In each batch.
CHANGES = 0.2
OBJECTS = 0.3
LETTERS = 0.3
JOINS = 0.1
MOST_SETS = 3


class Workload:
    """One seed gives all ranks the same operations; each submits and awaits them in orders of its
    own. Thread: one at a time."""

    def __init__(self, seed: str, own_seed: str) -> None:
        self.rank, self.size = fdl.rank(), fdl.size()
        self.done = 0
        self._common = random.Random(seed)
        self._own = random.Random(f"{own_seed}/{self.rank}")
        self._sets: list[fdl.ProcessSet] = []  # besides that of all ranks

    def batch(self) -> None:
        """Some operations at once. Raises: AssertionError for a wrong result; what they raise."""
        count = self._common.randint(1, 30)
        numbers = self._common.sample(range(NAMES), count)
        flying = self._started([self._choose(number) for number in numbers])
        if self._common.random() < LETTERS:
            self._send_letters()
        # Sets come and go, and objects travel, while these are in flight.
        if self._common.random() < CHANGES:
            self._change_sets()
        if self._common.random() < OBJECTS:
            self._send_objects()
        self._check(flying)
        if self._common.random() < JOINS:
            self._join()
        self.done += count

    def _started(self, chosen: list[Operation]) -> list[tuple[Operation, Any]]:
        mine = [one for one in self._own.sample(chosen, len(chosen)) if self.rank in one.present]
        return [(one, operations.start(one, self.rank)) for one in mine]

    def _check(self, flying: list[tuple[Operation, Any]]) -> None:
        for operation, handle in self._own.sample(flying, len(flying)):
            operations.check(operation, self.rank, handle)

    def _choose_set(self) -> fdl.ProcessSet:
        if self._sets and self._common.random() < IN_SETS:
            return self._common.choice(self._sets)
        return fdl.global_process_set

    def _choose(self, number: int) -> Operation:
        common = self._common
        process_set = self._choose_set()
        members = tuple(process_set.ranks)
        made = self._made(number, process_set, members)
        mistaken = common.random() < MISTAKES and made.what not in RAGGED and len(members) > 1
        who = common.choice(members)
        return replace(made, mistaken=who if mistaken else -1)

    def _made(
        self, number: int, process_set: fdl.ProcessSet, present: tuple[int, ...]
    ) -> Operation:
        """Alike on all ranks. `present`: those of the set who have not joined."""
        common = self._common
        kind, dtype = KINDS[number % len(KINDS)], DTYPES[number % len(DTYPES)]
        rows = (
            ROWS[number // len(KINDS) % len(ROWS)] if common.random() < 0.9 else common.choice(ROWS)
        )
        what = what_is(kind)
        return Operation(
            name=f"{kind}/{number}",
            kind=kind,
            dtype=dtype,
            rows=(rows, 3, 0) if kind.startswith("grouped_") else (rows,),
            op=common.choice([op for op in OPS if suits(op, what, dtype)]),
            root=common.choice(present),
            process_set=process_set,
            members=tuple(process_set.ranks),
            present=present,
            mistaken=-1,
        )

    def _change_sets(self) -> None:
        """Another one, or one less."""
        ranks = sorted(self._common.sample(range(self.size), self._common.randrange(1, self.size)))
        known = [process_set.ranks for process_set in self._sets]
        if len(self._sets) < MOST_SETS and ranks not in known:
            self._sets.append(fdl.add_process_set(ranks))
        else:
            gone = self._sets.pop(self._common.randrange(len(self._sets)))
            assert fdl.remove_process_set(gone), f"{gone} was not there"

    def _send_objects(self) -> None:
        """From every rank to all, and from one."""
        process_set = self._choose_set()
        members = process_set.ranks
        root = self._common.choice(members)
        length = self._common.choice([0, 1, 1000, 100_000])
        if self.rank not in members:
            return
        mine = {"rank": self.rank, "long": "x" * length}
        gathered = fdl.allgather_object(mine, name="gathered", process_set=process_set)
        assert gathered == [{**mine, "rank": rank} for rank in members], str(gathered)[:200]
        got = fdl.broadcast_object(
            mine if self.rank == root else None, root, name="sent", process_set=process_set
        )
        assert got == {**mine, "rank": root}, str(got)[:200]

    def _send_letters(self) -> None:
        """Between some ranks, all at once."""
        drawn = letters.draw(self._common, self._choose_set())
        mine = [one for one in drawn if self.rank in (one.source, one.dest)]
        order = self._own.sample(mine, len(mine))
        flying = [(one, letters.start(one, self.rank)) for one in order]
        for letter, handle in self._own.sample(flying, len(flying)):
            letters.check(letter, self.rank, handle)

    def _join(self) -> None:
        """Some ranks have no more data; the others go on among themselves, and join later."""
        process_set = self._choose_set()
        members = process_set.ranks
        stay = tuple(sorted(self._common.sample(members, self._common.randint(1, len(members)))))
        numbers = self._common.sample(WITHOUT_ALL, self._common.randint(1, 8))
        going_on = [self._made(number, process_set, stay) for number in numbers]
        if self.rank not in members:
            return
        if self.rank in stay:
            self._check(self._started(going_on))
        last = fdl.join(process_set=process_set)
        assert last in stay, f"rank {last} joined last, and not one of {stay}, who went on"

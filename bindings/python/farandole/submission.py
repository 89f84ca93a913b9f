"""From tensors and the caller's wishes to operations in flight, for every library of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from farandole import _native, _session
from farandole.answers import answer_later, wait_answered
from farandole.arguments import check_compression, check_root, check_tensors, shown
from farandole.calls import PLAIN, Call, Options, about
from farandole.compression import Compression
from farandole.errors import FarandoleError, InvalidArgumentError
from farandole.framework import Framework, Member, Place, check_out, ends_at_root, one_tells
from farandole.handles import GroupHandle, Handle, checked_limit
from farandole.overlaps import check_apart
from farandole.process_sets import check_process_set
from farandole.small_floats import dimensions_of_number
from farandole.splits import split_rows

# What the root of a scatter or message tells: the number of the dtype, and whether it wants a
# gradient.
_DTYPE = 0xFF
_GRAPH = 0x100


class _Prepared(NamedTuple):
    """A tensor that may be sent."""

    name: str
    tensor: Any
    source: Any
    place: Place
    rows: list[int] | None = None
    note: int = 0
    into: Callable[[Any], Any] | None = None  # what the result is given to at last

    def member(self, native: _native.Handle, result: Any) -> Member:
        return Member(self.name, self.tensor, result, self.rows, native.splits, native.value)

    def given(self, result: Any) -> Any:
        return result if self.into is None else self.into(result)


class Submitter:
    """Starts operations on the default session. For any thread."""

    def __init__(self, framework: Framework) -> None:
        self._framework = framework

    def run(self, call: Call, tensor: Any, options: Options, timeout: float | None) -> Any:
        """``start``, and the wait for it."""
        checked_limit(timeout)
        return self.start(call, tensor, options).wait(timeout)

    def start(self, call: Call, tensor: Any, options: Options = PLAIN) -> Handle:
        """One tensor. The handle's result is the new tensor, the given one or ``out``; where splits
        were given a pair, with the rows from each rank."""
        try:
            return self._start(call, tensor, options)
        except FarandoleError as error:
            raise about(call, call.name, error) from error.__cause__

    def _start(self, call: Call, tensor: Any, options: Options) -> Handle:
        if options.compression is not Compression.none:
            return self._start_smaller(call, tensor, options)
        told = one_tells(call.kind)
        recording = told and self._framework.recording()
        graph = not told and self._framework.differentiates(
            [tensor], [options.out], options.in_place
        )
        one = self._prepare(call, call.name, tensor, options.splits, options.out, options.in_place)
        native = _submit(call, one)
        handle = Handle(native, one.place.finish)
        if _sends(call):
            takers = self._takers(call, [one])
            return GroupHandle([handle], lambda _: takers[0])
        counts = options.splits is not None and not told
        if not graph and not counts and not told:
            return handle

        def combine(results: list[Any]) -> Any:
            if graph or (recording and native.value & _GRAPH):
                made = [one.member(native, results[0])]
                results = self._framework.attach(self, call, made, options.in_place)
            result = one.given(results[0])
            return self._with_rows(result, native) if counts else result

        return GroupHandle([handle], combine)

    def run_all(
        self, call: Call, tensors: Any, options: Options, timeout: float | None
    ) -> list[Any]:
        """``start_all``, and the wait for it."""
        checked_limit(timeout)
        results: list[Any] = self.start_all(call, tensors, options).wait(timeout)
        return results

    def start_all(self, call: Call, tensors: Any, options: Options = PLAIN) -> Handle:
        """Several tensors, under names made of the call's: in a list what ``start`` gives."""
        try:
            return self._start_all(call, tensors, options)
        except FarandoleError as error:
            raise about(call, call.name, error) from error.__cause__

    def _start_all(self, call: Call, tensors: Any, options: Options) -> Handle:
        tensors = check_tensors(tensors)
        splits = _one_each("splits", options.splits, len(tensors))
        outs = _one_each("out", options.out, len(tensors))
        if options.compression is not Compression.none:
            return self._start_all_smaller(call, tensors, outs, options)
        told = one_tells(call.kind)
        recording = told and self._framework.recording()
        graph = not told and self._framework.differentiates(tensors, outs, options.in_place)
        each = zip(group_names(call.name, len(tensors)), tensors, splits, outs, strict=True)
        prepared = [self._prepare(call, *one, options.in_place) for one in each]
        check_apart(call, [(p.name, p.source, p.place.memory) for p in prepared], options)
        natives = _submit_all(call, prepared)
        if _sends(call):
            takers = self._takers(call, prepared)
            return GroupHandle(_handles(natives, prepared), lambda _: takers)

        def combine(results: list[Any]) -> list[Any]:
            places = [
                i
                for i, native in enumerate(natives)
                if graph or (recording and native.value & _GRAPH)
            ]
            made = [prepared[i].member(natives[i], results[i]) for i in places]
            if made:
                attached = self._framework.attach(self, call, made, options.in_place)
                for i, result in zip(places, attached, strict=True):
                    results[i] = result
            if told:
                return [one.given(result) for one, result in zip(prepared, results, strict=True)]
            return [
                result if given is None else self._with_rows(result, native)
                for result, given, native in zip(results, splits, natives, strict=True)
            ]

        return GroupHandle(_handles(natives, prepared), combine)

    def exchange(
        self, call: Call, names: Sequence[str], tensors: Sequence[Any], splits: Sequence[Any] = ()
    ) -> list[Any]:
        """The results of one operation for each name, which are part of no graph."""
        each = zip(names, tensors, splits or [None] * len(tensors), strict=True)
        prepared = [self._prepare(call, *one, None, False) for one in each]
        results: list[Any] = GroupHandle(_handles(_submit_all(call, prepared), prepared)).wait()
        return results

    def give(self, call: Call, names: Sequence[str], tensors: Sequence[Any]) -> None:
        """Messages for which nobody waits here, but whoever leaves the job in order."""
        each = zip(names, tensors, strict=True)
        prepared = [self._prepare(call, *one, None, None, False) for one in each]
        number = check_process_set(call.process_set)
        keys = [(number, f"{name} {call.root}->{call.peer}") for name in names]
        for key in keys:
            wait_answered(key)
        for key, native in zip(keys, _submit_all(call, prepared), strict=True):
            answer_later(key, native)

    def _start_smaller(self, call: Call, tensor: Any, options: Options) -> Handle:
        compression, out = options.compression, options.out
        check_compression(compression, self._framework.module)
        self._framework.differentiates([tensor], [out], options.in_place)
        small, context = compression.compress(self._framework.check(tensor))
        handle = self.start(call, small, options._replace(compression=Compression.none, out=None))

        def combine(results: list[Any]) -> Any:
            return self._larger(compression, out, results[0], context)

        return GroupHandle([handle], combine)

    def _start_all_smaller(
        self, call: Call, tensors: list[Any], outs: Sequence[Any], options: Options
    ) -> Handle:
        compression = options.compression
        check_compression(compression, self._framework.module)
        self._framework.differentiates(tensors, outs, options.in_place)
        small = [
            compression.compress(self._checked(call, *one))
            for one in zip(group_names(call.name, len(tensors)), tensors, strict=True)
        ]
        plain = options._replace(compression=Compression.none, out=None)
        handle = self.start_all(call, [tensor for tensor, _ in small], plain)

        def combine(results: list[Any]) -> list[Any]:
            return [
                self._larger(compression, out, result, context)
                for out, result, (_, context) in zip(outs, results[0], small, strict=True)
            ]

        return GroupHandle([handle], combine)

    def _checked(self, call: Call, name: str, tensor: Any) -> Any:
        try:
            return self._framework.check(tensor)
        except FarandoleError as error:
            raise about(call, name, error) from error.__cause__

    def _prepare(
        self, call: Call, name: str, tensor: Any, splits: Any, out: Any, in_place: bool
    ) -> _Prepared:
        try:
            return self._judged(call, name, tensor, splits, out, in_place)
        except FarandoleError as error:
            raise about(call, name, error) from error.__cause__

    def _judged(
        self, call: Call, name: str, tensor: Any, splits: Any, out: Any, in_place: bool
    ) -> _Prepared:
        framework = self._framework
        if call.kind == _native.SCATTER:
            return self._prepare_scatter(call, name, tensor, splits, out)
        if call.kind == _native.MESSAGE:
            if _sends(call):
                return self._sent(call, name, tensor)
            return self._received(call, name, out)
        if ends_at_root(call.kind) and not _is_root(call):
            return _Prepared(name, tensor, framework.source(call.kind, tensor), _NOWHERE)
        if in_place:
            place = framework.in_place(call.kind, tensor)
            return _Prepared(name, tensor, place.memory, place)
        source = framework.source(call.kind, tensor)
        if out is None:
            place = framework.fresh(call.kind, tensor, source)
        else:
            place = framework.given(call.kind, tensor, out)
        return _Prepared(name, tensor, source, place, split_rows(splits))

    def _prepare_scatter(
        self, call: Call, name: str, tensor: Any, splits: Any, out: Any
    ) -> _Prepared:
        framework = self._framework
        source, rows, note = None, None, 0  # what others than the root give is not sent
        if _is_root(call):
            tensor, rows = self._parts(call, tensor, splits)
            if out is not None and isinstance(tensor, type(out)):
                check_out(out, tensor.shape, tensor.dtype, first=False)
            source, note = framework.coded(tensor)
            if framework.differentiates([tensor], [out], False):
                note |= _GRAPH

        into = None if out is None else framework.into(out)

        def finish(native: _native.Handle) -> Any:
            return framework.decoded(native, native.value & _DTYPE)

        return _Prepared(name, tensor, source, Place(None, finish), rows, note, into)

    def _takers(self, call: Call, prepared: Sequence[_Prepared]) -> list[Any]:
        """What senders get: where a gradient is wanted, something that takes it. Made where the
        call is made: in the reverse order of calls and results of all ranks, no rank that goes
        backward waits for a gradient whose sender waits for it."""
        results: list[Any] = [None] * len(prepared)
        places = [i for i, one in enumerate(prepared) if one.note & _GRAPH]
        if places:
            chosen = [prepared[i] for i in places]
            made = [Member(one.name, one.tensor, None, None, None, -1) for one in chosen]
            attached = self._framework.attach(self, call, made, False)
            for i, result in zip(places, attached, strict=True):
                results[i] = result
        return results

    def _sent(self, call: Call, name: str, tensor: Any) -> _Prepared:
        framework = self._framework
        memory, note = framework.coded(framework.check(tensor))
        if memory is None:
            raise InvalidArgumentError(
                "a NoneType is no tensor; NumPy arrays, torch tensors and objects with __dlpack__ "
                "or the buffer protocol are"
            )
        if note:  # with the dimensions that stand for the dtype
            memory = framework.source(call.kind, tensor)
        if framework.differentiates([tensor], [], False):
            note |= _GRAPH
        return _Prepared(name, tensor, memory, _NOWHERE, None, note)

    def _received(self, call: Call, name: str, out: Any) -> _Prepared:
        framework = self._framework
        if out is None:
            return _Prepared(name, None, None, Place(None, self._made))
        copy = framework.into(out)
        place = framework.in_place(call.kind, out)

        def given(result: Any) -> Any:
            return out if result is out else copy(result)  # of a graph

        return _Prepared(name, None, None, place, None, 0, given)

    def _made(self, native: _native.Handle) -> Any:
        number = native.value & _DTYPE
        return self._framework.decoded(native, number, dimensions_of_number(number))

    def _parts(self, call: Call, tensor: Any, splits: Any) -> tuple[Any, list[int] | None]:
        """What the root of a scatter gives, as one tensor, and the rows for each rank."""
        if tensor is None:
            raise InvalidArgumentError(
                f"rank {_session.rank()} is the root of this scatter and gives no tensor (None)"
            )
        if not isinstance(tensor, (list, tuple)):
            return self._framework.check(tensor), split_rows(splits)
        if splits is not None:
            raise InvalidArgumentError(
                "splits are given, and a list of tensors, which has its own; leave one out"
            )
        size = call.process_set.size()
        if len(tensor) != size:
            raise InvalidArgumentError(
                f"{len(tensor)} tensors for {size} ranks; one for each is wanted"
            )
        whole = self._framework.joined(tensor)
        return whole, [int(part.shape[0]) for part in tensor]

    def _larger(self, compression: Any, out: Any, result: Any, context: Any) -> Any:
        if result is None:  # this rank is not the root
            return None
        result = compression.decompress(result, context)
        return result if out is None else self._framework.fill(out, result)

    def _with_rows(self, result: Any, native: _native.Handle) -> tuple[Any, Any]:
        return result, self._framework.counts(native.splits or ())


_NOWHERE = Place(None, lambda _: None)


def _is_root(call: Call) -> bool:
    return _session.rank() == check_root(call.root)


def _sends(call: Call) -> bool:
    return call.kind == _native.MESSAGE and call.sends


def _submit(call: Call, one: _Prepared) -> _native.Handle:
    return _session.submit(
        call.kind,
        one.name,
        one.source,
        one.place.memory,
        call.op,
        call.root,
        call.prescale,
        call.postscale,
        one.rows,
        check_process_set(call.process_set),
        one.note,
        call.peer,
    )


def _submit_all(call: Call, prepared: Sequence[_Prepared]) -> list[_native.Handle]:
    """All or none."""
    return _session.submit_all(
        call.kind,
        [one.name for one in prepared],
        [one.source for one in prepared],
        [one.place.memory for one in prepared],
        call.op,
        call.root,
        call.prescale,
        call.postscale,
        [one.rows for one in prepared],
        check_process_set(call.process_set),
        [one.note for one in prepared],
        call.peer,
    )


def _handles(natives: Sequence[_native.Handle], prepared: Sequence[_Prepared]) -> list[Handle]:
    both = zip(natives, prepared, strict=True)
    return [Handle(native, one.place.finish) for native, one in both]


def group_names(name: str, count: int) -> list[str]:
    """Names of a group's members: alike on every rank, as the group's own is. The core knows them
    by their form (core/member_name.h) and tells ranks that mean unlike groups."""
    return [f"{name} [{i + 1}/{count}]" for i in range(count)]


def _one_each(what: str, values: Any, count: int) -> Sequence[Any]:
    """What a group's members get each, from a sequence of as many, or None."""
    if values is None:
        return [None] * count
    try:
        each = None if isinstance(values, (str, bytes)) else list(values)
    except TypeError:
        each = None
    if each is None or len(each) != count:
        raise InvalidArgumentError(
            f"{what}={shown(values)}: a sequence of {count}, one for each tensor, is wanted"
        )
    return each

"""Collectives of torch that a seed draws, values and gradients: drawn_forms.py SEED CASES [SPOILT]

SPOILT: the number of a case in which rank 0 gives other values than it should, to show that this is
noticed.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import torch
from common import report
from drawn_cases import Case, Member, cases, sets_of
from drawn_reference import gradients, results, rows_from, values, weights, wide

import farandole.torch as hvd

SEED, COUNT = int(sys.argv[1]), int(sys.argv[2])
SPOILT = int(sys.argv[3]) if len(sys.argv) > 3 else None


class Laid:
    """A tensor with a layout, and what lies around it in its memory, which nobody may write."""

    def __init__(self, content: torch.Tensor, layout: str) -> None:
        shape, dtype = content.shape, content.dtype

        def ones(*extents: int) -> torch.Tensor:
            return torch.ones(extents, dtype=torch.float32).to(dtype)

        self.around: torch.Tensor = ones(0)
        if layout == "every second":
            whole = ones(*shape, 2)
            self.tensor, self.around = whole[..., 1], whole.detach()[..., 0]
        elif layout == "behind others":
            flat = ones(content.numel() + 3)
            self.tensor, self.around = flat[3:].view(shape), flat.detach()[:3]
        elif layout == "transposed" and content.dim() > 1:
            self.tensor = ones(*reversed(shape)).permute(*reversed(range(content.dim())))
        elif layout == "conjugated":
            self.tensor = ones(*shape).conj()
        else:
            self.tensor = ones(*shape)
        self.tensor.copy_(content)  # as part of the graph, where the content is

    def check(self) -> None:
        assert torch.equal(exact(self.around), torch.ones_like(exact(self.around)))


def exact(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(wide(str(tensor.dtype).removeprefix("torch.")))


def equal(
    got: Any, wanted: torch.Tensor, dtype: str, tolerance: float, what: str, near: float = 0.0
) -> None:
    assert isinstance(got, torch.Tensor), f"{what}: {got}"
    assert got.dtype == getattr(torch, dtype), f"{what}: {got.dtype}"
    assert got.shape == wanted.shape, f"{what}: {list(got.shape)} for {list(wanted.shape)}"
    close = torch.allclose(exact(got), wanted, rtol=tolerance, atol=near)
    assert close, f"{what}: {got}, {wanted}"


class OnThisRank:
    """A case, from its call to what is left of it."""

    def __init__(self, case: Case, process_set: Any) -> None:
        self.case, self.process_set = case, process_set
        self.place = case.ranks.index(hvd.rank())
        self.at_root = hvd.rank() == case.root
        # Who has nothing to give to a scatter gives None, or what gets a gradient of zeros.
        self.gives = case.kind != "scatter" or self.at_root
        places = range(len(case.members))
        self.wanted = [results(SEED, case, i)[self.place] for i in places]
        self.leaves = [self._leaf(i, member) for i, member in enumerate(case.members)]
        self.given = [
            Laid(leaf, member.layouts[self.place])
            for leaf, member in zip(self.leaves, case.members, strict=True)
        ]
        self.outs = [self._out(i, member) for i, member in enumerate(case.members)]

    def _leaf(self, i: int, member: Member) -> torch.Tensor:
        content = values(SEED, self.case, i, self.place)
        if self.case.number == SPOILT and hvd.rank() == 0:
            content = content + 1
        return content.to(getattr(torch, member.dtype)).requires_grad_(member.graph)

    def _out(self, i: int, member: Member) -> Laid | None:
        wanted = self.wanted[i]
        if member.outs is None or wanted is None:
            return None
        empty = torch.zeros(wanted.shape).to(getattr(torch, member.dtype))
        return Laid(empty, member.outs[self.place])

    def begin(self) -> Any:
        """A handle, or the results."""
        case = self.case
        options: dict[str, Any] = {"process_set": self.process_set}
        if case.named:
            options["name"] = f"case {case.number}"
        if case.kind in ("allreduce", "reducescatter", "reduce"):
            options["op"] = getattr(hvd, case.op)
            options["prescale_factor"] = case.prescale
            options["postscale_factor"] = case.postscale
            if case.compression != "none":
                options["compression"] = getattr(hvd.Compression, case.compression)
        if case.kind in ("broadcast", "reduce", "gather", "scatter"):
            options["root_rank"] = case.root
        if any(out is not None for out in self.outs):
            outs = [None if out is None else out.tensor for out in self.outs]
            options["out"] = outs if case.grouped else outs[0]
        if case.kind in ("alltoall", "scatter") and self.gives:
            splits = [self._splits(member) for member in case.members]
            if any(rows is not None for rows in splits):
                options["splits"] = splits if case.grouped else splits[0]
        tensors = [self._argument(i, member) for i, member in enumerate(case.members)]
        return getattr(hvd, case.function)(tensors if case.grouped else tensors[0], **options)

    def _splits(self, member: Member) -> Any:
        if member.rows is None or member.as_list:
            return None
        rows = member.rows[self.place]
        return torch.tensor(rows) if self.case.number % 2 else rows

    def _argument(self, i: int, member: Member) -> Any:
        tensor = self.given[i].tensor
        if not self.gives:
            return tensor if member.graph and i % 2 == 0 else None
        if not member.as_list:
            return tensor
        size = len(self.case.ranks)
        rows = member.rows[self.place] if member.rows else [len(tensor) // size] * size
        return list(tensor.split(rows))

    def tolerance(self, member: Member) -> float:
        """Of what was divided; all else is exact."""
        dtype = getattr(torch, member.dtype)
        if not (dtype.is_floating_point or dtype.is_complex) or dtype.itemsize == 1:
            return 0.0
        small = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(self.case.compression, dtype)
        return 4 * max(torch.finfo(dtype).eps, torch.finfo(small).eps)

    def peak(self, member: Member) -> float:
        """What nothing exceeds that goes into an Adasum, whose parts may cancel each other."""
        return abs(self.case.prescale * self.case.postscale) * member.high * len(self.case.ranks)

    def finish(self, made: Any) -> None:
        case = self.case
        made = hvd.synchronize(made) if case.later else made
        made = list(made) if case.grouped else [made]
        backward: list[tuple[torch.Tensor, torch.Tensor]] = []
        for i, (member, result) in enumerate(zip(case.members, made, strict=True)):
            what = f"tensor {i}"
            if case.kind == "alltoall" and member.rows is not None:
                result, rows = result
                assert rows.tolist() == rows_from(member, self.place), (what, rows)
                assert rows.dtype == torch.int32
            backward += self._check(i, member, result, what)
            self.given[i].check()
        if backward:
            torch.autograd.backward([r for r, _ in backward], [weight for _, weight in backward])
            self._check_gradients()

    def _check(
        self, i: int, member: Member, result: Any, what: str
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        wanted, given, out = self.wanted[i], self.given[i].tensor, self.outs[i]
        inexact = self.case.op in ("Average", "Adasum")
        tolerance = self.tolerance(member) if inexact else 0.0
        if wanted is None:
            assert (result is None) != member.graph, f"{what}: {result}"
        else:
            near = tolerance * self.peak(member) if self.case.op == "Adasum" else 0.0
            equal(result, wanted, member.dtype, tolerance, what, near)
            assert result.requires_grad == member.graph, f"{what}: graph"
        if out is not None:
            assert result is out.tensor, f"{what} is not what was given"
            out.check()
        if self.case.in_place and wanted is not None:
            assert result is given, f"{what} is not what was given"
        elif not (self.case.number == SPOILT and hvd.rank() == 0):
            before = values(SEED, self.case, i, self.place)
            equal(given, before, member.dtype, 0.0, f"{what}, which was only sent")
        if not member.graph:
            return []
        if wanted is None:
            assert result.shape == (0,), f"{what}: {result}"
            return [(result, torch.zeros_like(result))]
        weight = weights(SEED, self.case, i, self.place, wanted.shape)
        return [(result, weight.to(result.dtype))]

    def _check_gradients(self) -> None:
        for i, (member, leaf) in enumerate(zip(self.case.members, self.leaves, strict=True)):
            if member.graph and self._argument(i, member) is not None:
                wanted = gradients(SEED, self.case, i)[self.place]
                tolerance = self.tolerance(member)
                equal(leaf.grad, wanted, member.dtype, tolerance, f"gradient of tensor {i}")


def run(batch: list[Case], sets: dict[tuple[int, ...], Any]) -> None:
    """A batch's cases are begun in an order of this rank's, and finished in that of all."""
    mine = [OnThisRank(case, sets[case.ranks]) for case in batch if hvd.rank() in case.ranks]
    begun = list(mine)
    random.Random(f"order {SEED} {hvd.rank()} {batch[0].number}").shuffle(begun)
    made = {each.case.number: each.begin() for each in begun}
    for each in mine:
        each.finish(made[each.case.number])


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    everyone, *others = sets_of(SEED, hvd.size())
    sets: dict[tuple[int, ...], Any] = {everyone: hvd.global_process_set}
    for ranks in others:
        sets[ranks] = hvd.add_process_set(ranks)
    for batch in cases(SEED, hvd.size(), COUNT):
        try:
            run(batch, sets)
        except BaseException as error:
            told = "; ".join(map(str, batch))
            raise AssertionError(f"seed {SEED} on {hvd.size()} ranks: {told}") from error
    hvd.barrier()  # the last cases may be those of some ranks, which no other may leave
    report(hvd.rank(), cases=COUNT)


main()

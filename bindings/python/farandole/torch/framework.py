"""What torch says to the collectives: memory of tensors, results, graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import dlpack

from farandole import _native
from farandole.arguments import check_no_overlap
from farandole.errors import InvalidArgumentError, UnsupportedError
from farandole.framework import (
    Framework,
    Member,
    Place,
    check_alike,
    check_out,
    ends_at_root,
    keeps_shape,
)
from farandole.small_floats import dimensions_of_kind, kind_of_number, number_of_kind
from farandole.torch import autograd, messages, rooted
from farandole.torch.tensors import check_tensor, check_values, plain
from farandole.uncompiled import uncompiled

if TYPE_CHECKING:
    from farandole.calls import Call
    from farandole.submission import Submitter

# None before torch 2.1.
_increment_version = getattr(torch.autograd.graph, "increment_version", None)


class TorchFramework(Framework):
    """Strided tensors on the CPU."""

    module = "farandole.torch"

    def check(self, tensor: Any) -> torch.Tensor:
        return check_tensor(tensor)

    def source(self, kind: int, tensor: torch.Tensor) -> torch.Tensor:
        return _carried(kind, plain(tensor))

    def fresh(self, kind: int, tensor: torch.Tensor, source: torch.Tensor) -> Place:
        if not keeps_shape(kind):
            return Place(None, lambda native: _like(tensor, _result_of(native)))
        output = torch.empty_like(source)
        result = _like(tensor, output)
        return Place(output, lambda _: result)

    def in_place(self, kind: int, tensor: torch.Tensor) -> Place:
        memory = plain(tensor)
        if memory is not tensor:
            _check_copied("the tensor", tensor)

        def finish(_: _native.Handle) -> torch.Tensor:
            return tensor if _changed(tensor, memory) else _copied(tensor, memory)

        return Place(_carried(kind, memory), finish)

    def given(self, kind: int, tensor: torch.Tensor, out: Any) -> Place:
        memory = plain(check_tensor(out))
        if memory is not out:
            _check_copied("out", out)
        check_out(out, tensor.shape, tensor.dtype, keeps_shape(kind))
        if not keeps_shape(kind):
            of_result = self.fresh(kind, tensor, tensor).finish
            return Place(None, lambda native: self.fill(out, of_result(native)))

        def finish(_: _native.Handle) -> torch.Tensor:
            result: torch.Tensor = out
            return result if _changed(out, memory) else _copied(result, memory)

        return Place(_carried(kind, memory), finish)

    def fill(self, out: Any, result: torch.Tensor) -> torch.Tensor:
        check_out(check_tensor(out), result.shape, result.dtype)
        return _copied(out, result)

    def into(self, out: Any) -> Callable[[Any], torch.Tensor]:
        if plain(check_tensor(out)) is not out:
            _check_copied("out", out)
        if torch.is_grad_enabled() and out.requires_grad:
            raise InvalidArgumentError(
                "out= is part of a graph already, whose backward would come along; give "
                "out.detach(), or call it within torch.no_grad()"
            )

        def copy(result: torch.Tensor) -> torch.Tensor:
            if not result.requires_grad:
                return self.fill(out, result)
            check_out(out, result.shape, result.dtype)
            with torch.enable_grad():
                filled: torch.Tensor = out.copy_(result)
            return filled

        return copy

    def joined(self, tensors: Sequence[Any]) -> torch.Tensor:
        parts = [check_tensor(tensor) for tensor in tensors]
        for part in parts:
            check_values(part)
        check_alike(parts)
        if number_of_kind(str(parts[0].dtype).removeprefix("torch.")):
            whole = torch.cat([plain(part).view(torch.uint8) for part in parts])
            return whole.view(parts[0].dtype)
        return torch.cat(parts)

    def coded(self, tensor: torch.Tensor) -> tuple[torch.Tensor, int]:
        memory = plain(tensor)
        number = number_of_kind(str(memory.dtype).removeprefix("torch."))
        return memory.view(torch.uint8) if number else memory, number

    def decoded(self, native: _native.Handle, number: int, behind: int = 0) -> torch.Tensor:
        result = _result_of(native)
        if behind:
            result = result.view(result.shape[:-behind])
        if not number:
            return result
        name = kind_of_number(number)
        dtype = getattr(torch, name, None)
        if dtype is None:
            raise UnsupportedError(f"this torch has no {name}, which another rank has sent")
        return result.view(dtype)

    def counts(self, rows: Sequence[int]) -> torch.Tensor:
        return torch.tensor(rows, dtype=torch.int32, device="cpu")

    def differentiates(self, tensors: Sequence[Any], outs: Sequence[Any], in_place: bool) -> bool:
        if not torch.is_grad_enabled():
            return False
        graph = False
        for tensor in tensors:
            graph = graph or autograd.takes_part(tensor, in_place)
        for out in outs:
            if out is not None and (graph or getattr(out, "requires_grad", False)):
                raise InvalidArgumentError(
                    "out= is not differentiable, and a gradient is wanted; call it within "
                    "torch.no_grad(), or use the result that is returned"
                )
        return graph

    def recording(self) -> bool:
        return torch.is_grad_enabled()

    @uncompiled
    def attach(
        self, submitter: Submitter, call: Call, members: Sequence[Member], in_place: bool
    ) -> list[torch.Tensor]:
        if ends_at_root(call.kind) or call.kind == _native.SCATTER:
            return rooted.attach_members(submitter, call, members, in_place)
        if call.kind == _native.MESSAGE:
            return messages.attach_members(submitter, call, members)
        return autograd.attach_members(submitter, call, members, in_place)


def _carried(kind: int, memory: torch.Tensor) -> torch.Tensor:
    """As what it is sent: float8 as bytes."""
    if memory.element_size() != 1:
        return memory
    more = dimensions_of_kind(kind, str(memory.dtype).removeprefix("torch."))
    return memory if more is None else memory.view(torch.uint8).view(memory.shape + more)


def _like(tensor: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    """The result of sending the tensor as its own dtype."""
    if result.dtype == tensor.dtype:
        return result
    return result.view(result.shape[: tensor.dim()]).view(tensor.dtype)


def _result_of(native: _native.Handle) -> torch.Tensor:
    """The result that Farandole allocated, without a copy."""
    tensor: torch.Tensor = dlpack.from_dlpack(native.dlpack())
    return tensor


def _check_copied(what: str, tensor: torch.Tensor) -> None:
    """Of a tensor to which a result is copied, because it is not contiguous: what could not be
    written is refused here, before any rank has communicated."""
    check_no_overlap(what, tensor.shape, tensor.stride())
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        raise InvalidArgumentError(
            "an inference tensor that is not contiguous is written in place only within "
            "torch.inference_mode()"
        )


def _changed(tensor: torch.Tensor, memory: torch.Tensor) -> bool:
    """Whether the result has gone to the tensor's own memory. torch learns of that: a graph that
    needs the values of before must not take these."""
    if memory is not tensor:
        return False
    if _increment_version and not tensor.is_inference():
        _increment_version(tensor)
    return True


def _copied(tensor: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        tensor.copy_(memory)
    return tensor

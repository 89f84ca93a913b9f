"""How values of several ranks become one."""

from __future__ import annotations

import enum
import warnings

from farandole import _native
from farandole.arguments import check_flag, shown
from farandole.errors import InvalidArgumentError, UnsupportedError


class ReduceOp(enum.IntEnum):
    SUM = _native.SUM
    AVERAGE = _native.AVERAGE
    MIN = _native.MIN
    MAX = _native.MAX
    PRODUCT = _native.PRODUCT
    ADASUM = 100

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise _no_operation(value)

    def __repr__(self) -> str:
        return self.name.capitalize()

    __str__ = __repr__


def _no_operation(op: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"op={shown(op)} is no reduce operation; Average, Sum, Min, Max and Product are"
    )


Average = ReduceOp.AVERAGE
Sum = ReduceOp.SUM
Min = ReduceOp.MIN
Max = ReduceOp.MAX
Product = ReduceOp.PRODUCT
Adasum = ReduceOp.ADASUM


def check_op(op: object) -> int:
    """The operation's number. Raises for what is none, and for Adasum."""
    if op == ReduceOp.ADASUM:
        raise UnsupportedError("op=Adasum is not supported; Average, Sum, Min, Max and Product are")
    if isinstance(op, int) and not isinstance(op, bool) and _native.SUM <= op <= _native.PRODUCT:
        return int(op)
    raise _no_operation(op)


def choose_op(average: bool | None, op: object) -> int:
    """What ``average`` (the older way) and ``op`` say together; Average where neither is given."""
    if op is None:
        if average is None:
            return _native.AVERAGE
        warnings.warn("average= is deprecated; use op=", DeprecationWarning, stacklevel=4)
        return _native.AVERAGE if check_flag("average", average) else _native.SUM
    if average is not None:
        raise InvalidArgumentError("average and op say the same; give only one of them, op")
    return check_op(op)

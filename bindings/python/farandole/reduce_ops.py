"""How values of several ranks become one."""

from __future__ import annotations

import enum
import sys
import warnings

from farandole import _native
from farandole.arguments import check_flag, shown
from farandole.errors import InvalidArgumentError


class ReduceOp(enum.IntEnum):
    """How values of several ranks become one: ``Average``, ``Sum``, ``Min``, ``Max``, ``Product``,
    each element by itself, and ``Adasum``, a whole tensor at a time."""

    SUM = _native.SUM
    AVERAGE = _native.AVERAGE
    MIN = _native.MIN
    MAX = _native.MAX
    PRODUCT = _native.PRODUCT
    ADASUM = _native.ADASUM

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise _no_operation(value)

    def __repr__(self) -> str:
        return self.name.capitalize()

    __str__ = __repr__


def _no_operation(op: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"op={shown(op)} is no reduce operation; Average, Sum, Min, Max, Product and Adasum are"
    )


Average = ReduceOp.AVERAGE
Sum = ReduceOp.SUM
Min = ReduceOp.MIN
Max = ReduceOp.MAX
Product = ReduceOp.PRODUCT
Adasum = ReduceOp.ADASUM


def check_op(op: object) -> int:
    """The operation's number. Raises for what is none."""
    if isinstance(op, int) and not isinstance(op, bool) and _native.SUM <= op <= _native.ADASUM:
        return int(op)
    raise _no_operation(op)


def choose_op(average: bool | None, op: object) -> int:
    """What ``average`` (the older way) and ``op`` say together; Average where neither is given."""
    if op is None:
        if average is None:
            return _native.AVERAGE
        _check_average(average)
        text = "average= is deprecated; use op="
        warnings.warn(text, DeprecationWarning, stacklevel=_outside())
        return _native.AVERAGE if average else _native.SUM
    if average is not None:
        _check_average(average)
        raise InvalidArgumentError(
            f"average={average} and op={op} are both given, and say what is computed; give op alone"
        )
    return check_op(op)


def _check_average(average: object) -> None:
    """Refuses what belongs to another argument, and stands where ``average`` does."""
    if isinstance(average, ReduceOp):
        raise InvalidArgumentError(
            f"average={average} is an operation; give it by name: op={average}"
        )
    if isinstance(average, str):
        raise InvalidArgumentError(
            f"average={shown(average)} is text; give a name by name: name={shown(average)}"
        )
    check_flag("average", average)


def _outside() -> int:
    """How many frames away from the caller of this function the program is that called this
    package, by way of ``torch.compile`` perhaps: a warning names its line."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back and f"{frame.f_globals.get('__name__')}.".startswith(_BETWEEN):
        frame, level = frame.f_back, level + 1
    return level


# Packages whose frames stand between a program and what is done for it.
_BETWEEN = ("farandole.", "torch._dynamo.")

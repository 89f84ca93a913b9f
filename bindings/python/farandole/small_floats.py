"""Float8 and float4, which travel as bytes where nothing is computed with them.

A tensor of theirs has dimensions of extent 1 behind its own while it is on its way, in a number by
which ranks find out that they have different kinds, as they do of other dtypes: through the shape,
on which all have to agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from farandole import _native
from farandole.errors import MismatchError, UnsupportedError

# What moves values and computes nothing with them.
_MOVING = frozenset(
    {_native.ALLGATHER, _native.BROADCAST, _native.ALLTOALL, _native.GATHER, _native.MESSAGE}
)

# One after the other, so that ranks with unlike versions of Farandole's find that out, too.
_KINDS = (
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float4_e2m1fn_x2",
)

# More than tensors have dimensions, nearly always; 64 hold all of both.
_STRIDE = 6


def dimensions_of_kind(collective: int, dtype: str) -> tuple[int, ...] | None:
    """What stands behind the shape of a tensor of that dtype; None where it travels as it is."""
    if not dtype.startswith("float") or dtype not in _KINDS or collective not in _MOVING:
        return None
    return (1,) * (_STRIDE * (_KINDS.index(dtype) + 1))


def number_of_kind(dtype: str) -> int:
    """By which the root of a scatter or message tells what its bytes are: from 1; 0 for any other
    dtype."""
    return _KINDS.index(dtype) + 1 if dtype in _KINDS else 0


def dimensions_of_number(number: int) -> int:
    """How many of them stand behind the shape of a message of that dtype."""
    return _STRIDE * number


def kind_of_number(number: int) -> str:
    """The dtype of that number."""
    if number > len(_KINDS):
        raise UnsupportedError(
            f"a tensor of dtype number {number}, which this version of Farandole does not know"
        )
    return _KINDS[number - 1]


def with_kinds(error: MismatchError) -> MismatchError:
    """The error, with dtypes instead of the dimensions that stand for them."""
    text = re.sub(r"\[[\d*, ]+\]", lambda found: _described(found.group()), str(error))
    if text == str(error):
        return error
    text = text.replace("; give tensors of one shape", "; give tensors of one dtype and shape")
    return MismatchError(
        text.replace("; give tensors alike in all", "; give tensors alike in dtype and all")
    )


def _described(shape: str) -> str:
    extents = shape[1:-1].split(", ")
    kind, own = divmod(len(extents), _STRIDE)
    if not 0 < kind <= len(_KINDS) or not _only_ones(extents[own:]):
        return shape
    return f"{_KINDS[kind - 1]} [{', '.join(extents[:own])}]"


def _only_ones(extents: Sequence[str]) -> bool:
    return all(extent == "1" for extent in extents)

"""What all gradients of an optimizer have in common, and the arguments that say so."""

from __future__ import annotations

import math
from dataclasses import dataclass

from farandole.arguments import check_compression_of_parameters, check_flag, check_scale
from farandole.errors import InvalidArgumentError
from farandole.process_sets import ProcessSet, global_process_set
from farandole.reduce_ops import Average, check_op
from farandole.torch.compression import Compression, Compressor

# The arguments of ``exchange_options``.
OF_EXCHANGES = {"op", "gradient_predivide_factor", "compression", "sparse_as_dense", "process_set"}


@dataclass(frozen=True)
class ExchangeOptions:
    """What all gradients of an optimizer have in common."""

    op: int
    prescale: float = 1.0
    postscale: float = 1.0
    compression: type[Compressor] = Compression.none
    sparse_as_dense: bool = False
    process_set: ProcessSet = global_process_set


def exchange_options(
    op: int,
    gradient_predivide_factor: float,
    compression: type[Compressor],
    sparse_as_dense: bool,
    process_set: ProcessSet = global_process_set,
) -> ExchangeOptions:
    reduce_op = check_op(op)
    check_compression_of_parameters(compression, "farandole.torch")
    check_flag("sparse_as_dense", sparse_as_dense)
    predivide = check_scale("gradient_predivide_factor", gradient_predivide_factor)
    if predivide != 1.0 and reduce_op != Average:
        raise InvalidArgumentError("gradient_predivide_factor is for op=Average only")
    if not 0 < predivide < math.inf:
        raise InvalidArgumentError(
            f"gradient_predivide_factor={predivide} must be positive and finite"
        )
    scales = (1.0 / predivide, predivide)
    return ExchangeOptions(reduce_op, *scales, compression, sparse_as_dense, process_set)

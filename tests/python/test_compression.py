"""The compressors of one library beside tensors of another."""

from __future__ import annotations

import re
from array import array
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import farandole as fdl  # noqa: E402
import farandole.torch as hvd  # noqa: E402
from farandole.torch.compression import Compressors  # noqa: E402

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("session")]

KINDS = {"fp16": "FP16Compressor", "bf16": "BF16Compressor"}
THIRD = 1 / 3


def refusal(kind: str, calls: Any) -> str:
    given, wanted = ("", ".torch") if calls is hvd else (".torch", "")
    return (
        f"<class 'farandole{given}.compression.{KINDS[kind]}'> is for tensors of "
        f"farandole{given}; for those of farandole{wanted} "
        f"farandole{wanted}.Compression.{kind} is wanted"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("calls", [fdl, hvd], ids=["numpy", "torch"])
def test_calls_refuse_the_other_library_s(calls: Any, kind: str) -> None:
    tensor = torch.ones(3) if calls is hvd else np.ones(3, "f4")
    other = getattr((fdl if calls is hvd else hvd).Compression, kind)
    for form, given in {
        "allreduce": (tensor,),
        "grouped_allreduce": ([tensor],),
        "reducescatter": (tensor,),
        "grouped_reducescatter": ([tensor],),
        "reduce": (tensor, 0),
        "grouped_reduce": ([tensor], 0),
    }.items():
        with pytest.raises(ValueError, match="is for tensors of") as caught:
            getattr(calls, form)(*given, name="it", compression=other)
        said = f'{form.removeprefix("grouped_")} "it": compression={refusal(kind, calls)}'
        assert str(caught.value) == said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tensor", [torch.ones(2), np.ones(2, "f4")], ids=["torch", "numpy"])
def test_calls_of_numpy_refuse_torch_s_whatever_they_are_given(tensor: Any, kind: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match=re.escape(refusal(kind, fdl))):
        fdl.allreduce(tensor, compression=getattr(hvd.Compression, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_optimizers_and_models_refuse_numpy_s(kind: str) -> None:
    model = torch.nn.Linear(2, 2)
    numpy_s = getattr(fdl.Compression, kind)
    said = f"^{re.escape(f'compression={refusal(kind, hvd)}')}$"
    with pytest.raises(ValueError, match=said):
        hvd.DistributedOptimizer(torch.optim.SGD(model.parameters(), lr=1), compression=numpy_s)
    with pytest.raises(ValueError, match=said):
        hvd.DistributedDataParallel(model, compression=numpy_s)


def test_a_compressor_made_for_a_parameter_is_looked_at_as_well() -> None:
    class OfEach:
        def for_parameter(self, name: str) -> Any:
            return fdl.Compression.fp16

    said = f"for_parameter('weight') of the compression returned {refusal('fp16', hvd)}"
    with pytest.raises(ValueError, match=re.escape(said.replace("'> is for", "'>, which is for"))):
        Compressors(OfEach()).of_dense("weight")


def test_none_and_one_s_own_are_anybody_s() -> None:
    class Halved(fdl.Compressor):
        @staticmethod
        def compress(tensor: Any) -> tuple[Any, Any]:
            return tensor / 2, 2

        @staticmethod
        def decompress(tensor: Any, ctx: Any) -> Any:
            return tensor * ctx

    for compression in (fdl.Compression.none, hvd.Compression.none, Halved):
        assert hvd.allreduce(torch.ones(2), compression=compression).tolist() == [1, 1]
        assert fdl.allreduce(np.ones(2), compression=compression).tolist() == [1, 1]


@pytest.mark.parametrize(
    "given",
    [np.float32(THIRD), array("f", [THIRD]), memoryview(array("d", [THIRD]))],
    ids=["scalar", "array", "memory"],
)
def test_what_has_memory_is_made_smaller(given: Any) -> None:
    """Also where it is no NumPy array: it travelled as it was."""
    result = fdl.allreduce(given, compression=fdl.Compression.fp16)
    assert result.dtype == np.asarray(given).dtype
    assert np.ravel(result).tolist() == [float(np.float16(THIRD))]


def test_what_is_not_numpy_s_is_not_left_as_it_is() -> None:
    with pytest.raises(ValueError, match="made of") as caught:
        fdl.allreduce(torch.ones(2), name="it", compression=fdl.Compression.fp16)
    assert str(caught.value) == (
        'allreduce "it": float16 is made of NumPy arrays, not of a Tensor; pass an array '
        "(numpy.asarray()), or for torch call farandole.torch with its own Compression"
    )

"""farandole.torch on one rank: single entries, members of groups, names."""

from __future__ import annotations

import re
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import farandole.torch as hvd  # noqa: E402
from farandole.torch import mpi_ops  # noqa: E402
from farandole.torch.tensors import to_dense  # noqa: E402

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("session")]


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("strides", [(0, 0), (1, 1), (7, 1), (9, 2)])
def test_a_single_entry_is_whole_whatever_its_strides(
    rows: int, columns: int, strides: tuple[int, int]
) -> None:
    values = torch.arange(1.0, 40.0).as_strided((1, columns), strides)
    where = torch.tensor([[rows - 1]])
    sparse = torch.sparse_coo_tensor(where, values, (rows, columns), check_invariants=False)
    wanted = torch.zeros(rows, columns)
    wanted[-1] = torch.tensor(values.tolist()[0])
    assert to_dense(sparse).tolist() == wanted.tolist()
    assert sparse._values().stride() == strides


def test_entries_of_one_place_are_summed() -> None:
    where, values = torch.tensor([[1, 1], [0, 0]]), torch.tensor([2.0, 3.0])
    sparse = torch.sparse_coo_tensor(where, values, (2, 1), check_invariants=False)
    assert to_dense(sparse).tolist() == [[0.0], [5.0]]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (torch.ones(2, dtype=torch.uint32), "dtype uint32 is not supported"),
        (torch.ones(2).to_sparse(), "a tensor of layout torch.sparse_coo cannot be communicated"),
        (torch.ones(2).bool(), "Average has no meaning for bool"),
        ("text", "a torch.Tensor is wanted, not a str"),
    ],
)
@pytest.mark.parametrize("place", [1, 3])
def test_what_is_wrong_with_a_member_names_it(wrong: Any, why: str, place: int) -> None:
    tensors: list[Any] = [torch.ones(2)] * 3
    tensors[place - 1] = wrong
    begin = f'allreduce "grads [{place}/3]": {why}'
    with pytest.raises(hvd.InvalidArgumentError, match=re.escape(begin)):
        hvd.grouped_allreduce(tensors, name="grads")


def test_compressed_members_are_named_too() -> None:
    begin = 'allreduce "grads [2/2]": a torch.Tensor is wanted, not a str'
    wrong: Any = [torch.ones(2), "text"]
    with pytest.raises(hvd.InvalidArgumentError, match=re.escape(begin)):
        hvd.grouped_allreduce(wrong, name="grads", compression=hvd.Compression.fp16)


def test_no_name_is_there_twice() -> None:
    assert len(set(hvd.__all__)) == len(hvd.__all__)
    assert set(mpi_ops.__all__) < set(hvd.__all__)

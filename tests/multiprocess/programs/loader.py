"""Steps of a training job without end, with the worker processes of torch's DataLoader."""

from __future__ import annotations

import torch
from common import report
from torch.utils.data import DataLoader, Dataset

import farandole.torch as hvd


class Numbers(Dataset[int]):
    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> int:
        return index


def main() -> None:
    hvd.init()
    torch.set_num_threads(1)
    loader: DataLoader[int] = DataLoader(Numbers(), batch_size=64, num_workers=2)
    for step, batch in enumerate(loader):
        hvd.allreduce_(batch.float(), name="gradient")
        if step == 3:
            report(hvd.rank(), ready=True)


main()

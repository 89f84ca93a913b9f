"""Which samples of a data set are this rank's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized

import torch
from torch.utils.data import Sampler

from farandole.arguments import check_count, check_flag, shown
from farandole.errors import InvalidArgumentError
from farandole.process_sets import ProcessSet, check_process_set, global_process_set


class DistributedSampler(Sampler[int]):
    """Divides a data set among the ranks: ``DataLoader(dataset, batch_size, sampler=sampler)``.

    Every rank gets as many samples. The order is that of ``torch.utils.data.DistributedSampler``
    with the same arguments. It may be resumed in the middle of an epoch, also by another number of
    ranks: tell it what has been trained on (``record_batch``), and store ``state_dict()``.

    dataset: what has a length.
    num_replicas, rank: number of parts and which of them; None: those of the process set.
    shuffle: whether the order is another one in each epoch; ``set_epoch`` tells which it is.
    seed: of the order; the same on every rank.
    drop_last: what does not divide evenly is left out; otherwise some samples come twice.
    process_set: whose ranks share the data; communicates nothing.
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        process_set: ProcessSet = global_process_set,
    ) -> None:
        check_process_set(process_set)
        if not isinstance(dataset, Sized):
            raise InvalidArgumentError(
                f"dataset={shown(dataset)} has no length; a dataset with len() is wanted"
            )
        self.dataset = dataset
        self.num_replicas = (
            process_set.size()
            if num_replicas is None
            else check_count("num_replicas", num_replicas)
        )
        self.rank = process_set.rank() if rank is None else check_count("rank", rank, least=0)
        if self.rank >= self.num_replicas:
            raise InvalidArgumentError(
                f"rank={self.rank} is not below num_replicas={self.num_replicas}"
            )
        self.shuffle = check_flag("shuffle", shuffle)
        self.seed = check_count("seed", seed, least=0)
        self.drop_last = check_flag("drop_last", drop_last)
        self.epoch = 0
        self._begin = 0  # of the next iteration: how many of the whole order were trained on
        self._begun = 0  # of the last one that began
        self._processed = 0

    def _total(self, begin: int) -> int:
        """How many samples all ranks get together, from that place of the order on."""
        left = max(0, len(self.dataset) - begin)
        whole = left // self.num_replicas * self.num_replicas
        return whole if self.drop_last or whole == left else whole + self.num_replicas

    def __len__(self) -> int:
        """How many samples this rank gets in the next iteration."""
        return self._total(self._begin) // self.num_replicas

    def __iter__(self) -> Iterator[int]:
        begin, self._begin = self._begin, 0
        self._begun = self._processed = begin
        return iter(self._part(begin))

    def _part(self, begin: int) -> list[int]:
        count = len(self.dataset)
        total = self._total(begin)
        if total == 0:
            return []
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(count, generator=generator, device="cpu")
        else:
            order = torch.arange(count, device="cpu")
        # Places of the order, which begins anew behind its end: samples that come twice.
        step = self.num_replicas
        places = torch.arange(begin + self.rank, begin + total, step, device="cpu") % count
        indices: list[int] = order[places].tolist()
        return indices

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes: call it before each. The one that ``load_state_dict`` restored goes on
        where it was; another one begins at its beginning.

        epoch: a whole number from 0, the same on every rank.
        """
        number = check_count("epoch", epoch, least=0)
        if number != self.epoch:
            self.epoch = number
            self._begin = self._begun = self._processed = 0

    def record_batch(self, batch_idx: int, batch_size: int) -> None:
        """Notes that the program has trained on a batch. A loader reads ahead, so that the sampler
        cannot know.

        batch_idx: its number in this iteration, from 0; those before it count, too.
        batch_size: samples of this rank in each batch.
        """
        done = (check_count("batch_idx", batch_idx, least=0) + 1) * check_count(
            "batch_size", batch_size
        )
        end = self._begun + self._total(self._begun)
        self._processed = min(self._begun + done * self.num_replicas, end)

    def state_dict(self) -> dict[str, int]:
        """Where training is: the epoch, and how many samples all ranks have trained on in it."""
        return {"epoch": self.epoch, "processed": self._processed}

    def load_state_dict(self, state_dict: Mapping[str, int]) -> None:
        """Lets the next iteration begin where training was.

        state_dict: what ``state_dict`` returned, the same on every rank, of any number of ranks.
        """
        if not isinstance(state_dict, Mapping) or not {"epoch", "processed"} <= set(state_dict):
            raise InvalidArgumentError(
                f"state_dict is a {type(state_dict).__name__} without epoch and processed; what "
                "state_dict() of such a sampler returned is wanted"
            )
        self.epoch = check_count("epoch", state_dict["epoch"], least=0)
        self._begin = self._processed = check_count("processed", state_dict["processed"], least=0)

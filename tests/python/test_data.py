"""Loaders that read ahead: what the consumer sees, what the thread may do, and how it ends."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import farandole
from farandole.data import AsyncDataLoaderMixin, BaseDataLoader

pytestmark = pytest.mark.timeout(60)
SIZES = [0, 1, 3, 64]


class Plain(BaseDataLoader):
    def __init__(self, batches: Iterable[Any] = range(10)) -> None:
        self.batches = batches
        self.read: list[Any] = []
        self.ended = threading.Event()

    def __len__(self) -> int:
        return 10

    def _iterate(self) -> Iterator[Any]:
        self.ended.clear()
        try:
            for batch in self.batches:
                self.read.append((batch, threading.current_thread()))
                yield batch
        finally:
            self.ended.set()

    def _process_batch(self, batch: Any) -> Any:
        return batch, threading.current_thread()


class Ahead(AsyncDataLoaderMixin, Plain):
    pass


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fdl-data"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    for thread in threads():
        thread.join(30)
    assert threads() == []


@pytest.mark.parametrize("size", SIZES)
def test_batches_come_in_order_again_and_again(
    size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    loader = Ahead(size, False, batches=range(10))
    for _ in range(3):
        here = threading.current_thread()
        assert list(loader) == [(i, here) for i in range(10)]
        assert len(loader) == 10
        assert threads() == []
    assert {thread is here for _, thread in loader.read} == {size == 0}
    assert capfd.readouterr() == ("", "")


def test_names_and_arguments_are_horovods() -> None:
    loader = Ahead(async_loader_queue_size=2, debug_data_loader=True)
    assert loader.async_loader_queue_size == 2
    assert Ahead().async_loader_queue_size == 64
    with pytest.raises(NotImplementedError):
        len(BaseDataLoader())
    with pytest.raises(NotImplementedError):
        list(BaseDataLoader())


@pytest.mark.parametrize("size", [1, 4])
def test_the_queue_is_bounded_and_leaving_early_ends_the_thread(size: int) -> None:
    loader = Ahead(size)
    batches = iter(loader)
    assert next(batches)[0] == 0
    ahead = next(iter(loader._ahead))
    with ahead._changed:
        assert ahead._changed.wait_for(lambda: len(ahead._batches) == size, 30)
    # One was taken, and the thread holds one that it cannot put.
    assert len(loader.read) <= size + 2
    batches.close()  # type: ignore[attr-defined]
    assert loader.ended.is_set(), "the loader's own clean-up has run"
    assert threads() == []


def test_an_iteration_that_is_dropped_ends_the_thread() -> None:
    loader = Ahead(1)
    batches = iter(loader)
    next(batches)
    del batches
    gc.collect()
    assert loader.ended.wait(30)


class Own(Exception):
    pass


@pytest.mark.parametrize("error", [Own("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_errors_reach_the_consumer_behind_the_batches_before(error: BaseException) -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise error

    loader = Ahead(4, False, batches())
    seen = []
    with pytest.raises(type(error)) as caught:
        for batch, _ in loader:
            seen.append(batch)
    assert seen == [1]
    assert caught.value is error
    assert any(entry.name == "batches" for entry in caught.traceback), "it says where"


def test_closing_ends_iterations_that_go_on() -> None:
    loader = Ahead(2)
    first, second = iter(loader), iter(loader)
    next(first), next(second)
    assert len(threads()) == 2
    loader.close_async_loader()
    loader.close_async_loader()
    assert threads() == []
    assert (list(first), list(second)) == ([], [])
    assert [batch for batch, _ in loader] == list(range(10)), "a new one begins"
    Ahead(0).close_async_loader()


def test_a_consumer_that_waits_is_woken_by_close() -> None:
    asked, release = threading.Event(), threading.Event()

    def batches() -> Iterator[int]:
        asked.set()
        release.wait(30)
        yield 1

    loader = Ahead(2, False, batches())
    got: list[Any] = []
    consumer = threading.Thread(target=lambda: got.extend(loader))
    consumer.start()
    assert asked.wait(30)
    closer = threading.Thread(target=loader.close_async_loader)
    closer.start()
    release.set()
    closer.join(30)
    consumer.join(30)
    assert not consumer.is_alive()
    assert len(got) <= 1


def test_debugging_goes_to_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "farandole.data"):
        list(Ahead(1))
        assert caplog.messages == []
        list(Ahead(1, True))
    assert caplog.messages == [
        "an iteration begins, 1 batches may wait",
        "an iteration has ended",
    ]


@pytest.mark.parametrize("size", [-1, 1.5, "4", None, True])
def test_wrong_sizes(size: Any) -> None:
    with pytest.raises(farandole.InvalidArgumentError) as caught:
        Ahead(size)
    assert str(caught.value) == (
        f"async_loader_queue_size={size!r}: a whole number from 0 is wanted"
    )

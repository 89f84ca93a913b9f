"""Loading data: loaders of one's own, and reading ahead in a thread.

    class Loader(AsyncDataLoaderMixin, BaseDataLoader): ...

With Horovod's names (``horovod.data``).
"""

from __future__ import annotations

import logging
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from farandole.arguments import check_count, check_flag

__all__ = ["AsyncDataLoaderMixin", "BaseDataLoader"]

# How long closing waits for a loader that is in the middle of a batch.
_CLOSING_SECONDS = 10.0


class BaseDataLoader:
    """What a loader has to say: how many batches there are, and which. Iterating over it gives each
    after ``_process_batch``, which a trainer may replace."""

    def __len__(self) -> int:
        """Number of batches."""
        raise NotImplementedError

    def _iterate(self) -> Iterable[Any]:
        """The batches, anew each time."""
        raise NotImplementedError

    def _process_batch(self, batch: Any) -> Any:
        """The batch as the program gets it; always in the thread that asks for it."""
        return batch

    def __iter__(self) -> Iterator[Any]:
        for batch in self._iterate():
            yield self._process_batch(batch)


class AsyncDataLoaderMixin:
    """Lets a thread run ahead: put it before the loader's class. The thread lives as long as one
    iteration; leaving that early ends it. What ``_iterate`` raises, the iteration raises where the
    batch would have come.

    async_loader_queue_size: how many batches may wait; 0 reads in the thread that asks.
    debug_data_loader: tells begin and end of each iteration to the logger "farandole.data".
    args, kwargs: for the loader's own class.
    """

    def __init__(
        self,
        async_loader_queue_size: int = 64,
        debug_data_loader: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.async_loader_queue_size = check_count(
            "async_loader_queue_size", async_loader_queue_size, least=0
        )
        self.debug_data_loader = check_flag("debug_data_loader", debug_data_loader)
        self._ahead: weakref.WeakSet[_Ahead] = weakref.WeakSet()
        super().__init__(*args, **kwargs)

    def __iter__(self) -> Iterator[Any]:
        loader: Any = self  # of a class that is a BaseDataLoader, too
        if self.async_loader_queue_size == 0:
            yield from map(loader._process_batch, loader._iterate())
            return
        ahead = _Ahead(loader._iterate, self.async_loader_queue_size)
        self._ahead.add(ahead)
        self._tell("an iteration begins, %d batches may wait", self.async_loader_queue_size)
        try:
            for batch in ahead:
                yield loader._process_batch(batch)
        finally:
            ahead.close()
            self._tell("an iteration has ended")

    def _tell(self, text: str, *values: object) -> None:
        if self.debug_data_loader:
            logging.getLogger("farandole.data").info(text, *values)

    def close_async_loader(self) -> None:
        """Ends every thread that still reads ahead; iterations that go on end, too. May be called
        again, and from any thread."""
        for ahead in list(self._ahead):
            ahead.close()


class _Ahead:
    """One iteration, read by a thread into a queue of limited length.

    Thread: ``close`` from any, iterating from one. Owns: its thread, which ends with the iteration.
    """

    def __init__(self, iterate: Callable[[], Iterable[Any]], size: int) -> None:
        self._iterate = iterate
        self._size = size
        self._changed = threading.Condition()
        self._batches: deque[Any] = deque()
        self._ended = False  # no more batches come
        self._closed = False  # and none is wanted
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="fdl-data", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._batches or self._ended)
                if not self._batches:
                    break
                batch = self._batches.popleft()
                self._changed.notify_all()
            yield batch
        if self._failure is not None and not self._closed:
            raise self._failure

    def close(self) -> None:
        with self._changed:
            self._closed = self._ended = True
            self._batches.clear()
            self._changed.notify_all()
        if self._thread is threading.current_thread():
            return  # the iteration was garbage that this thread collected
        self._thread.join(_CLOSING_SECONDS)
        if self._thread.is_alive():
            warnings.warn(
                f"the thread of a data loader is busy with a batch for {_CLOSING_SECONDS:g} s and "
                "is left alone; it ends after that batch",
                RuntimeWarning,
                stacklevel=2,
            )

    def _read(self) -> None:
        try:
            batches = iter(self._iterate())
            try:
                for batch in batches:
                    if not self._put(batch):
                        return
            finally:
                close = getattr(batches, "close", None)  # a generator's own clean-up, here
                if close is not None:
                    close()
        except BaseException as error:
            self._failure = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, batch: Any) -> bool:
        """Whether it is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._batches) < self._size or self._closed)
            if not self._closed:
                self._batches.append(batch)
                self._changed.notify_all()
            return not self._closed

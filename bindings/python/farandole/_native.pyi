from collections.abc import Callable, Sequence
from typing import Any, TypedDict

class _ConfigRow(TypedDict):
    key: str
    variable: str
    default: str
    accepts: str
    text: str

__version__: str
ALLREDUCE: int
ALLGATHER: int
BROADCAST: int
REDUCESCATTER: int
MESSAGE: int
ALLTOALL: int
BARRIER: int
REDUCE: int
GATHER: int
SCATTER: int
SUM: int
AVERAGE: int
MIN: int
MAX: int
PRODUCT: int
ADASUM: int

def build_info() -> str: ...
def config_rows() -> list[_ConfigRow]: ...

class Session:
    def __init__(
        self,
        settings: Sequence[tuple[str, str]],
        given_up: Callable[[], bool],
        stacks: Callable[
            [list[tuple[int, list[tuple[str, int, str]], int, list[tuple[str, int, str]]]]], str
        ],
    ) -> None: ...
    def shutdown(self, cause: str) -> None: ...
    def counters(self) -> dict[str, int]: ...
    def start_timeline(self, path: str, mark_cycles: bool) -> None: ...
    def stop_timeline(self) -> None: ...
    def submit(
        self,
        kind: int,
        name: str,
        input: Any,
        output: Any = ...,
        reduce_op: int = ...,
        root: int = ...,
        prescale: float = ...,
        postscale: float = ...,
        splits: Sequence[int] | None = ...,
        process_set: int = ...,
        note: int = ...,
        peer: int = ...,
    ) -> Handle: ...
    def submit_all(
        self,
        kind: int,
        names: Sequence[str],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        reduce_op: int,
        root: int,
        prescale: float,
        postscale: float,
        splits: Sequence[Sequence[int] | None],
        process_set: int = ...,
        notes: Sequence[int] = ...,
        peer: int = ...,
    ) -> list[Handle]: ...
    def barrier(self, process_set: int = ...) -> Handle: ...
    def add_process_set(self, ranks: Sequence[int]) -> Handle: ...
    def remove_process_set(self, process_set: int) -> Handle: ...
    def join(self, process_set: int) -> Handle: ...
    def next_name(self, kind: int, process_set: int = ...) -> str: ...
    def next_message_name(self, process_set: int, source: int, dest: int) -> str: ...
    @property
    def topology(self) -> tuple[int, int, int, int, int, int, bool]: ...
    @property
    def loans(self) -> int: ...

class Handle:
    def done(self) -> bool: ...
    def wait(self, timeout: float | None = ...) -> bool: ...
    def numpy(self) -> Any: ...
    def dlpack(self) -> Any: ...
    def tobytes(self) -> bytes: ...
    @property
    def description(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def splits(self) -> list[int] | None: ...
    @property
    def dtype(self) -> str: ...
    @property
    def value(self) -> int: ...

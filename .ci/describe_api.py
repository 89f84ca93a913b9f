"""Prints docs/api.md from the docstrings of the installed package, which needs torch:

.venv/bin/python .ci/describe_api.py > docs/api.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import farandole
import farandole.data
import farandole.horovod
import farandole.timeline
import farandole.torch as hvd
from farandole.torch.optimizer import _DistributedOptimizer

HEAD = """# Reference

Generated from the docstrings by `.ci/describe_api.py`; `help()` says the same. All of it is in
`farandole.torch`, unless a heading says otherwise. What is marked *also `farandole.name`* has the
same arguments there, for NumPy arrays and whatever speaks DLPack or the buffer protocol.
"""

SECTIONS = {
    "Life and place": "init shutdown is_initialized rank size local_rank local_size cross_rank "
    "cross_size is_homogeneous counters",
    "Collectives": "allreduce allgather broadcast alltoall reducescatter reduce gather scatter "
    "barrier sparse_allreduce_async",
    "From one rank to another": "send recv grouped_send grouped_recv send_async recv_async "
    "grouped_send_async grouped_recv_async",
    "In place": "allreduce_ broadcast_ reduce_",
    "Groups": "grouped_allreduce grouped_allgather grouped_broadcast grouped_alltoall "
    "grouped_reducescatter grouped_reduce grouped_gather grouped_scatter grouped_allreduce_ "
    "grouped_broadcast_ grouped_reduce_",
    "Asynchronous": "Handle poll synchronize allreduce_async allgather_async broadcast_async "
    "alltoall_async reducescatter_async barrier_async allreduce_async_ broadcast_async_ "
    "grouped_allreduce_async grouped_allgather_async grouped_broadcast_async "
    "grouped_alltoall_async grouped_reducescatter_async grouped_allreduce_async_ "
    "grouped_broadcast_async_ reduce_async gather_async scatter_async reduce_async_ "
    "grouped_reduce_async grouped_gather_async grouped_scatter_async grouped_reduce_async_",
    "Process sets and joins": "ProcessSet global_process_set add_process_set remove_process_set "
    "join",
    "Operations, compression": "ReduceOp Average Sum Min Max Product Adasum Compression Compressor",
    "Objects and figures": "broadcast_object allgather_object average_metrics",
    "Observing": "start_timeline stop_timeline",
    "Running a function on ranks": "run",
    "Training": "DistributedOptimizer DistributedDataParallel SyncBatchNorm broadcast_parameters "
    "broadcast_optimizer_state DistributedSampler scale_learning_rate WarmupLR",
    "Errors": "FarandoleError InvalidArgumentError NotInitializedError UnsupportedError "
    "PendingError HorovodInternalError MismatchError PeerLostError TimeoutError AbortedError "
    "OperatingSystemError InternalError RunError",
    "Capabilities": "gloo_built gloo_enabled mpi_built mpi_enabled mpi_threads_supported "
    "nccl_built cuda_built rocm_built ccl_built ddl_built __version__",
}

# What other modules have for programs.
MODULES: dict[ModuleType, str] = {
    farandole.data: "BaseDataLoader AsyncDataLoaderMixin",
    farandole.timeline: "merge Alignment",
    farandole.horovod: "serve",
}

# What a default is called in a program.
CALLED = {id(hvd.Compression.none): "Compression.none"} | {
    id(getattr(hvd, name)): name
    for name in ("global_process_set", "Average", "Sum", "Min", "Max", "Product")
}


def written(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return f"*{parameter.name}"
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    default: Any = parameter.default
    return f"{parameter.name}={CALLED.get(id(default)) or repr(default)}"


def signature(function: Any) -> str:
    parts: list[str] = []
    star = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        parts.append(written(parameter))
    return f"({', '.join(part for part in parts if part not in ('self', 'cls'))})"


def described(value: Any) -> str:
    """A docstring as Markdown: parameters become a list, what is drawn stays as it is."""
    text = (inspect.getdoc(value) or "").replace("``", "`")
    return "\n\n".join(paragraph(part) for part in text.split("\n\n"))


def paragraph(text: str) -> str:
    if text.startswith("==="):
        return f"```text\n{text}\n```"
    lines: list[str] = []
    for line in text.splitlines():
        names = re.match(r"(\w+(?:, \w+)*): ", line)
        if names:
            line = f"- `{names[1]}`: {line[names.end() :]}"
        elif lines and lines[0].startswith("- "):
            line = f"  {line.strip()}"
        lines.append(line)
    return "\n".join(lines)


def methods(title: str, cls: type) -> Iterator[str]:
    """Those that the class itself defines and describes, under their headings."""
    for name, value in vars(cls).items():
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        public = not name.startswith("_") and getattr(function, "__doc__", None)
        if public and isinstance(function, property):
            yield f"#### `{title}.{name}`\n\n{described(function)}"
        elif public and inspect.isroutine(function):
            yield f"#### `{title}.{name}{signature(function)}`\n\n{described(function)}"


def home(name: str) -> ModuleType:
    return hvd if name in hvd.__all__ else farandole


def entry(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    where = ""
    if name in farandole.__all__:
        where = f"*{'also' if module is hvd else 'only'} `farandole.{name}`*"
    if isinstance(value, type):
        plain = issubclass(value, (BaseException, int))
        call = "" if plain else constructor(value)
        parts = [f"### `{name}{call}`", where, described(value), *methods(name, value)]
    elif inspect.isroutine(value):
        parts = [f"### `{name}{signature(value)}`", where, described(value)]
        if value is hvd.DistributedOptimizer:
            parts += methods("optimizer", _DistributedOptimizer)
    else:
        parts = [f"### `{name}`", where]
    return "\n\n".join(part for part in parts if part)


def constructor(cls: type) -> str:
    own = cls.__init__  # type: ignore[misc]
    return signature(own) if own is not object.__init__ and cls is not hvd.Handle else ""


def page() -> str:
    named = {name for names in SECTIONS.values() for name in names.split()}
    missing = {*hvd.__all__, *farandole.__all__} ^ named
    if missing:
        raise SystemExit(f"SECTIONS and __all__ differ in {', '.join(sorted(missing))}")
    parts = [HEAD]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [entry(home(name), name) + "\n" for name in names.split()]
    for module, names in MODULES.items():
        if set(getattr(module, "__all__", names.split())) != set(names.split()):
            raise SystemExit(f"MODULES and __all__ of {module.__name__} differ")
        parts.append(f"## {module.__name__}\n")
        parts += [entry(module, name) + "\n" for name in names.split()]
    return "\n".join(parts)


if __name__ == "__main__":
    print(page())

"""python -m farandole.horovod [-m] train.py ...: as python [-m] train.py ..., where Farandole
answers for the modules named horovod."""

from __future__ import annotations

import builtins
import importlib.machinery
import io
import os
import runpy
import sys
from pathlib import Path
from types import ModuleType, TracebackType

from farandole.horovod import serve

USAGE = "usage: python -m farandole.horovod [-m MODULE | SCRIPT] [ARGUMENT...]"
_OWN_FILES = {__file__, runpy.__file__, "<frozen runpy>"}


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(f"{USAGE}\n\n{__doc__}")
        return
    as_module = arguments[:1] == ["-m"]
    what = arguments[as_module:]
    if not what or (what[0].startswith("-") and not as_module):
        print(f"farandole: {USAGE}", file=sys.stderr)
        sys.exit(2)
    _hide_own_frames()
    if as_module:
        sys.argv = what  # the first one becomes the module's file
        serve()
        runpy.run_module(what[0], run_name="__main__", alter_sys=True)
    elif Path(what[0]).is_dir() or what[0].endswith((".zip", ".pyz")):
        sys.argv = what
        if not getattr(sys.flags, "safe_path", False):
            del sys.path[0]
        serve()
        runpy.run_path(what[0], run_name="__main__")
    else:
        _run_script(what)


def _run_script(what: list[str]) -> None:
    """As the interpreter does it, so that the script finds itself where it is used to be."""
    script = what[0]
    try:
        with io.open_code(os.path.abspath(script)) as file:
            source = file.read()
    except OSError as error:
        print(
            f"{sys.executable}: can't open file {os.path.abspath(script)!r}: "
            f"[Errno {error.errno}] {error.strerror}",
            file=sys.stderr,
        )
        sys.exit(2)
    module = ModuleType("__main__")
    module.__dict__.update(
        __file__=os.path.abspath(script),
        __builtins__=builtins,
        __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", script),
        __annotations__={},
    )
    sys.argv = what
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = str(Path(script).resolve().parent)
    serve()
    ours = sys.modules["__main__"]  # lives on: this very function belongs to it
    sys.modules["__main__"] = module
    try:
        exec(compile(source, os.path.abspath(script), "exec", dont_inherit=True), module.__dict__)
    finally:
        del ours


def _hide_own_frames() -> None:
    """A script's traceback begins with the script. The exception itself goes all the way, so that
    exit code and signals are the interpreter's."""
    shows = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        while trace is not None and trace.tb_frame.f_code.co_filename in _OWN_FILES:
            trace = trace.tb_next
        shows(kind, error.with_traceback(trace), trace)

    sys.excepthook = show


if __name__ == "__main__":
    main()

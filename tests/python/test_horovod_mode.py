"""python -m farandole.horovod: a script that imports Horovod lives as under python itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import farandole

pytestmark = pytest.mark.timeout(100)
SERVED = ("-m", "farandole.horovod")

# What a script sees of itself. Its path holds one entry more, behind its own folder.
LIFE = """
import atexit, json, os, sys
from farandole.horovod import BOOTSTRAP
main = sys.modules["__main__"]
path = [p for p in sys.path if p != BOOTSTRAP]
assert main.__dict__ is globals()
facts = {
    "argv": sys.argv, "first": path[0], "path": path[1:], "names": sorted(set(globals()) - {"p"}),
    "own": [str(globals()[n]) for n in ("__name__", "__file__", "__package__")],
    "spec": __spec__ and __spec__.name,
    "doc": __doc__, "loader": type(__loader__).__name__, "cwd": os.getcwd(),
    "builtins": type(__builtins__).__name__, "flags": str(sys.flags), "neighbour": None,
}
import neighbour
facts["neighbour"] = neighbour.VALUE
atexit.register(lambda: print("at exit"))
print(json.dumps(facts))
"""


def run(
    folder: Path, *arguments: str, served: bool = True, **variables: str
) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FARANDOLE_", "HOROVOD_"))}
    command = [sys.executable, *(SERVED if served else ()), *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def script(folder: Path, text: str, name: str = "train.py") -> str:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(textwrap.dedent(text))
    return name


def alike(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs both ways; what came of it, but for the program's own name."""
    ours, theirs = (run(folder, *arguments, served=served) for served in (True, False))
    assert ours.stdout == theirs.stdout
    assert ours.stderr == theirs.stderr
    assert ours.returncode == theirs.returncode
    return ours


def test_a_script_finds_itself_where_it_is_used_to_be(tmp_path: Path) -> None:
    name = script(tmp_path, '"""What it does."""\n' + LIFE, "sub/train.py")
    (tmp_path / "sub/neighbour.py").write_text("VALUE = 7\n")
    (tmp_path / "link.py").symlink_to(name)
    for arguments in ((name, "--epochs", "3"), ("link.py", "-m", "x"), (str(tmp_path / name),)):
        result = alike(tmp_path, *arguments)
        assert result.returncode == 0, result.stderr
        assert '"neighbour": 7' in result.stdout
        assert result.stdout.endswith("at exit\n")
    text = (
        "import sys\nprint(sys.argv, sys.path[0], __name__, __file__, __package__, __spec__.name)"
    )
    script(tmp_path, text, "sub/part.py")
    assert alike(tmp_path, "-m", "sub.part", "a", "b").returncode == 0


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("def f():\n    raise ValueError('no')\nf()", 1),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise RuntimeError('x') from e", 1),
        ("import sys\nsys.exit(5)", 5),
        ("import sys\nsys.exit('a word')", 1),
        ("raise SystemExit", 0),
        ("x = (", 1),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(9)", -2),
    ],
    ids=["error", "chain", "code", "text", "none", "syntax", "interrupt"],
)
def test_it_ends_as_it_does_under_python(tmp_path: Path, end: str, code: int) -> None:
    result = alike(tmp_path, script(tmp_path, end))
    assert result.returncode == code
    assert "farandole" not in result.stderr


def test_what_cannot_be_run(tmp_path: Path) -> None:
    assert alike(tmp_path, "missing.py").returncode == 2
    result = run(tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("farandole: usage: python -m farandole.horovod ")
    result = run(tmp_path, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert run(tmp_path, "-x").returncode == 2


def test_folders_and_archives(tmp_path: Path) -> None:
    script(tmp_path, "import horovod, sys\nprint(sys.argv, horovod.__version__)", "app/__main__.py")
    result = run(tmp_path, "app", "one")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "['app', 'one'] 0.28.1\n"


NAMES = """
    import horovod
    import horovod.data
    from horovod.data.data_loader_base import AsyncDataLoaderMixin
    from horovod.common.exceptions import HorovodInternalError
    import importlib
    import farandole, farandole.data
    assert AsyncDataLoaderMixin is farandole.data.AsyncDataLoaderMixin
    assert HorovodInternalError is farandole.HorovodInternalError
    assert horovod.data.__spec__.name == "horovod.data"
    assert farandole.data.__spec__.name == "farandole.data"
    refused = ("tensorflow", "spark.run", "runner.launch", "torch.elastic")
    for name in map("horovod.{}".format, refused):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            print(error)
    try:
        from horovod.torch import elastic
    except ImportError as error:
        print(error)
    try:
        horovod.no_such_name
    except AttributeError as error:
        print(error)
    print(hasattr(horovod, "no_such_name"), horovod.__version__)
"""


def test_names_of_horovod(tmp_path: Path) -> None:
    result = run(tmp_path, script(tmp_path, NAMES))
    assert (result.returncode, result.stderr) == (0, "")
    serves = "Farandole serves horovod.torch, horovod.data, horovod.common and horovod.runner; "
    assert result.stdout.splitlines() == [
        f"{serves}horovod.tensorflow is not among what it has",
        f"{serves}horovod.spark is not among what it has",
        f"{serves}horovod.runner.launch is not among what it has; start jobs with farandolerun, or "
        "with run() of horovod.runner",
        *[
            f"{serves}horovod.torch.elastic is not among what it has; start a failed job anew from "
            "its checkpoint meanwhile"
        ]
        * 2,
        "module 'horovod' is served by farandole.horovod.top, which has no 'no_such_name'",
        "False 0.28.1",
    ]


NAMES_OF_TORCH = """
    import horovod.torch, farandole.torch
    for module in (horovod.torch, farandole.torch):
        for name in ("elastic", "no_such_name"):
            try:
                getattr(module, name)
            except AttributeError as error:
                print(error)
"""


def test_names_of_torch_that_are_not_there(tmp_path: Path) -> None:
    result = run(tmp_path, script(tmp_path, NAMES_OF_TORCH))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "Farandole serves horovod.torch, horovod.data, horovod.common and horovod.runner; "
        "horovod.torch.elastic is not among what it has; start a failed job anew from its "
        "checkpoint meanwhile",
        "module 'horovod.torch' is served by farandole.torch, which has no 'no_such_name'",
        "farandole.torch has no elastic training yet; start a failed job anew from its checkpoint "
        "meanwhile",
        "module 'farandole.torch' has no attribute 'no_such_name'",
    ]


def test_an_installed_horovod_is_set_aside_in_this_mode_only(tmp_path: Path) -> None:
    other = tmp_path / "site/horovod"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = 'another'\n")
    name = script(tmp_path, "import horovod\nimport horovod.data\nprint(horovod.__version__)")
    paths = (str(other.parent), os.environ.get("PYTHONPATH", ""))
    site: Any = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    result = run(tmp_path, name, **site)
    assert result.stdout == "0.28.1\n"
    told = "farandole: import horovod is served by Farandole, not by Horovod "
    assert result.stderr == f"{told}({other / '__init__.py'})\n"
    quiet = run(tmp_path, name, **site, FARANDOLE_RANK="1", FARANDOLE_SIZE="2")
    assert (quiet.stdout, quiet.stderr) == ("0.28.1\n", "")
    own = script(tmp_path, "import farandole, horovod\nprint(horovod.__version__)", "own.py")
    assert run(tmp_path, own, served=False, **site).stdout == "another\n"
    late = script(
        tmp_path,
        "import horovod, farandole.horovod\ntry:\n    farandole.horovod.serve()\n"
        "except RuntimeError as error:\n    print(error)",
        "late.py",
    )
    assert "imported already" in run(tmp_path, late, served=False, **site).stdout


WORKERS = """
    import multiprocessing
    {here}

    def work(queue):
        import horovod.data
        queue.put(horovod.__version__)

    if __name__ == "__main__":
        for way in ("spawn", "spawn", "forkserver"):
            context = multiprocessing.get_context(way)
            queue = context.Queue()
            process = context.Process(target=work, args=(queue,))
            process.start()
            print(queue.get(timeout=50))
            process.join(50)
"""


@pytest.mark.parametrize("here", ["import horovod", "pass"])
def test_an_installed_horovod_is_spoken_of_once(tmp_path: Path, here: str) -> None:
    """Whichever of the script's processes imports it first."""
    other = tmp_path / "site/horovod"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = 'another'\n")
    paths = (str(other.parent), os.environ.get("PYTHONPATH", ""))
    site: Any = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    result = run(tmp_path, script(tmp_path, WORKERS.replace("{here}", here)), **site)
    assert result.stdout.splitlines() == ["0.28.1"] * 3
    told = "farandole: import horovod is served by Farandole, not by Horovod "
    assert result.stderr == f"{told}({other / '__init__.py'})\n"


SPAWNING = """
    import multiprocessing
    import horovod

    def work(queue):
        import horovod.data
        queue.put((horovod.__version__, horovod.data.BaseDataLoader.__module__, __name__))

    if __name__ == "__main__":
        for way in ("spawn", "forkserver", "fork"):
            context = multiprocessing.get_context(way)
            queue = context.Queue()
            process = context.Process(target=work, args=(queue,))
            process.start()
            print(way, *queue.get(timeout=50))
            process.join(50)
"""


def test_processes_that_multiprocessing_starts(tmp_path: Path) -> None:
    result = run(tmp_path, script(tmp_path, SPAWNING))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "spawn 0.28.1 farandole.data __mp_main__",
        "forkserver 0.28.1 farandole.data __mp_main__",
        "fork 0.28.1 farandole.data __main__",
    ]


def test_an_interrupt_from_outside(tmp_path: Path) -> None:
    name = script(tmp_path, "import sys\nprint('ready', flush=True)\nsys.stdin.read()")
    for served in ((), SERVED):
        with subprocess.Popen(
            [sys.executable, *served, name],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=50)
        assert process.returncode == -signal.SIGINT
        # Where exactly it was heard is chance; but it was in the script, and nobody else is shown.
        begin, first, *_, end = errors.splitlines()
        assert begin == "Traceback (most recent call last):"
        assert re.fullmatch(r'  File ".*train\.py", line [23], in <module>', first)
        assert end == "KeyboardInterrupt"
        assert "farandole" not in errors.replace(str(tmp_path), "")


def test_the_launcher_starts_scripts_in_it(tmp_path: Path) -> None:
    """With what the interpreter is told, as the script knows it, and on every rank."""
    script(
        tmp_path,
        """
        import sys
        import horovod
        import horovod.common.exceptions
        print(horovod.run.__module__, horovod.__version__, sys.flags.optimize, *sys.argv)
        """,
    )
    started = subprocess.run(
        ["farandolerun", "--horovod", "-np", "2", sys.executable, "-O", "train.py", "-m", "3"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (started.returncode, started.stderr) == (0, "")
    assert sorted(started.stdout.splitlines()) == [
        f"[{rank}] farandole.running 0.28.1 1 train.py -m 3" for rank in range(2)
    ]


def test_answers_about_the_build() -> None:
    farandole.init()
    try:
        assert not farandole.mpi_threads_supported()
    finally:
        farandole.shutdown()
    assert farandole.gloo_built()
    assert farandole.gloo_enabled()
    assert farandole.nccl_built() == 0
    for name in ("mpi_built", "mpi_enabled", "cuda_built", "rocm_built", "ccl_built", "ddl_built"):
        assert getattr(farandole, name)() is False

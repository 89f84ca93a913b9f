"""The set-up does what is missing and nothing else; commands of the system are replaced here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def command(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def install(folder: Path, installed: set[str], user: int) -> subprocess.CompletedProcess[str]:
    """Runs install_packages.sh on a list of two packages and records what it calls."""
    listing = folder / "packages.txt"
    listing.write_text("# comment\nalpha\n\nbeta\n")
    known = " ".join(sorted(installed)) or "none"
    command(
        folder,
        "dpkg-query",
        f'[[ " {known} " = *" ${{@: -1}} "* ]] && echo -n installed',
    )
    command(folder, "id", f"echo {user}")
    command(folder, "apt-get", 'echo "apt-get $* ($DEBIAN_FRONTEND)" >> "$CALLS"')
    if user:
        command(folder, "sudo", 'echo sudo >> "$CALLS"; exec "$@"')
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "CALLS": str(folder / "calls")}
    (folder / "calls").touch()
    return subprocess.run(
        [str(ROOT / ".ci/install_packages.sh"), str(listing)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_machine_that_has_everything_is_left_alone(tmp_path: Path) -> None:
    result = install(tmp_path, {"alpha", "beta"}, user=0)
    assert result.returncode == 0
    assert "all 2 are there" in result.stdout
    assert (tmp_path / "calls").read_text() == ""


def test_only_what_is_missing_is_installed(tmp_path: Path) -> None:
    result = install(tmp_path, {"alpha"}, user=0)
    assert result.returncode == 0, result.stderr
    update, wanted = (tmp_path / "calls").read_text().splitlines()
    assert update.startswith("apt-get update")
    assert wanted.endswith("beta (noninteractive)")
    assert "alpha" not in wanted


def test_sudo_is_used_by_those_who_are_not_root(tmp_path: Path) -> None:
    result = install(tmp_path, set(), user=1000)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "calls").read_text().count("sudo\n") == 2


def describe(own: Path | str, *, environment: dict[str, str] | None = None) -> list[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci/describe_python.py"), str(own)],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.splitlines()


def test_the_interpreter_is_never_that_of_the_environment(tmp_path: Path) -> None:
    interpreter, version, _ = describe(tmp_path)
    assert Path(interpreter).resolve().is_relative_to(Path(sys.base_prefix).resolve())
    assert version == sys.version.split()[0]


@pytest.mark.parametrize(("version", "used"), [("2.4.1", True), ("1.13.1", False)])
def test_a_torch_that_is_there_is_used(tmp_path: Path, version: str, used: bool) -> None:
    packages = tmp_path / "python/lib"
    metadata = packages / f"torch-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    environment = {"PYTHONPATH": str(packages)}
    elsewhere = describe(tmp_path / "venv", environment=environment)[2]
    assert elsewhere == (str(packages) if used else "")
    # One in the environment itself does not count: it is there because we put it there.
    assert describe(tmp_path / "python", environment=environment)[2] == ""


def log_of_pip(index: str, versions: str) -> str:
    """What pip writes into its log when it finds no torch."""
    lines = (
        "Looking in indexes: http://127.0.0.1:9/simple",
        "1 location(s) to search for versions of torch:",
        "* http://127.0.0.1:9/simple/torch/",
        "Fetching project page and analyzing links: http://127.0.0.1:9/simple/torch/",
        "Found index url http://127.0.0.1:9/simple/",
        index,
        "Given no hashes to check 0 links for project 'torch': discarding no candidates",
        "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 "
        f"(from versions: {versions})",
        "ERROR: No matching distribution found for torch==2.13.0",
    )
    return "".join(f"2026-01-02T03:04:05,678 {line}\n" for line in lines)


OF_OTHER_PYTHONS = (
    "  Skipping link: none of the wheel's tags (cp39-cp39-manylinux_2_28_x86_64) are compatible "
    "(run pip debug --verbose to show compatible tags): http://127.0.0.1:9/torch-2.13.0-cp39-cp39-"
    "manylinux_2_28_x86_64.whl (from http://127.0.0.1:9/simple/torch/)"
)
SKIPPED = "Could not fetch URL http://127.0.0.1:9/simple/torch/: {} - skipping"
NOT_FOUND = SKIPPED.format("404 Client Error: Not Found for url: http://127.0.0.1:9/simple/torch/")
UNREACHED = SKIPPED.format(
    "connection error: HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with "
    "url: /simple/torch/ (Caused by NewConnectionError('<pip._vendor.urllib3.connection."
    "HTTPConnection object at 0x7f90>: Failed to establish a new connection: [Errno 111] "
    "Connection refused'))"
)
BROKEN = SKIPPED.format(
    "503 Server Error: Service Unavailable for url: http://127.0.0.1:9/simple/torch/"
)


def make_venv(folder: Path, failure: str) -> subprocess.CompletedProcess[str]:
    """Runs make_venv.sh with an interpreter whose pip fails to install torch."""
    pip = (
        'log=; while [ $# -gt 1 ]; do [ "$1" != --log ] || log=$2; shift; done\n'
        f'echo "$1" >> "{folder}/installed"\n'
        'if [ "$1" = requirements-torch.txt ]; then\n'
        f'  cp "{folder}/failure" "$log"; exit 1\n'
        "fi"
    )
    (folder / "failure").write_text(failure)
    command(
        folder,
        "interpreter",
        f'mkdir -p "{folder}/venv/bin"; cp "{folder}/pip" "{folder}/venv/bin/python"',
    )
    command(folder, "pip", pip)
    (folder / "description").write_text(f"{folder}/interpreter\n3.99.0\n\n")
    return subprocess.run(
        [
            str(ROOT / ".ci/make_venv.sh"),
            str(folder / "venv"),
            str(folder / "description"),
            "requirements-torch.txt",
            "requirements-dev.txt",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("index", [OF_OTHER_PYTHONS, NOT_FOUND, f"{NOT_FOUND}\n{OF_OTHER_PYTHONS}"])
def test_a_python_without_a_torch_does_without(tmp_path: Path, index: str) -> None:
    result = make_venv(tmp_path, log_of_pip(index, "none"))
    assert result.returncode == 0, result.stderr
    assert "there is no torch for Python 3.99.0: its tests are skipped" in result.stdout
    installed = (tmp_path / "installed").read_text().split()
    assert installed == ["requirements-torch.txt", "requirements-dev.txt"]


@pytest.mark.parametrize(
    "log",
    [
        "ERROR: Could not install packages: Connection reset by peer\n",
        log_of_pip(UNREACHED, "none"),
        log_of_pip(BROKEN, "none"),
        log_of_pip(f"{NOT_FOUND}\n{UNREACHED}", "none"),
        log_of_pip("  Found link http://127.0.0.1:9/torch.whl, version: 2.14.1", "2.14.1"),
    ],
    ids=["broken-off", "unreached", "unavailable", "one-unreached", "other-version"],
)
def test_a_download_of_torch_that_fails_is_a_failure(tmp_path: Path, log: str) -> None:
    result = make_venv(tmp_path, log)
    assert result.returncode == 1
    assert "its tests are skipped" not in result.stdout
    told = [line for line in result.stderr.splitlines() if line.startswith("could not fetch http")]
    assert len(told) == sum(line in log for line in (UNREACHED, BROKEN))


@pytest.mark.parametrize("torch", [False, True])
def test_the_demo_says_what_it_lacks(tmp_path: Path, torch: bool) -> None:
    programs, packages = tmp_path / ".venv/bin", tmp_path / "packages"
    programs.mkdir(parents=True)
    (packages / "torch").mkdir(parents=True)
    command(programs, "python", f'exec "{sys.executable}" -S "$@"')
    command(programs, "farandolerun", 'echo "started: $*"')
    made = ("build/stamps/packages", ".venv/.ready", ".venv/.installed")
    result = subprocess.run(
        ["make", "-f", ROOT / "Makefile", *(f"--old-file={name}" for name in made), "demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(packages if torch else tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    version = "{}.{}".format(*sys.version_info)
    if torch:
        assert "started: -np 2 python examples/torch/train_gpt.py" in result.stdout
    else:
        assert result.returncode == 2
        assert (
            f"farandole: the demo needs torch, and there is none for Python {version}: choose "
            "another with make demo PYTHON=\n" in result.stderr
        )
        assert "Traceback" not in result.stderr
        assert "started" not in result.stdout


def sum_up(folder: Path, *reports: str) -> subprocess.CompletedProcess[str]:
    paths = []
    for number, report in enumerate(reports):
        path = folder / f"{number}.xml"
        path.write_text(f"<testsuite>{report}</testsuite>")
        paths.append(str(path))
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci/sum_up.py"), *paths],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_reports_are_added_up(tmp_path: Path) -> None:
    good = "<testcase/><testcase><skipped/></testcase>"
    bad = "<testcase><failure/></testcase><testcase><error/></testcase><testcase/>"
    result = sum_up(tmp_path, good, good)
    assert (result.returncode, result.stdout) == (0, "2 passed, 0 failed, 2 skipped\n")
    result = sum_up(tmp_path, good, bad)
    assert (result.returncode, result.stdout) == (1, "2 passed, 2 failed, 1 skipped\n")


def test_no_test_at_all_is_a_failure(tmp_path: Path) -> None:
    assert sum_up(tmp_path, "").returncode == 1

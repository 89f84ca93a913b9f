"""Runs fuzz targets (built by the preset fuzz) for a while, two at once or as many as wanted, and
sums up in one table. Fails when there is a finding; its input is kept and shown.
"""

from __future__ import annotations

import argparse
import base64
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMITS = ("-rss_limit_mb=256", "-malloc_limit_mb=256", "-max_len=4096")
# An input's own limit is a second of processor time (execute.cc); this one finds what hangs.
HANGS = "-timeout=30"
KEPT_BYTES = 300_000  # of all corpora in the tree
# With these a seed takes the same way at every run: comparisons that are watched tell of addresses,
# and a folder that is read again every second of the pace.
REPEATABLE = ("-use_cmp=0", "-reload=0")
STATUS = re.compile(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)
SHOWN_LINES = 40


@dataclass(frozen=True)
class Outcome:
    target: str
    executions: int
    seconds: float
    coverage: int
    new_units: int
    finding: Path | None
    failed: bool


def known_targets() -> list[str]:
    text = (HERE / "CMakeLists.txt").read_text()
    match = re.search(r"set\(targets\s([^)]*)\)", text)
    assert match, "CMakeLists.txt names the targets"
    return match.group(1).split()


def kept(target: str) -> list[Path]:
    folders = [HERE / "corpus" / target, HERE / "regressions" / target]
    return [folder for folder in folders if folder.is_dir()]


def list_inputs(target: str, work: Path) -> str:
    """The kept inputs as libFuzzer's option, in one order on every machine: a folder that it reads
    itself comes in the order of the file system, and the same seed then takes another way.
    """
    inputs = sorted(str(unit) for folder in kept(target) for unit in folder.iterdir())
    listed = work / "inputs"
    listed.write_text(",".join(inputs))
    return f"-seed_inputs=@{listed}"


def last_status(log: Path) -> re.Match[str] | None:
    text = log.read_text(errors="replace") if log.exists() else ""
    found = list(STATUS.finditer(text))
    return found[-1] if found else None


def fuzz(program: Path, target: str, work: Path, seconds: int, seed: int) -> Outcome:
    """One target, from an empty working folder."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "new").mkdir(parents=True)
    command = [
        str(program),
        f"-seed={seed}",
        *(REPEATABLE if seed else ()),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={work}/finding-",
        *LIMITS,
        HANGS,
        list_inputs(target, work),
        str(work / "new"),
    ]
    begin = time.monotonic()
    with open(work / "log", "w") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    status = last_status(work / "log")
    return Outcome(
        target=target,
        executions=int(status.group(1)) if status else 0,
        seconds=time.monotonic() - begin,
        coverage=int(status.group(2)) if status else 0,
        new_units=sum(1 for _ in (work / "new").iterdir()),
        finding=next(iter(sorted(work.glob("finding-*"))), None),
        failed=done.returncode != 0 or status is None,
    )


def show_finding(outcome: Outcome, work: Path) -> None:
    print(f"\n==> {outcome.target}: a finding; the end of {work / 'log'}:")
    print("\n".join((work / "log").read_text(errors="replace").splitlines()[-SHOWN_LINES:]))
    if outcome.finding is None:
        return
    print(f"==> its input, {outcome.finding}, in base64:")
    print(base64.b64encode(outcome.finding.read_bytes()).decode())
    print(f"==> to repeat: build/fuzz/tests/fuzz/fuzz_{outcome.target} {outcome.finding}")
    print(
        f"==> once mended, keep it: cp {outcome.finding} tests/fuzz/regressions/{outcome.target}/"
    )


def cover(program: Path, work: Path, sources: list[Path], *options: str) -> Path:
    """A folder with few of the units in `sources` that cover what all of them cover."""
    chosen = work / "chosen"
    shutil.rmtree(chosen, ignore_errors=True)
    chosen.mkdir()
    command = [str(program), "-set_cover_merge=1", *options, *LIMITS, str(chosen)]
    command += [str(source) for source in sources if source.is_dir()]
    with open(work / "merge.log", "w") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True, timeout=1800)
    return chosen


def replace_corpus(target: str, units: Path) -> None:
    shutil.rmtree(HERE / "corpus" / target, ignore_errors=True)
    shutil.copytree(units, HERE / "corpus" / target)


def corpus_bytes(target: str) -> int:
    return sum(unit.stat().st_size for unit in (HERE / "corpus" / target).glob("*"))


def merge(programs: dict[str, Path], folder: Path) -> bool:
    """Adds what is new to the kept corpora. Where they become too large together, the largest ones
    keep one unit per edge instead of one per number of times that an edge is taken.
    """
    for target, program in programs.items():
        sources = [HERE / "corpus" / target, folder / target / "new"]
        replace_corpus(target, cover(program, folder / target, sources))
    everything = sorted(known_targets(), key=corpus_bytes, reverse=True)
    for target in [t for t in everything if t in programs]:
        if sum(map(corpus_bytes, everything)) <= KEPT_BYTES:
            break
        sources = [HERE / "corpus" / target]
        units = cover(programs[target], folder / target, sources, "-use_counters=0")
        replace_corpus(target, units)
    kept_bytes = sum(map(corpus_bytes, everything))
    sizes = ", ".join(f"{target} {corpus_bytes(target)}" for target in everything)
    print(f"kept inputs: {kept_bytes} bytes of at most {KEPT_BYTES}: {sizes}")
    return kept_bytes <= KEPT_BYTES


def tell_progress(folder: Path, targets: list[str], begin: float) -> None:
    for target in targets:
        status = last_status(folder / target / "log")
        if status:
            print(
                f"[{time.monotonic() - begin:6.0f} s] {target}: {status.group(1)} executions, "
                f"{status.group(2)} edges",
                flush=True,
            )


def table(outcomes: list[Outcome]) -> str:
    head = ("target", "execs", "execs/s", "edges", "new units", "findings")
    rows = [
        (
            o.target,
            str(o.executions),
            f"{o.executions / max(o.seconds, 1e-3):.0f}",
            str(o.coverage),
            str(o.new_units),
            "1" if o.failed else "0",
        )
        for o in outcomes
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = (
        "  ".join(
            cell.rjust(w) if i else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="all, unless some are named")
    parser.add_argument("--build", type=Path, default=ROOT / "build/fuzz")
    parser.add_argument("--seconds", type=int, default=15, help="of each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at once")
    parser.add_argument(
        "--seed", type=int, default=1, help="the same way each time; 0 is another each time"
    )
    parser.add_argument("--progress", type=int, default=0, help="seconds between progress lines")
    parser.add_argument("--merge", action="store_true", help="add what is new to the kept corpora")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.targets) - set(known_targets()))
    if unknown:
        parser.error(f"unknown targets {unknown}; known are {known_targets()}")
    return chosen


def main() -> int:
    args = arguments()
    folder = args.build / "runs"
    targets = args.targets or known_targets()
    programs = {target: args.build / "tests/fuzz" / f"fuzz_{target}" for target in targets}
    begin = time.monotonic()
    outcomes = []
    with ThreadPoolExecutor(args.jobs) as pool:
        running = {
            target: pool.submit(
                fuzz, programs[target], target, folder / target, args.seconds, args.seed
            )
            for target in targets
        }
        told = begin
        for target, future in running.items():
            while args.progress:
                left = told + args.progress - time.monotonic()
                if wait([future], max(0.0, left)).done:
                    break
                told = time.monotonic()
                tell_progress(folder, [t for t, f in running.items() if f.running()], begin)
            outcomes.append(future.result())
            if outcomes[-1].failed:
                show_finding(outcomes[-1], folder / target)
    print(table(outcomes))
    fits = not args.merge or merge(programs, folder)
    return 1 if any(outcome.failed for outcome in outcomes) or not fits else 0


if __name__ == "__main__":
    sys.exit(main())

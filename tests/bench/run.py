"""Measures allreduce beside Open MPI and torch.distributed (Gloo), interleaved in one run.

    make bench                                  a first table
    python tests/bench/run.py --minutes 10 --ranks 2,4
    python tests/bench/run.py --mode resnet50   a training step instead of single sizes
    python tests/bench/run.py --commands        Farandole's programs, for another harness

All contenders take turns, in an order shuffled anew for each round, and around every turn a probe
tells whether the machine's cores share a cache at that moment ("near") or not ("far"). Turns of
different kinds are never put into one figure. Open MPI is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import table
import workloads

HERE = Path(__file__).resolve().parent
BANDS = {"small": (0, 256 << 10), "medium": (1 << 20, 16 << 20), "large": (64 << 20, 256 << 20)}
NEAR_NS = 100


@dataclass
class Contender:
    """A way to start a benchmark program on n ranks."""

    name: str
    command: list[
        str
    ]  # {n}: the number of ranks; --oversubscribe goes where there are cores enough
    by_hand: bool = False  # started n times, with RANK, WORLD_SIZE and STORE
    scale: float = 1.0  # of the numbers of iterations: slow ones need not repeat as often


@dataclass
class Bench:
    folder: Path
    csv: Path
    mode: str
    timeout: float = 120
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def probe(self) -> float:
        """One-way latency between two cores in ns; -1 where it cannot be told."""
        result = subprocess.run(
            [str(self.folder / "probe")], capture_output=True, text=True, timeout=20, check=True
        )
        return float(result.stdout)

    def start(self, contender: Contender, ranks: int, settings: dict[str, str]) -> str:
        """Runs one turn and returns what rank 0 printed."""
        crowded = ranks > len(os.sched_getaffinity(0))
        wanted = [p for p in contender.command if p != "--oversubscribe" or crowded]
        command = [part.replace("{n}", str(ranks)) for part in wanted]
        environment = {**self.environment, **settings, "TAG": contender.name, "MODE": self.mode}
        if not contender.by_hand:
            return self.output_of([command], [environment])
        with tempfile.TemporaryDirectory() as folder:
            common = {**environment, "WORLD_SIZE": str(ranks), "STORE": f"{folder}/store"}
            each = [{**common, "RANK": str(rank)} for rank in range(ranks)]
            return self.output_of([command] * ranks, each)

    def output_of(self, commands: list[list[str]], environments: list[dict[str, str]]) -> str:
        pipe = subprocess.PIPE
        running = [
            subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)
            for command, environment in zip(commands, environments, strict=True)
        ]
        try:
            results = [process.communicate(timeout=self.timeout) for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
        for process, (_, errors) in zip(running, results, strict=True):
            if process.returncode != 0:
                raise RuntimeError(f"exit code {process.returncode}: {errors[-500:].strip()}")
        return "".join(output for output, _ in results)

    def turn(self, contender: Contender, ranks: int, band: tuple[int, int], turn: str) -> None:
        few = 1.0 if ranks <= 2 else 0.3
        settings = {
            "MINB": str(band[0]),
            "MAXB": str(band[1]),
            "ITER_SCALE": str(contender.scale * few),
        }
        before = self.probe()
        try:
            output = self.start(contender, ranks, settings)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{turn}: {error}", file=sys.stderr, flush=True)
            return
        after = self.probe()
        mood = table.mood(before, after, NEAR_NS)
        with self.csv.open("a") as file:
            for line in output.splitlines():
                line = re.sub(r"^\[0\] ?", "", line)
                if line.count(",") == 7:
                    file.write(f"{mood},{line}\n")
        print(f"{turn}: {mood} ({before:.0f} and {after:.0f} ns)", flush=True)


def build(folder: Path) -> None:
    """Compiles the programs against the installed package."""
    asked = [sys.executable, "-m", "farandole", "--cmake-dir"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        sys.exit(f"farandole is not installed for {sys.executable}; make bench installs it")
    prefix = answer.stdout.strip()
    configure = ["cmake", "-S", str(HERE), "-B", str(folder), f"-DCMAKE_PREFIX_PATH={prefix}"]
    for command in (configure, ["cmake", "--build", str(folder)]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    workloads.write(folder)


def contenders(folder: Path) -> list[Contender]:
    found = [
        Contender("farandole-c", ["farandolerun", "-np", "{n}", str(folder / "bench_farandole")])
    ]
    program = [sys.executable, str(HERE / "bench_farandole.py")]
    found.append(Contender("farandole-torch", ["farandolerun", "-np", "{n}", *program]))
    gloo = [sys.executable, str(HERE / "bench_gloo.py")]
    found.append(Contender("torch-gloo", gloo, by_hand=True, scale=0.3))
    if shutil.which("mpirun") and (folder / "bench_mpi").exists():
        command = ["mpirun", "--oversubscribe", "-np", "{n}", str(folder / "bench_mpi")]
        found.append(Contender("open-mpi", command))
    else:
        print("Open MPI is left out: openmpi-bin and libopenmpi-dev are not installed")
    return found


def plain(command: list[str]) -> str:
    """A command line that shows the output of rank 0 as that wrote it, without the launcher's
    prefix; for who starts all ranks with one command and reads their lines."""
    shown = f"{shlex.join(command)} | sed -nu 's/^\\[0\\] //p'"
    return shlex.join(["bash", "-o", "pipefail", "-c", shown])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5, help="time for all turns (default 5)")
    parser.add_argument("--rounds", type=int, default=5, help="most rounds of turns (default 5)")
    parser.add_argument("--ranks", default="2,4", help="numbers of ranks (default 2,4)")
    parser.add_argument("--only", default="", help="contenders, separated by commas (default all)")
    parser.add_argument("--mode", default="sweep", choices=["sweep", *workloads.WORKLOADS])
    parser.add_argument(
        "--csv", type=Path, help="where the lines go (default build/bench/MODE.csv)"
    )
    parser.add_argument(
        "--commands",
        action="store_true",
        help="print --add 'NAME=COMMAND with {n}' and measure nothing",
    )
    options = parser.parse_args()

    folder = HERE.parents[1] / "build/bench"
    build(folder)
    if options.commands:
        for contender in contenders(folder):
            if contender.name.startswith("farandole"):
                print("--add", shlex.quote(f"{contender.name}={plain(contender.command)}"))
        return
    csv = options.csv or folder / f"{options.mode}.csv"
    csv.unlink(missing_ok=True)
    bench = Bench(folder, csv, options.mode)
    bench.environment.update(
        SHAPES=str(folder), OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"
    )
    chosen = [
        c for c in contenders(folder) if not options.only or c.name in options.only.split(",")
    ]
    bands = BANDS if options.mode == "sweep" else {options.mode: (0, 1 << 40)}
    deadline = time.monotonic() + 60 * options.minutes
    for round_number in range(options.rounds):
        turns = [(c, int(n), b) for c in chosen for n in options.ranks.split(",") for b in bands]
        random.Random(round_number).shuffle(turns)
        for contender, ranks, band in turns:
            if time.monotonic() < deadline:
                title = f"round {round_number}, {contender.name}, {ranks} ranks, {band}"
                bench.turn(contender, ranks, bands[band], title)
    print(table.markdown(csv.read_text()))


if __name__ == "__main__":
    main()

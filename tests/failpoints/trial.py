"""One job with one order at one failpoint: run, and judged."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Any

from case import JOB, RANKS, VICTIMS, Case
from judge import Seen, judge
from points import ROOT

sys.path.append(str(ROOT / "tests/multiprocess"))
from marked import await_end, marked

BUILD = ROOT / "build/dev"
LAUNCHER = BUILD / "controller/launch/farandolerun"
RANK = BUILD / "tests/failpoints/failpoint_rank"
WITNESS = BUILD / "tests/failpoints/libfailpoint_witness.so"
LIMIT = 15.0  # seconds in which every case has ended, and nothing of it is left
STOPPED = 6.0  # how long what is stopped stays so; longer than anybody's patience
AGAIN = 0.02  # what stops itself cannot tell us, so it is told to go on again and again
GONE_AFTER = 5.0  # what the launcher's own death leaves to others, as docs/reliability.md promises

# Short, so that a case is: but long enough for a busy machine.
PATIENCE = {
    "FARANDOLE_START_TIMEOUT": "4",
    "FARANDOLE_DATA_TIMEOUT": "4",
    "FARANDOLE_HEARTBEAT_INTERVAL": "0.1",
    "FARANDOLE_HEARTBEAT_TIMEOUT": "2",
    "FARANDOLE_SHUTDOWN_TIMEOUT": "2",
}


@dataclass
class Outcome:
    """What came of a case. Right where nothing is wrong; not reached: nothing happened."""

    case: Case
    reached: bool = False
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    output: str = ""


class Trial:
    """A job under the launcher. Nothing of it is left when it has been judged."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.mark = f"FAILPOINT_MARK={uuid.uuid4().hex}"
        self.folder = Path(tempfile.mkdtemp(prefix="farandole-failpoint-"))
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.token = self.folder / "token"
        self.crashes = self.folder / "crashes"
        self.crashes.mkdir()

    def run(self) -> Outcome:
        """Runs the case; kills whatever is left, and says so."""
        outcome = Outcome(self.case)
        begin = time.monotonic()
        deadline = begin + LIMIT
        try:
            exit_code = self._launch(outcome, deadline)
            outcome.reached = self.token.exists()
            self._judge_leftovers(outcome, deadline)
            outcome.seconds = time.monotonic() - begin
            crashes = sorted(path.name for path in self.crashes.iterdir())
            seen = Seen(self.case, outcome.reached, exit_code, outcome.output, crashes)
            outcome.wrong += judge(seen)
        finally:
            for pid in marked(self.mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder)
        return outcome

    def _own_environment(self) -> dict[str, str]:
        """What every process of the job gets, and who is to obey also the order."""
        name, _, value = self.mark.partition("=")
        witness = {"LD_PRELOAD": str(WITNESS), "FAILPOINT_WITNESS": str(self.crashes)}
        timeline = {"FARANDOLE_TIMELINE": str(self.folder / "trace.{rank}.json")}
        return {name: value, "TMPDIR": str(self.scratch), **witness, **timeline}

    def _order(self) -> dict[str, str]:
        case = self.case
        role = case.role if case.by_rank else JOB
        order = f"{case.point.name} {case.action} {role} {case.hit} {self.token}"
        return {"FDL_FAILPOINT": order}

    def _command(self, *where: str) -> list[str]:
        files = ("--output-filename", str(self.folder / "files"))
        return [str(LAUNCHER), *where, "--grace", "1", *files, str(RANK), *self._victim()]

    def _start(self, output: IO[str]) -> subprocess.Popen[Any]:
        hosts = self.folder / "hosts"
        hosts.write_text(f"localhost slots={RANKS}\n")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FARANDOLE_")}
        scene = self.case.scene
        how = {"FARANDOLE_COMMUNICATOR": "gloo" if scene in VICTIMS else scene}
        if scene == "gloo":
            cores = islice(cycle(sorted(os.sched_getaffinity(0))), RANKS)
            how["FARANDOLE_THREAD_AFFINITY"] = ",".join(map(str, cores))
        return subprocess.Popen(
            self._command("-hostfile", str(hosts)),
            env={**kept, **PATIENCE, **how, **self._own_environment(), **self._order()},
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=self._prepare,
        )

    def _launch(self, outcome: Outcome, deadline: float) -> int | None:
        with (self.folder / "output").open("w+") as output:
            process = self._start(output)
            exit_code = self._await(process, deadline)
            output.seek(0)
            outcome.output = output.read()
        if exit_code is None:
            outcome.wrong.append(f"did not end within {LIMIT} s")
            process.kill()
            process.wait()
        return exit_code

    def _victim(self) -> list[str]:
        return [str(int(part)) for part in VICTIMS.get(self.case.scene, ())]

    def _prepare(self) -> None:
        if self.case.scene == "gloo":  # sparse, too: no standard input, few files
            os.close(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))

    def _await(self, process: subprocess.Popen[Any], deadline: float) -> int | None:
        """Its exit code. What the case stops of the launcher goes on after a while."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.case.action != "stop":
                return process.wait(max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(STOPPED)
            for pid in marked(self.mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            return process.wait(max(0.0, deadline - time.monotonic()))
        return None

    def _judge_leftovers(self, outcome: Outcome, deadline: float) -> None:
        deadline = min(deadline, time.monotonic() + GONE_AFTER)
        while (left := marked(self.mark)) and (patience := deadline - time.monotonic()) > 0:
            if self.case.action == "stop":
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                patience = min(patience, AGAIN)
            await_end(min(left), patience)
        outcome.wrong += [f"process {pid} is left" for pid in left]
        outcome.wrong += [f"file {path.name} is left" for path in self.scratch.iterdir()]

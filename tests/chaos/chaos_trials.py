"""One trial: a job, a fault at a random moment, and what everybody had to say about it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chaos_cases import Case, Outcome
from chaos_job import FINISH, Build, Report, Watch
from chaos_leftovers import GONE_AFTER, left_behind, shared_memory, sockets_of_tcp
from chaos_scene import Scene
from chaos_waits import Waits

LATEST_FAULT = 0.2  # after the job goes
PATIENCE = 20.0  # far beyond every promise: who has not reported by then never will
OBSERVED = 5.0  # how long a job has to bear what should harm nobody
TYPED = {"PeerLost", "Timeout"}
LATER_CALL = 1.0  # once the job has failed, every call does so at once
VICTIMS_END = 2.0  # until what a victim's end took is known; others have told of it by then
OPERATIONS = ("stop", "gradient/0", "gradient/1", "gradient/2")  # of a step, as ranks wait for them


@dataclass
class Trial:
    """`seconds`: from the fault to the last report that was due; None where there was none.
    `waited`: what those on the way to a rank's report had to wait for a core, and what the victim
    took to end."""

    case: str
    seed: int
    seconds: float | None = None
    by_rank: dict[int, float] = field(default_factory=dict)
    waited: dict[int, float] = field(default_factory=dict)
    same_culprit: bool = True
    same_operation: bool = True
    left: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.complaints and not self.left


Operation = tuple[int, str]  # the step and the name


def may_differ(first: Operation, last: Operation) -> bool:
    """Whether survivors may name these two. A rank ends an operation only once all others have
    brought their part of it, so nobody is further ahead than one fusion buffer: "stop" is one by
    itself, the gradients of a step share one or more."""
    (step, name), (later_step, later) = first, last
    if first == last:
        return True
    if name not in OPERATIONS or later not in OPERATIONS:
        return False
    if name == OPERATIONS[0]:
        return (later_step, later) == (step, OPERATIONS[1])
    if later_step == step:
        return OPERATIONS.index(later) > OPERATIONS.index(name)
    return (later_step, later) == (step + 1, OPERATIONS[0])


def first_and_last(operations: set[Operation]) -> tuple[Operation, Operation]:
    """In the order in which all ranks wait for them; what is none of a step comes first."""

    def place(operation: Operation) -> tuple[int, int]:
        step, name = operation
        return step, OPERATIONS.index(name) if name in OPERATIONS else -1

    return min(operations, key=place), max(operations, key=place)


class Running:
    """A trial whose fault has been applied."""

    def __init__(self, case: Case, build: Build, seed: int) -> None:
        chance = random.Random(seed)
        self.case = case
        self.trial = Trial(case.name, seed)
        self.shared_before = shared_memory()
        self.scene = Scene(case.stage, build, chance.choice(case.victims()), seed)
        try:
            # The random moment at which it happens: the job runs meanwhile.
            time.sleep(chance.uniform(0, LATEST_FAULT))
            watched = case.outcome is Outcome.ALL_END
            self.watch = self.scene.watch_all() if watched else Watch([])
            if case.dies:
                self.scene.job.watch_end(self.scene.victim)
            self.waits = Waits(self.scene.job)
            self.when = case.apply(self.scene)
        except BaseException:
            self.scene.close()
            raise

    def finish(self) -> Trial:
        try:
            if self.case.outcome is Outcome.NOTHING:
                self._bear()
            elif self.case.outcome is Outcome.ALL_END:
                self._see_all_end()
            else:
                self._hear()
            self._look_for_leftovers()
        finally:
            self.scene.close()
        return self.trial

    def _complain(self, text: str) -> None:
        self.trial.complaints.append(text)

    def _hear(self) -> None:
        scene, job = self.scene, self.scene.job
        due = [r for r in range(job.ranks) if r != scene.victim]
        if self.case.outcome is Outcome.ALL_TELL:
            due = list(range(job.ranks))
        job.wait_until_all("failed", due, PATIENCE)
        if self.case.heal is not None:
            self.case.heal(scene)
            job.wait_until_all("failed", range(job.ranks), PATIENCE)
            self._judge_woken()
        reports = {rank: r for rank, r in job.heard("failed").items() if rank in due}
        self._judge(due, reports)
        self._account(reports)

    def _account(self, reports: dict[int, Report]) -> None:
        """Who fails, rank 0, which is told and tells, and who reports are on the way."""
        victim, silence = self.scene.victim, not self.case.dies
        waited = {
            rank: self.waits.of(rank, report["delays"], silence) for rank, report in reports.items()
        }
        always = self.waits.stolen()
        if self.case.dies:
            always += self._victims_end(max(r["when"] for r in reports.values()) if reports else 0)
        for rank in reports:
            way = {rank, 0, victim} if silence else {rank, 0} - {victim}
            self.trial.waited[rank] = always + sum(waited.get(r, 0.0) for r in way)

    def _victims_end(self, last_report: int) -> float:
        """What the machine took to end it: of a rank in Python, which has others told before, what
        it had to wait until then."""
        job, victim = self.scene.job, self.scene.victim
        event = "ending" if self.case.stage.work.in_python else ""
        job.wait_for(lambda job: victim in (job.heard(event) if event else job.ended), VICTIMS_END)
        if event:
            return self.waits.of(victim, job.heard(event).get(victim, {}).get("delays", {}), False)
        begin = self._begin()
        if begin is None or victim not in job.ended:
            return 0.0
        return max(0, min(job.ended[victim], last_report) - begin) / 1e9

    def _begin(self) -> int | None:
        """When the fault happened; None where the victim was to tell and has not."""
        if self.when is not None:
            return self.when
        when: int | None = self.scene.job.heard("fault").get(self.scene.victim, {}).get("when")
        return when

    def _judge(self, due: Sequence[int], reports: dict[int, Report]) -> None:
        trial, job = self.trial, self.scene.job
        begin = self._begin()
        if begin is None:
            return self._complain("the victim did nothing")
        silent = sorted(set(due) - set(reports))
        if silent:
            self._complain(f"no report of ranks {silent}: " + " / ".join(job.output[-5:]))
        for rank, report in reports.items():
            trial.by_rank[rank] = (report["when"] - begin) / 1e9
            trial.texts[rank] = report["text"]
            if report["code"] not in TYPED:
                self._complain(f"rank {rank} ended with {report['code']}: {report['text']}")
            self._judge_later(rank, report)
        if trial.by_rank:
            trial.seconds = max(trial.by_rank.values())
        self._compare(reports)
        for rank, report in job.heard("wrong").items():
            self._complain(f"rank {rank} has a wrong result in step {report['step']}")

    def _judge_later(self, rank: int, report: Report) -> None:
        if not report["later_failed"] or report["later_ns"] > LATER_CALL * 1e9:
            self._complain(f"rank {rank}: a later call did not fail at once")
        elif report["later_culprit"] != report["culprit"]:
            first, later = report["culprit"], report["later_culprit"]
            self._complain(f"rank {rank} named {first}, and in a later call {later}")

    def _compare(self, reports: dict[int, Report]) -> None:
        """Ranks that still reach each other name the same culprit, and it is the right one. Who has
        lost rank 0 alone cannot know what the others were told, and is only counted."""
        scene, trial = self.scene, self.trial
        apart = self.case.outcome is Outcome.ALL_TELL and not self.case.joined
        together = [
            report for rank, report in reports.items() if not (apart and scene.with_victim(rank))
        ]
        culprits = {report["culprit"] for report in together}
        # Of a host that is cut off any rank may be the first that is missed.
        lost = set(filter(scene.with_victim, range(scene.job.ranks)))
        harmed = {scene.victim} if self.case.outcome is Outcome.SURVIVORS_TELL else lost
        right = self.case.either_end or culprits <= harmed
        trial.same_culprit = len(culprits) <= 1 and right
        may_differ = scene.victim == 0 and self.case.outcome is Outcome.ALL_TELL
        if not trial.same_culprit and not may_differ:
            self._complain(f"the culprits named are {sorted(culprits)}")
        self._compare_operations(reports)

    def _compare_operations(self, reports: dict[int, Report]) -> None:
        """Whoever is lost to whom: how far a rank got depends on what the others brought alone."""
        operations = {(report["step"], report["operation"]) for report in reports.values()}
        self.trial.same_operation = len(operations) <= 1
        if operations and not may_differ(*first_and_last(operations)):
            self._complain(f"the operations named are no neighbours: {sorted(operations)}")

    def _judge_woken(self) -> None:
        victim = self.scene.victim
        report = self.scene.job.heard("failed").get(victim)
        if report is None:
            self._complain(f"rank {victim} woke and did not find out that it was given up")
        elif report["culprit"] != victim:
            self._complain(f"rank {victim} woke and blamed another: {report['text']}")
        else:
            self._judge_later(victim, report)

    def _bear(self) -> None:
        """The job goes on, through the fault and after it, and ends in order."""
        scene, job = self.scene, self.scene.job
        began = self.when or time.monotonic_ns()
        left = OBSERVED - (time.monotonic_ns() - began) / 1e9
        job.wait_for(lambda job: bool(job.heard("failed")), left)
        if self.case.heal is not None:
            self.case.heal(scene)
        if not job.heard("failed"):
            job.signal(scene.victim, FINISH)
            job.wait_until_all("finished", range(job.ranks), PATIENCE)
        for rank, report in job.heard("failed").items():
            self._complain(f"false alarm of rank {rank}: {report['text']}")
        missing = sorted(set(range(job.ranks)) - set(job.heard("finished")))
        if missing and not job.heard("failed"):
            self._complain(f"ranks {missing} did not end in order: {job.output[-5:]}")

    def _see_all_end(self) -> None:
        if self.when is not None and self.watch.wait(GONE_AFTER):
            self.trial.seconds = (self.watch.last_end - self.when) / 1e9
        else:
            self._complain(f"the job did not end within {GONE_AFTER:g} s")

    def _look_for_leftovers(self) -> None:
        scene = self.scene
        scene.close_proxy()
        port = scene.port if scene.network is None else None
        self.trial.left = left_behind(scene.job, port, self.shared_before)
        if scene.network is not None:
            for table in scene.network.open_sockets():
                self.trial.left += sockets_of_tcp(table, 0)


def run_together(cases: Sequence[Case], build: Build, seed: int) -> list[Trial]:
    """A trial of each case, at the same time; their seeds count up."""
    running: list[Running] = []
    try:
        for index, case in enumerate(cases):
            running.append(Running(case, build, seed + index))
        return [each.finish() for each in running]
    finally:
        for each in running:
            each.scene.close()


def run_case(case: Case, build: Build, trials: int, seed: int) -> Iterator[Trial]:
    """All trials of a case, some of them at a time where they mostly wait."""
    for done in range(0, trials, case.together):
        yield from run_together([case] * min(case.together, trials - done), build, seed + done)

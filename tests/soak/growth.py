"""Whether a process that runs for long grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WARM_UP = 0.3  # of the time: allocators and caches fill
MEBIBYTE = 1 << 20
# What lies around when a sample is taken makes it larger, never smaller: the least of a long time
# is what stays. A short run tells little of memory.
LONG_ENOUGH = 60.0  # seconds
NOISE = 1 * MEBIBYTE
# The allocator's arenas are mapped in pieces, of which some merge.
MAPPINGS = 8
# For the environment of who is judged: glibc keeps megabytes at the end of each thread's heap, and
# more the larger what was freed; told so it gives them back at once, and what is left is what is
# used.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": 1 << 16, "MALLOC_TRIM_THRESHOLD_": 1 << 16}


@dataclass(frozen=True)
class Growth:
    """From the first third after the warm-up to the last one."""

    seconds: float  # of the whole run
    memory: int  # bytes by which the least of it rose
    mappings: int  # by which the least number of them rose
    descriptors: int  # most at the end over most at the beginning
    threads: int
    opened: str = ""  # of what kinds the descriptors are that came

    def complaints(self) -> list[str]:
        found = []
        if self.seconds >= LONG_ENOUGH and self.memory > NOISE:
            found.append(f"memory grew by {self.memory / MEBIBYTE:.1f} MiB in {self.seconds:.0f} s")
        if self.mappings > MAPPINGS:
            found.append(f"{self.mappings} mappings more at the end")
        if self.descriptors > 0:
            found.append(f"{self.descriptors} descriptors more at the end: {self.opened}")
        if self.threads > 0:
            found.append(f"{self.threads} threads more at the end")
        return found


def growth(samples: list[dict[str, Any]]) -> Growth:
    """Of samples with `at` (seconds) and what programs/usage.py says.

    Requires: some; and six after the warm-up of a run that is long enough. A shorter one, in which
    a busy machine had no time for so many, has grown by nothing that could be told."""
    begin, end = samples[0]["at"], samples[-1]["at"]
    warm = [s for s in samples if s["at"] >= begin + WARM_UP * (end - begin)]
    if len(warm) < 6 and end - begin < LONG_ENOUGH:
        return Growth(end - begin, 0, 0, 0, 0)
    if len(warm) < 6:
        raise ValueError(f"only {len(warm)} samples: run for longer")
    third = len(warm) // 3
    early, late = warm[:third], warm[-third:]

    def risen(what: str, of: Any) -> int:
        return int(of(s[what] for s in late) - of(s[what] for s in early))

    return Growth(
        seconds=end - begin,
        memory=risen("memory", min),
        mappings=risen("mappings", min),
        descriptors=risen("descriptors", max),
        threads=risen("threads", max),
        opened=_opened(early, late),
    )


def _opened(early: list[dict[str, Any]], late: list[dict[str, Any]]) -> str:
    """Between the two samples that hold most."""
    before, after = (max(part, key=lambda s: s["descriptors"]) for part in (early, late))
    less, more = before.get("open", {}), after.get("open", {})
    changed = {kind: more.get(kind, 0) - less.get(kind, 0) for kind in {**less, **more}}
    return ", ".join(f"{count:+d} {kind}" for kind, count in sorted(changed.items()) if count)


def judged(samples: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """How a process grew, in words, and what is wrong about that."""
    grown = growth(samples)
    text = (
        f"{samples[-1]['memory'] / MEBIBYTE:.1f} MiB, "
        f"{grown.memory / MEBIBYTE:+.2f} MiB in {grown.seconds:.0f} s, "
        f"{grown.mappings:+d} mappings, {grown.descriptors:+d} descriptors, "
        f"{grown.threads:+d} threads"
    )
    return text, grown.complaints()

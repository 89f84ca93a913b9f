"""More of what test_drawn_forms.py does: sweep_forms.py SEED CASES, so many cases at each number of
ranks over each communicator. The first that fails is told, with its seed, and ends the sweep."""

from __future__ import annotations

import sys

from jobs import launch_verbosely

AT_ONCE = 2000  # of one seed, in one job
WHERE = ["shm", "gloo", "hierarchical"]


def main() -> None:
    seed, left = int(sys.argv[1]), int(sys.argv[2])
    while left > 0:
        count = min(left, AT_ONCE)
        for ranks in (2, 3, 4):
            for communicator in WHERE:
                # Two pretended hosts for what works between some.
                host = "h$((FARANDOLE_RANK % 2))" if communicator == "hierarchical" else "h"
                launch_verbosely(
                    ranks,
                    "drawn_forms.py",
                    str(seed),
                    str(count),
                    timeout=60 + count,
                    wrapped=("sh", "-c", f'FARANDOLE_HOST={host} exec "$@"', "sh"),
                    FARANDOLE_COMMUNICATOR=communicator,
                )
                print(
                    f"seed {seed}: {count} cases on {ranks} ranks over {communicator}", flush=True
                )
        seed, left = seed + 1, left - count


main()

"""Measures which lines of the decoders the kept inputs reach (built by the preset fuzz-coverage).
Fails where a decoder has less than it must have.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from fuzz import ROOT, kept, known_targets

BUILD = ROOT / "build/fuzz-coverage"
PROGRAM = BUILD / "tests/fuzz/fuzz_replay"
WANTED = 95.0
# Everything that reads what somebody else has written; where a file does input and output as well,
# the functions of it that do not.
DECODERS: dict[str, tuple[str, ...]] = {
    "collectives/gloo/transport/frame.cc": (),
    "collectives/gloo/transport/link.cc": (),
    "collectives/gloo/transport/link_io.cc": ("Link5parse", "Link6on_end"),
    "collectives/gloo/transport/socket.cc": ("parse_endpoint",),
    "collectives/shm/handover.cc": ("Meeting9from_text",),
    "collectives/shm/published.cc": (),
    "collectives/shm/segment.cc": ("check_header",),
    "controller/launch/addresses.cc": ("parse_interfaces",),
    "controller/launch/arguments.cc": (),
    "controller/launch/binding.cc": ("parse_machine_part",),
    "controller/launch/channel.cc": ("decode_message",),
    "controller/launch/config_file.cc": (),
    "controller/launch/environment.cc": (),
    "controller/launch/flag_table.cc": (),
    "controller/launch/hostfile.cc": (),
    "controller/launch/hosts.cc": (),
    "controller/launch/line_assembler.cc": (),
    "controller/launch/options.cc": (),
    "controller/launch/output.cc": ("fit_columns", "escape_length"),
    "controller/launch/outpost_frames.cc": (),
    "controller/launch/rank_environment.cc": (),
    "controller/launch/refused_flags.cc": (),
    "controller/launch/ssh.cc": ("ssh_failure", "last_line_of"),
    "controller/launch/supervisor.cc": (),
    "controller/protocol/coordinator.cc": (),
    "controller/protocol/coordinator_stalls.cc": (),
    "controller/protocol/decoder.h": (),
    "controller/protocol/link.cc": (),
    "controller/protocol/membership.cc": (),
    "controller/protocol/messages.cc": (),
    "controller/protocol/messages_decode.cc": (),
    "controller/protocol/process_sets.cc": (),
    "controller/protocol/ranks.cc": (),
    "controller/protocol/readiness.cc": (),
    "controller/protocol/readiness_groups.cc": (),
    "controller/protocol/readiness_messages.cc": (),
    "controller/protocol/readiness_sets.cc": (),
    "controller/protocol/readiness_stalls.cc": (),
    "controller/protocol/stalls.cc": (),
    "controller/protocol/store_table.cc": (),
    "controller/protocol/validation.cc": (),
    "controller/protocol/validation_message.cc": (),
    "controller/protocol/worker.cc": (),
    "controller/protocol/worker_stalls.cc": (),
    "controller/protocol/worker_store.cc": (),
    "core/base/cgroup.cc": ("parse_cpu_max", "cgroup_path", "leading_number"),
    "core/base/config.cc": ("Config4from", "Config3set", "Config5check", "unknown_names"),
    "core/base/config_rows.h": (),
    "core/base/config_table.cc": (),
    "core/base/format.cc": ("printable", "utf8_length"),
    "core/base/horovod_variables.cc": (),
    "core/base/rank_cores.cc": ("parse_core_list",),
    "core/layout.cc": (),
    "core/member_name.cc": (),
    "core/net/auth.cc": (),
    "core/net/bytes.h": (),
    "core/net/endpoint.cc": ("Endpoint5parse", "Endpoint9to_string"),
    "core/net/frame_tags.cc": (),
    "core/net/framing.cc": (),
    "core/net/process_card.cc": ("ProcessCard6decode", "ProcessCard6encode"),
    "core/process_set_list.cc": (),
    "core/way.cc": (),
}


def profile() -> Path:
    """Replays everything that is kept."""
    parts = []
    for target in known_targets():
        parts.append(BUILD / f"{target}.profraw")
        subprocess.run(
            [PROGRAM, target, *kept(target)],
            env={"LLVM_PROFILE_FILE": str(parts[-1])},
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=600,
        )
    merged = BUILD / "fuzz.profdata"
    subprocess.run(["llvm-profdata", "merge", "-o", merged, *parts], check=True, timeout=600)
    return merged


# Paths are as the compiler wrote them, absolute or through the build folder.
def is_file(written: str, name: str) -> bool:
    return written == name or written.endswith("/" + name)


def export(merged: Path, form: str) -> str:
    command = ["llvm-cov", "export", f"-format={form}", f"-instr-profile={merged}", str(PROGRAM)]
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, timeout=600
    ).stdout


def line_counts(merged: Path) -> dict[str, dict[int, int]]:
    """How often each line was executed, by file."""
    counts: dict[str, dict[int, int]] = {}
    lines: dict[int, int] = {}
    for row in export(merged, "lcov").splitlines():
        kind, _, rest = row.partition(":")
        if kind == "SF":
            name = next((name for name in DECODERS if is_file(rest, name)), "")
            lines = counts.setdefault(name, {}) if name else {}
        elif kind == "DA":
            line, count = rest.split(",")[:2]
            lines[int(line)] = max(lines.get(int(line), 0), int(count))
    return counts


def function_lines(functions: list[dict[str, Any]], file: str, names: tuple[str, ...]) -> set[int]:
    found: set[int] = set()
    for function in functions:
        if not is_file(function["filenames"][0], file):
            continue
        if any(name in function["name"] for name in names):
            regions = function["regions"]
            found.update(range(min(r[0] for r in regions), max(r[2] for r in regions) + 1))
    return found


# Deliberate bugs exist in no build but that of the search for them
# (controller/protocol/mutation.h).
ONLY_IF_MUTATED = re.compile(r"\s*if \(FARANDOLE_MUTATE\(\w+\)( &&.*)?\)$")


def unreachable(file: str) -> set[int]:
    lines = (ROOT / file).read_text().splitlines()
    return {number + 2 for number, line in enumerate(lines) if ONLY_IF_MUTATED.match(line)}


def main() -> int:
    merged = profile()
    counts = line_counts(merged)
    functions = json.loads(export(merged, "text"))["data"][0]["functions"]
    failed = False
    reached_of_all = of_all = 0
    for file, names in DECODERS.items():
        lines = counts[file]
        if names:
            inside = function_lines(functions, file, names)
            lines = {line: count for line, count in lines.items() if line in inside}
        skipped = unreachable(file)
        lines = {line: count for line, count in lines.items() if line not in skipped}
        reached = sum(1 for count in lines.values() if count)
        share = 100.0 * reached / max(len(lines), 1)
        reached_of_all, of_all = reached_of_all + reached, of_all + len(lines)
        low = share < WANTED or not lines
        failed = failed or low
        missed = [line for line, count in sorted(lines.items()) if not count]
        print(f"{share:6.1f} %  {reached:4}/{len(lines):<4} {file}", end="")
        print(f"  not reached: {missed[:40]}" if missed else "")
    print(f"{100.0 * reached_of_all / of_all:6.1f} %  {reached_of_all:4}/{of_all:<4} of all")
    print(f"==> {'not every' if failed else 'every'} decoder has {WANTED:g} % of its lines reached")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

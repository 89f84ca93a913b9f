"""Whatever could be wrong about the value of a flag of farandolerun, and what the error says."""

from __future__ import annotations


def whole(low: int, high: int) -> dict[str, str]:
    wanted = f"a whole number from {low} to {high} is wanted"
    wrong = ["abc", "1.5", "1e1", "0x2", " 2", "2 ", "2x", "+2", "²", "nan", "--verbose"]
    wrong += [str(low - 1), str(high + 1), "-" + str(high), "9" * 40]
    return {value: f'{{flag}} "{value}" is not valid: {wanted}' for value in wrong}


def seconds(low: str, high: str) -> dict[str, str]:
    wanted = f"a number of seconds from {low} to {high} is wanted"
    wrong = ["soon", "3s", "0x10", "nan", "inf", "-inf", "1e999", " 1", "1 ", "+1", "1,5", "-1"]
    wrong += [str(float(high) * 10), "--color"]
    if float(low) > 0:
        wrong += ["0", str(float(low) / 10)]
    return {value: f'{{flag}} "{value}" is not valid: {wanted}' for value in wrong}


NO_SLOTS = '-H: "{}" gives no number of slots; host:slots is wanted, as in localhost:4'
NO_NUMBER = (
    '-H: "{}" is not a number of slots for localhost; a whole number from 1 to 65536 is wanted'
)
NO_HOST = (
    "-H: \"{}\" is not a host name; letters, digits, '.', '_' and '-' are allowed, beginning with "
    "a letter or digit, or an IPv6 address in brackets"
)
HOSTS = {
    **{host: NO_SLOTS.format(host) for host in ("3", "localhost", "[::1]", "127.0.0.1")},
    **{
        f"localhost:{n}": NO_NUMBER.format(n)
        for n in ("", "x", "0", "-1", "65537", "1.5", "0x1", " 1", "2x", "9" * 40)
    },
    **{
        f"{host}:1": NO_HOST.format(shown)
        for host, shown in {
            "": "",
            "-o": "-o",
            "a b": "a b",
            "a;b": "a;b",
            "../a": "../a",
            "[1": "[1",
            "\x1b[2J": "\\x1b[2J",
            "\udcff": "\\xff",
        }.items()
    },
    "localhost:1,": NO_SLOTS.format(""),
    "localhost:1,localhost:1": "-H: localhost is named twice; name it once, with the sum of its "
    "slots",
    "localhost:1,127.0.0.1:1": "localhost and 127.0.0.1 are the same host; name it once, with "
    "the sum of its slots",
}

UNREADABLE = {
    "/no/such": "{flag}: /no/such cannot be read: No such file or directory",
    "/": "{flag}: / cannot be read: Is a directory",
    "/dev/zero": "{flag}: /dev/zero has more than 4194304 bytes; a smaller file is wanted",
}

INTERFACES = {
    value: f'{{flag}} "{shown}" is not valid: names of at most 16 interfaces are wanted, as in '
    "eth0,ib0 (ip link shows them)"
    for value, shown in {
        "a,": "",
        ",a": "",
        "a b": "a b",
        "a/b": "a/b",
        "x" * 16: "x" * 16,
        "\x1b": "\\x1b",
        ",".join(["a"] * 17): "a",
    }.items()
}

# flag that takes a value -> wrong value -> what the error says
WRONG: dict[str, dict[str, str]] = {
    "--num-proc": whole(1, 65536),
    "--hosts": HOSTS,
    "--hostfile": {
        **{path: text.replace("{flag}", "-hostfile") for path, text in UNREADABLE.items()},
        "/dev/null": '/dev/null names no host; lines like "localhost slots=4" are wanted',
    },
    "--config-file": UNREADABLE,
    "--ssh-port": whole(1, 65535),
    "--ssh-identity-file": {
        "/no/such": "{flag}: /no/such cannot be read: No such file or directory"
    },
    "--network-interfaces": INTERFACES,
    "--output-filename": {
        "/dev/null/x": "{flag}: the folder /dev/null/x/rank.0 cannot be made: Not a directory"
    },
    "--fusion-threshold-mb": {
        value: message.replace("number from", "number of MiB from")
        for value, message in whole(0, 65536).items()
    },
    "--cache-capacity": whole(0, 16777216),
    "--stall-check-warning-time-seconds": seconds("0.1", "86400"),
    "--stall-check-shutdown-time-seconds": seconds("0", "86400"),
    "--timeline-filename": {
        value: f'{{flag}} "{shown}" is not valid: a path, in braces only {{{{rank}}}} is wanted'
        for value, shown in {
            "n" * 5000: "n" * 80 + "…",
            "t.{r}.json": "t.{{r}}.json",
            "{rank}/{}": "{{rank}}/{{}}",
        }.items()
    },
    "--gloo-timeout-seconds": seconds("0.1", "86400"),
    "--log-level": {
        value: f'{{flag}} "{value}" is not valid: one of trace debug info warning error fatal off '
        "is wanted"
        for value in ("loud", "WARN", "3", "info ", "--gloo")
    },
    "--bind-to": {
        value: f'{{flag}} "{value}" is not valid: one of none, hwthread, core, numa and socket is '
        "wanted"
        for value in ("cores", "Core", "slot", "1", "core ", "--verbose")
    },
    "--map-by": {
        value: f'{{flag}} "{value}" is not valid: one of slot, hwthread, core, numa and socket is '
        "wanted"
        for value in ("none", "slots", "node", "0", " slot", "--bind-to")
    },
    "--thread-affinity": {
        value: f'{{flag}} "{value}" is not valid: cores, one for each rank of a host, such as 0,2 '
        "is wanted"
        for value in ("0-3", "0,", ",0", "0;1", "0 1", "-1", "+1", "1048576", "all", "--verbose")
    },
    "--timeout": seconds("0.001", "100000000"),
    "--start-timeout": seconds("0.1", "86400"),
    "--grace": seconds("0", "100000000"),
    "--completion": {
        value: f'{{flag}} "{value}" is not valid: bash or zsh is wanted'
        for value in ("fish", "Bash", "zsh ", "1", "--help")
    },
    "--help-env": {
        value: f"--help-env={value} is not valid: nothing or markdown is wanted"
        for value in ("html", "Markdown", "1", "markdown ")
    },
}

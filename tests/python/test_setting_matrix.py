"""Every setting with whatever could be wrong about it, by every way a setting comes in: our
variable, Horovod's, the C interface, Python's init(settings=...), the launcher's environment.

The settings and what they accept come from the table itself (`farandolerun --help-env=markdown`),
so a new one is tried without being named here; one of a new kind fails a test.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from c_library import Library, c_library

import farandole as fdl
from farandole import _native

pytestmark = pytest.mark.timeout(60)


class Setting(NamedTuple):
    key: str
    variable: str
    alias: str  # Horovod's variable, or ""
    accepts: str


def launcher(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["farandolerun", *arguments],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def settings() -> list[Setting]:
    row = re.compile(r"\| `FARANDOLE_(\w+)`(?: \(also `(\w+)`\))? \| [^|]* \| ([^|]+) \|")
    page = launcher("--help-env=markdown").stdout
    return [
        Setting(key.lower(), f"FARANDOLE_{key}", alias, accepts)
        for key, alias, accepts in row.findall(page)
    ]


SETTINGS = settings()

NO_NUMBERS = ["", "abc", "0x10", " 1", "1 ", "1x", "+1", "--1", "1,0", "nan", "inf", "-inf", "²"]
NO_NUMBERS += ["True", "1\n", "\udcff", "\x1b[2J", "9" * 400]
HUGE = "n" * 5000

# Kinds of settings that are neither numbers nor words of a list: by key.
TEXTS: dict[str, list[str]] = {
    "controller": ["", "host", "host:", ":1", "host:0", "host:65536", "host:1x", "a b:1", "-a:1"],
    "job": ["", "a b", "a/b", "a.b", "ä", "j" * 65],
    "secret_file": ["", HUGE],
    "host": ["", "-host", "a b", "a/b", "h" * 254, "ä"],
    "bind": ["", "-a", "a b", "0.0.0.0", "0", "::", "[::]", "h" * 254],
    "thread_affinity": ["", ",", "0,", "0,,1", "0-3", "0, 1", "-1", "1048576", "0x1", "²", HUGE],
    "timeline": ["", HUGE, "t.{r}.json", "{rank}{}"],
    "process_sets": ["dynamic", "[0]", "0, 1", "0:3", "0;1 ", "+1", "1.0", "0x1", "²", HUGE],
}
# Any bytes but null make a path.
NOT_FOR_PATHS = ["\udcff", "\x1b[2J", "\n"]


def wrong_values(setting: Setting) -> list[str]:
    if bounds := re.fullmatch(r"a whole number from (\d+) to (\d+)", setting.accepts):
        low, high = int(bounds[1]), int(bounds[2])
        return [*NO_NUMBERS, "1.5", "1e3", "1.0", str(low - 1), str(high + 1), str(-high - 1)]
    if bounds := re.fullmatch(r"a number of seconds from (\S+) to (\S+)", setting.accepts):
        below = float(bounds[1]) / 2 or -0.001
        return [*NO_NUMBERS, "1s", "1e999", f"{below:g}", f"{float(bounds[2]) * 1.001:.9g}", "-1"]
    if setting.accepts.startswith("one of "):
        words = setting.accepts.split()[2:]
        wrong = ["", "0", "2", "\udcff", "\x1b[2J", HUGE, words[0] + "x", words[0][:-1]]
        return [value for value in [*wrong, " ".join(words)] if value not in words]
    return TEXTS[setting.key] + (NOT_FOR_PATHS if not setting.accepts.startswith("a path") else [])


def shown(value: str) -> str:
    """As messages show a value: nothing that a terminal obeys, 128 bytes at most."""
    out = ""
    for byte in value:
        raw = byte.encode(errors="surrogateescape")
        piece = byte if byte >= " " and byte < "\ud800" else f"\\x{raw[0]:02x}"
        if len((out + piece).encode()) > 128:
            return out + "…"
        out += piece
    return out


def message(setting: Setting, name: str, value: str) -> str:
    return f'{name}="{shown(value)}" is not valid: {setting.accepts} is wanted'


@pytest.fixture(scope="module")
def library() -> Library:
    return c_library()


def test_table_is_whole_and_every_kind_is_known() -> None:
    rows = {(r["key"], r["variable"], r["accepts"]) for r in _native.config_rows()}
    assert {(s.key, s.variable, s.accepts) for s in SETTINGS} == rows
    assert len(SETTINGS) > 20
    for setting in SETTINGS:
        assert len(wrong_values(setting)) > 1, setting
    of_words = {s.key for s in SETTINGS if re.match(r"one of |a (whole )?number ", s.accepts)}
    assert set(TEXTS) == {s.key for s in SETTINGS} - of_words


def names_of(setting: Setting) -> Iterator[str]:
    yield setting.variable
    if setting.alias:
        yield setting.alias


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.key)
def test_wrong_in_the_environment(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in names_of(setting):
        for value in wrong_values(setting):
            monkeypatch.setenv(name, value)
            with pytest.raises(fdl.InvalidArgumentError) as caught:
                fdl.init()
            assert str(caught.value) == message(setting, name, value)
            assert not fdl.is_initialized()
        monkeypatch.delenv(name)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.key)
def test_wrong_in_pythons_settings(setting: Setting) -> None:
    for value in wrong_values(setting):
        with pytest.raises(fdl.InvalidArgumentError) as caught:
            fdl.init(settings={setting.key: value})
        expected = message(setting, setting.key, value)
        if "\udcff" in value:  # Python's own way to say a byte that is no text
            expected = f"settings: {setting.key}={value!a} cannot be written as UTF-8"
        assert str(caught.value) == expected
    for other in (None, True, b"1", [1], 1j):
        with pytest.raises(fdl.InvalidArgumentError) as caught:
            fdl.init(settings={setting.key: other})
        expected = f"settings: {setting.key}={other!r} is neither text nor a number nor a path"
        expected += "; what is on or off takes 1 or 0" if other is True else ""
        assert str(caught.value) == expected
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        fdl.init(settings={setting.key: "1\0"})
    assert str(caught.value) == f"settings: {setting.key}='1\\x00' contains a null character"
    assert not fdl.is_initialized()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.key)
def test_wrong_in_the_c_interface(setting: Setting, library: Library) -> None:
    for value in wrong_values(setting):
        session, code, text = library.init({setting.key: value})
        assert (code, text) == (1, message(setting, setting.key, value))
        assert not session


# What the launcher itself tells ranks: it may stand within a job, and what it finds counts nothing.
OWN = {"rank", "size", "controller", "job", "secret_file", "host_cores"}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.key)
def test_wrong_in_the_environment_of_the_launcher(setting: Setting) -> None:
    """It reads the same table before it starts anybody."""
    for name in names_of(setting):
        for value in wrong_values(setting):
            result = launcher("-np", "1", "sh", "-c", f'echo "${name}."', **{name: value})
            if setting.key in OWN:
                assert (result.returncode, result.stderr) == (0, "")
                seen = re.fullmatch(r"\[0\] (.*)\.\n", result.stdout)
                assert seen and (seen[1] != value or not value), result.stdout
            else:
                assert (result.returncode, result.stdout) == (2, "")
                assert result.stderr == f"farandolerun: {message(setting, name, value)}\n"


BESIDE_EACH_OTHER: dict[str, tuple[dict[str, float | str], str]] = {
    "rank": ({"rank": 1}, "FARANDOLE_RANK=1 is not below FARANDOLE_SIZE=1"),
    "process sets": (
        {"process_sets": "1"},
        "process_sets: set [1] at index 0: rank 1 does not exist; ranks are 0 to 0",
    ),
    "heartbeat": (
        {"heartbeat_interval": 1, "heartbeat_timeout": 3.5},
        "FARANDOLE_HEARTBEAT_TIMEOUT=3.5 is less than four times FARANDOLE_HEARTBEAT_INTERVAL=1",
    ),
}


@pytest.mark.parametrize("case", BESIDE_EACH_OTHER)
def test_settings_that_contradict(
    case: str, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, expected = BESIDE_EACH_OTHER[case]
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        fdl.init(settings=given)
    assert str(caught.value) == expected
    assert library.init({k: str(v) for k, v in given.items()})[1:] == (1, expected)
    for key, value in given.items():
        monkeypatch.setenv(f"FARANDOLE_{key.upper()}", str(value))
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        fdl.init()
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("fusion_byts", "; did you mean fusion_bytes?"),
        ("FUSION_BYTES", "; did you mean fusion_bytes?"),
        ("FARANDOLE_FUSION_BYTES", "; did you mean fusion_bytes?"),
        ("FARANDOLE_", ""),
        ("", ""),
        ("spin-time", "; did you mean spin_time?"),
        ("nonsense", ""),
        ("heartbeat_time", "; did you mean heartbeat_timeout?"),
    ],
)
def test_unknown_setting_with_the_nearest(key: str, near: str, library: Library) -> None:
    expected = f'there is no setting "{key}"{near}'
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        fdl.init(settings={key: 1})
    assert str(caught.value) == expected
    assert library.init({key: "1"})[1:] == (1, expected)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("rank\0x", "settings: the name 'rank\\x00x' contains a null character"),
        ("rank\udcff", "settings: the name 'rank\\udcff' cannot be written as UTF-8"),
    ],
)
def test_key_that_is_no_text(key: str, expected: str) -> None:
    with pytest.raises(fdl.InvalidArgumentError) as caught:
        fdl.init(settings={key: 1})
    assert str(caught.value) == expected

"""What all tests in Python share: running them under a sanitizer (`make asan`, `make tsan`), and
which of them wait for too long to be run each time."""

from __future__ import annotations

import os
import sys

import pytest

# How much longer everything may take under a sanitizer.
PATIENCE = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sanitized",
        action="store_true",
        help="the library is instrumented: without torch, which is not, and what is measured",
    )
    parser.addoption(
        "--patient", action="store_true", help="with tests that wait until half a minute is over"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--sanitized"):
        sys.modules["torch"] = None  # type: ignore[assignment]


def leave_out(config: pytest.Config, items: list[pytest.Item], marker: str) -> None:
    marked = [item for item in items if item.get_closest_marker(marker)]
    config.hook.pytest_deselected(items=marked)
    items[:] = [item for item in items if item not in marked]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--patient"):
        leave_out(config, items, "patient")
    if not config.getoption("--sanitized"):
        return
    leave_out(config, items, "measures")
    leave_out(config, items, "uninstrumented")
    if "libtsan" in os.environ.get("LD_PRELOAD", ""):
        leave_out(config, items, "threads_after_fork")
    for item in items:
        marker = item.get_closest_marker("timeout")
        limit = marker.args[0] if marker else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(PATIENCE * limit), append=False)

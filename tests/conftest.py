"""What all tests in Python share: running them under a sanitizer (`make asan`, `make tsan`)."""

from __future__ import annotations

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


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--sanitized"):
        sys.modules["torch"] = None  # type: ignore[assignment]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--sanitized"):
        return
    measuring = [item for item in items if item.get_closest_marker("measures")]
    config.hook.pytest_deselected(items=measuring)
    items[:] = [item for item in items if item not in measuring]
    for item in items:
        marker = item.get_closest_marker("timeout")
        limit = marker.args[0] if marker else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(PATIENCE * limit), append=False)

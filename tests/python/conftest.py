"""A session of one rank, without a launcher and its variables."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import farandole


@pytest.fixture(autouse=True)
def _outside_of_any_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("FARANDOLE_", "HOROVOD_")):
            monkeypatch.delenv(name)


@pytest.fixture
def session() -> Iterator[None]:
    farandole.init()
    yield
    farandole.shutdown()

"""Four hosts, on which all of these tests run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssh_hosts import GONE, IPV6, Hosts


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with Hosts(4, tmp_path_factory.mktemp("hosts")) as four:
        yield four


@pytest.fixture(scope="module")
def ipv6_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Two that have no address of IPv4."""
    with Hosts(2, tmp_path_factory.mktemp("ipv6"), IPV6) as two:
        yield two


@pytest.fixture(scope="session")
def launcher(hosts: Hosts) -> str:
    """A copy, which single hosts can lack or have another version of."""
    found = shutil.which("farandolerun")
    assert found
    return str(shutil.copy(found, hosts.folder / "farandolerun"))


@pytest.fixture(scope="session")
def client(hosts: Hosts) -> Path:
    return hosts.client()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"hosts", "ipv6_hosts"} & set(request.fixturenames):
        hosts: Hosts = request.getfixturevalue(name)
        left = hosts.left_after(GONE)
        hosts.clear()
        assert left == {}

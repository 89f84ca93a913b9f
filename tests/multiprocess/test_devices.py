"""Tensors on other devices than the CPU."""

from __future__ import annotations

import pytest
from jobs import launch

pytestmark = pytest.mark.timeout(200)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batches_are_normalised_on_the_device_that_they_are_on(device: str) -> None:
    torch = pytest.importorskip("torch")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no GPU on this machine")
    reports = launch(3, "norm_devices.py", device)
    assert all(r["device"].startswith(device) for r in reports)

"""Element counts of well-known models' gradients, in the order in which backward gives them."""

from __future__ import annotations

from pathlib import Path


def resnet50() -> list[int]:
    """161 tensors, 25.6 M elements: convolutions without bias, each followed by a batch norm."""
    counts = [64 * 3 * 7 * 7, 64, 64]
    channels = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            for convolution, out in (
                (channels * width, width),
                (width * width * 9, width),
                (width * 4 * width, 4 * width),
            ):
                counts += [convolution, out, out]
            if block == 0:
                counts += [channels * 4 * width, 4 * width, 4 * width]
            channels = 4 * width
    counts += [2048 * 1000, 1000]
    return counts[::-1]


def gpt2() -> list[int]:
    """148 tensors, 124 M elements: the smallest GPT-2."""
    width = 768
    counts = [50257 * width, 1024 * width]
    for _ in range(12):
        counts += [width, width, width * 3 * width, 3 * width, width * width, width]
        counts += [width, width, width * 4 * width, 4 * width, 4 * width * width, width]
    counts += [width, width]
    return counts[::-1]


def tiny1000() -> list[int]:
    """1000 tensors of 1 KiB."""
    return [256] * 1000


WORKLOADS = {"resnet50": resnet50, "gpt2": gpt2, "tiny1000": tiny1000}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, counts in WORKLOADS.items():
        (folder / f"{name}.shapes").write_text("".join(f"{count}\n" for count in counts()))

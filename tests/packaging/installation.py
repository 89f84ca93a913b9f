"""What the packaging tests say about an installed wheel."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installation:
    """An environment that holds the wheel and NumPy, nothing else."""

    folder: Path
    wheel: Path

    @property
    def packages(self) -> Path:
        version = "python{}.{}".format(*sys.version_info)
        return self.folder / "lib" / version / "site-packages"

    def run(self, *command: str, cwd: Path | None = None, timeout: float = 120) -> str:
        """The command's output, in an environment in which nothing else points to the wheel."""
        environment = {
            "HOME": str(self.folder),
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }
        result = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return result.stdout

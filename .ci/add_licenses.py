"""Puts the licences of all that a repaired wheel holds of others beside its own: of the libraries
that were copied into it, and of those whose code is compiled into ours. Debian has the texts. Also
completes the bill of materials that auditwheel began, which lacks some of the former and all of the
latter.

    add_licenses.py REPAIRED_WHEEL WHEEL_BEFORE_THAT
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
import urllib.parse
import zipfile
from pathlib import Path

DOCS = Path("/usr/share/doc")
COMMON = re.compile(r"/usr/share/common-licenses/[\w.-]*\w")
# Packages of headers and static libraries, each with the name of what it brings.
COMPILED_IN = {
    "cli11": "libcli11-dev",
    "flatbuffers": "libflatbuffers-dev",
    "fmt": "libfmt-dev",
    "hwloc": "libhwloc-dev",
    "spdlog": "libspdlog-dev",
    "yaml-cpp": "libyaml-cpp-dev",
}
# Of headers likewise, whose licence asks for nothing beside compiled code.
BOOST = "libboost1.81-dev"


def text_of(package: str) -> str:
    """What Debian says of a package, with the licences that it only points to."""
    text = (DOCS / package / "copyright").read_text()
    common = sorted({Path(path).resolve() for path in COMMON.findall(text)})
    return "\n\n".join([text, *(path.read_text(errors="replace") for path in common)])


def text_of_pybind11() -> str:
    files = importlib.metadata.files("pybind11") or []
    (licence,) = (path for path in files if path.name == "LICENSE")
    return licence.read_text()


def libraries_of(wheel: Path) -> dict[str, Path]:
    """What the binaries of a wheel that is not repaired are linked with on this machine, each by
    the name of its file."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        binaries = [str(path) for path in files if path.read_bytes().startswith(b"\x7fELF")]
        listing = subprocess.run(
            ["ldd", *binaries], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        found = [Path(path).resolve() for path in re.findall(r" => (/.+) \(0x", listing)]
    return {path.name: path for path in found}


def package_of(library: Path) -> str:
    """The Debian package that brought a file, which has no links in its path. Where /lib is a link
    to /usr/lib, packages list their files under either."""
    names = {str(library), str(library).removeprefix("/usr")}
    search = ["dpkg-query", "--search", *sorted(names)]
    # It fails where it does not know one of the names, and answers for the others.
    found = subprocess.run(search, capture_output=True, text=True, check=False, timeout=60).stdout
    lines = [line for line in found.splitlines() if not line.startswith("diversion ")]
    packages = {line.split(":")[0] for line in lines}
    if len(packages) != 1:
        sys.exit(f"farandole: {library} is of one package, not of {sorted(packages)}")
    return packages.pop()


def packages_in(names: list[str], libraries: dict[str, Path]) -> dict[str, str]:
    """Debian's packages of which a wheel with these files, copies of libraries among them, holds
    something, each by the name of what it brought."""
    found = dict(COMPILED_IN)
    for name in names:
        # "farandole.libs/libssl-1234abcd.so.3" was libssl.so.3.
        copied = re.fullmatch(r"farandole\.libs/([\w.+-]+)-[0-9a-f]{8}(\.so[\d.]*)", name)
        if copied:
            found[copied[1]] = package_of(libraries[copied[1] + copied[2]])
    return found


def version_of(package: str) -> str:
    query = ["dpkg-query", "--show", "--showformat=${Version}\\n", package]
    answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout
    return answer.splitlines()[0]  # alike for every architecture that is installed


def completed(bill: bytes, packages: set[str]) -> bytes:
    """auditwheel's bill of materials (CycloneDX) with the packages of Debian that it lacks, and
    with pybind11."""
    parts = json.loads(bill)
    wheel = parts["metadata"]["component"]["bom-ref"]
    lacking = packages - {part["name"] for part in parts["components"]}
    found = [("deb/debian", name, version_of(name)) for name in sorted(lacking)]
    found.append(("pypi", "pybind11", importlib.metadata.version("pybind11")))
    references = []
    for kind, name, version in found:
        url = f"pkg:{kind}/{name}@{urllib.parse.quote(version, safe=':')}"
        part = {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}
        parts["components"].append(part)
        references.append(url)
    (whole,) = (entry for entry in parts["dependencies"] if entry["ref"] == wheel)
    whole["dependsOn"] += references
    parts["dependencies"] += [{"ref": reference} for reference in references]
    return json.dumps(parts).encode()


def record_row(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


def extend(path: Path, before: Path) -> None:
    """Rewrites the repaired wheel with the licences and the whole bill of materials in it, listed
    where a wheel lists its files."""
    with zipfile.ZipFile(path) as wheel:
        members = {info: wheel.read(info) for info in wheel.infolist()}
    (metadata,) = (info for info in members if info.filename.endswith(".dist-info/METADATA"))
    (record,) = (info for info in members if info.filename.endswith(".dist-info/RECORD"))
    (bill,) = (info for info in members if info.filename.endswith("/sboms/auditwheel.cdx.json"))
    folder = metadata.filename.removesuffix("/METADATA")
    packages = packages_in([info.filename for info in members], libraries_of(before))
    licences = {name: text_of(package) for name, package in packages.items()}
    licences["pybind11"] = text_of_pybind11()
    added = {f"third_party/{name}.txt": text.encode() for name, text in sorted(licences.items())}
    fields = "".join(f"License-File: {name}\n" for name in added).encode()
    own = b"License-File: LICENSE\n"
    if members[metadata].count(own) != 1:
        sys.exit(f"farandole: {path.name} does not name its own licence")
    members[metadata] = members[metadata].replace(own, own + fields)
    members[bill] = completed(members[bill], {*packages.values(), BOOST})
    changed = {info.filename: members[info] for info in (metadata, bill)}
    rows = [
        row for row in members[record].decode().splitlines() if row.partition(",")[0] not in changed
    ]
    rows += [record_row(name, data) for name, data in changed.items()]
    new = {f"{folder}/licenses/{name}": data for name, data in added.items()}
    rows += [record_row(name, data) for name, data in new.items()]
    members[record] = ("\n".join(rows) + "\n").encode()
    part = path.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as wheel:
        for info, data in members.items():
            if info is not record:
                wheel.writestr(info, data, zipfile.ZIP_DEFLATED)
        for name, data in new.items():
            wheel.writestr(name, data)
        wheel.writestr(record, members[record], zipfile.ZIP_DEFLATED)
    part.replace(path)


if __name__ == "__main__":
    extend(Path(sys.argv[1]), Path(sys.argv[2]))

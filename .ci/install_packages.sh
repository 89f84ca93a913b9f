#!/usr/bin/env bash
# Installs the Debian packages named in the given list that this machine lacks. A machine that has
# them all is left alone: no network, no root.
set -euo pipefail

list=${1:?usage: install_packages.sh LIST}
mapfile -t wanted < <(grep -Ev '^[[:space:]]*(#|$)' "$list")

if ! command -v dpkg-query > /dev/null; then
  echo "farandole: this is no Debian system: install the equivalents of $list by hand" >&2
  exit 1
fi
missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2> /dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "==> packages: all ${#wanted[@]} are there"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo > /dev/null; then
    echo "farandole: neither root nor sudo: have an administrator run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "==> packages: installing ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"

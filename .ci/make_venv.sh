#!/usr/bin/env bash
# Makes a virtual environment as a description of an interpreter (describe_python.py) says, and
# installs the given requirement files into it.
set -euo pipefail

folder=${1:?usage: make_venv.sh FOLDER DESCRIPTION [REQUIREMENTS...]}
mapfile -t description < "${2:?}"
shift 2
interpreter=${description[0]} version=${description[1]} torch=${description[2]:-}

if ! cmp -s "$folder/.made-from" <(printf '%s\n' "${description[@]}"); then
  echo "==> $folder: making it from $interpreter ($version)"
  "$interpreter" -m venv --clear "$folder"
  if [ -n "$torch" ]; then
    echo "==> $folder: uses the torch in $torch"
    purelib=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$torch" > "$purelib/farandole_torch.pth"
  fi
  printf '%s\n' "${description[@]}" > "$folder/.made-from"
fi

# What pip did not get of an index, of which it says nothing where it is quiet. One that answers
# "not found" was asked.
unanswered() {
  grep -s 'Could not fetch URL' "$1" | grep -v ': 404 Client Error' | sed 's/^.*Could not fetch URL/could not fetch/'
}

# Only torch is optional, and only where every index was asked and none has any version of it for
# this Python.
has_no_torch() {
  grep -qs 'satisfies the requirement torch==.*(from versions: none)' "$1" && ! unanswered "$1" > /dev/null
}

progress=(--quiet)
[ ! -t 1 ] || progress=()
for file in "$@"; do
  if [ "$file" = requirements-torch.txt ] && [ -n "$torch" ]; then
    continue
  fi
  echo "==> $folder: installing what $file names"
  log=$folder/pip.log
  rm -f "$log"
  "$folder/bin/python" -m pip install --disable-pip-version-check "${progress[@]}" --log "$log" -r "$file" && continue
  if [ "$file" = requirements-torch.txt ] && has_no_torch "$log"; then
    echo "==> $folder: there is no torch for Python $version: its tests are skipped, and make demo needs another PYTHON="
    continue
  fi
  unanswered "$log" >&2 || true
  exit 1
done

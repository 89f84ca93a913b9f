#!/usr/bin/env bash
# Builds the wheel with the interpreter of the given environment and makes it independent of the
# machine's libraries: dist/ then holds exactly one wheel of this version for this Python.
set -euo pipefail

env=${1:?usage: build_wheel.sh ENVIRONMENT}
python=$env/bin/python
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
raw=build/wheel/raw-$tag

echo "==> wheel: building for $tag (Release)"
rm -rf "$raw"
# A miss of the cache costs one preprocessing less so; the presets say the same.
export CCACHE_DEPEND=1
PATH=$PWD/$env/bin:$PATH "$python" -m pip wheel --disable-pip-version-check --quiet --no-deps \
  --no-build-isolation --wheel-dir "$raw" \
  --config-settings=cmake.define.CMAKE_CXX_COMPILER_LAUNCHER=ccache \
  --config-settings=cmake.define.FARANDOLE_WERROR=ON . # in full: Debian 12 has pip 23.0, which knows no -C
echo "==> wheel: repairing"
mkdir -p dist
rm -f dist/farandole-*-"$tag"-*.whl
PATH=$PWD/$env/bin:$PATH "$env/bin/auditwheel" repair --plat "manylinux_2_36_$(uname -m)" \
  --wheel-dir dist "$raw"/farandole-*.whl > build/wheel/repair.log 2>&1 || {
  cat build/wheel/repair.log
  exit 1
}
"$python" .ci/add_licenses.py "$(ls dist/farandole-*-"$tag"-*.whl)" "$raw"/farandole-*.whl
echo "==> wheel: $(ls dist/farandole-*-"$tag"-*.whl)"

#!/usr/bin/env bash
# Every test there is: C++ (ctest), some of it under sanitizers, fifteen seconds of each fuzzer, then
# everything that pytest collects (Python, several processes, packaging, examples, docs, lint). All run
# even if one fails; the last line sums up. Needs what `make test` sets up.
set -euo pipefail

results=build/results
mkdir -p "$results"
rm -f "$results"/*.xml
failed=0

echo "==> ctest"
ctest --preset dev --no-tests=error -j "${JOBS:-$(nproc)}" \
  --output-junit "$PWD/$results/ctest.xml" || failed=1
for preset in asan tsan; do
  .ci/run_sanitized.sh "$preset" subset || failed=1
done
echo "==> fuzz"
ctest --preset fuzz --no-tests=error -j "${JOBS:-$(nproc)}" \
  --output-junit "$PWD/$results/fuzz.xml" || failed=1
echo "==> pytest"
.venv/bin/python -m pytest --junitxml="$results/pytest.xml" || failed=1
.venv/bin/python .ci/sum_up.py "$results"/{ctest,asan,tsan,fuzz,pytest}.xml || failed=1
exit "$failed"

#!/usr/bin/env bash
# Every test there is: C++ (ctest), some of it under sanitizers, fifteen seconds of each fuzzer, then
# everything that pytest collects (Python, several processes, packaging, examples, docs, lint). All run
# even if one fails; the last line sums up. Needs what `make test` sets up.
set -euo pipefail

results=build/results
mkdir -p "$results"
rm -f "$results"/*.xml
failed=0
# What a shell puts into the background does not hear Ctrl-C otherwise, nor do the jobs that it starts.
pytest=(env --default-signal=INT,QUIT .venv/bin/python -m pytest)

echo "==> ctest"
ctest --preset dev --no-tests=error -j "${JOBS:-$(nproc)}" \
  --output-junit "$PWD/$results/ctest.xml" || failed=1
for preset in asan tsan; do
  .ci/run_sanitized.sh "$preset" subset || failed=1
done
echo "==> fuzz"
ctest --preset fuzz --no-tests=error -j "${JOBS:-$(nproc)}" \
  --output-junit "$PWD/$results/fuzz.xml" || failed=1
# Jobs at whose failpoints something happens, and those of the soak, wait most of the time; beside
# them runs what takes processor time and measures none.
waiting=(tests/failpoints tests/soak)
busy=(tests/examples tests/lint tests/packaging tests/python)
echo "==> pytest: ${waiting[*]} beside ${busy[*]}"
"${pytest[@]}" --quiet "${waiting[@]}" \
  --junitxml="$results/pytest-waiting.xml" > "$results/waiting.log" 2>&1 &
"${pytest[@]}" "${busy[@]}" --junitxml="$results/pytest-busy.xml" || failed=1
wait $! || failed=1
cat "$results/waiting.log"
echo "==> pytest: all others"
"${pytest[@]}" "${waiting[@]/#/--ignore=}" "${busy[@]/#/--ignore=}" \
  --junitxml="$results/pytest.xml" || failed=1
.venv/bin/python .ci/sum_up.py "$results"/{ctest,asan,tsan,fuzz,pytest-waiting,pytest-busy,pytest}.xml || failed=1
exit "$failed"

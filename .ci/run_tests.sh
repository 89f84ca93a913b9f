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
# Jobs at whose failpoints something happens, and those of the soak, wait most of the time; the others
# of these take processor time and measure none.
waiting=(tests/failpoints tests/soak)
learning=(tests/examples)
checking=(tests/lint tests/packaging tests/python)

# Runs folders of pytest's in the background; `wait_for` tells what came of it.
start() { # NAME FOLDER...
  "${pytest[@]}" --quiet "${@:2}" --junitxml="$results/pytest-$1.xml" > "$results/$1.log" 2>&1 &
}
wait_for() { # NAME
  wait $! || failed=1
  cat "$results/$1.log"
}

echo "==> fuzz, beside it pytest: ${waiting[*]}"
start waiting "${waiting[@]}"
ctest --preset fuzz --no-tests=error -j "${JOBS:-$(nproc)}" \
  --output-junit "$PWD/$results/fuzz.xml" || failed=1
wait_for waiting
echo "==> pytest: ${checking[*]}, beside them ${learning[*]}"
start learning "${learning[@]}"
"${pytest[@]}" "${checking[@]}" --junitxml="$results/pytest-checking.xml" || failed=1
wait_for learning
echo "==> pytest: all others"
apart=("${waiting[@]}" "${learning[@]}" "${checking[@]}")
"${pytest[@]}" "${apart[@]/#/--ignore=}" --junitxml="$results/pytest.xml" || failed=1
.venv/bin/python .ci/sum_up.py "$results"/{ctest,asan,tsan,fuzz,pytest-waiting,pytest-learning,pytest-checking,pytest}.xml || failed=1
exit "$failed"

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
# One more at once than there are cores: many wait, and those that measure time run alone.
ctest --preset dev --no-tests=error -j "$((${JOBS:-$(nproc)} + 1))" \
  --output-junit "$PWD/$results/ctest.xml" || failed=1
# Jobs at whose failpoints something happens, those of the soak and those of several hosts wait most of
# the time, and so do all that are not named here, which measure it: beside them goes, niced, what
# measures none.
waiting=(tests/failpoints tests/soak tests/hosts)
working=(tests/multiprocess/test_{jobs,drawn_forms,disagreements}.py tests/examples)
checking=(tests/lint tests/packaging tests/python)

# Runs tests of pytest's in the background; `wait_for` tells what came of them.
declare -A started
start() { # NAME NICENESS TESTS...
  nice -n "$2" "${pytest[@]}" --quiet "${@:3}" --junitxml="$results/pytest-$1.xml" > "$results/$1.log" 2>&1 &
  started[$1]=$!
}
wait_for() { # NAME
  wait "${started[$1]}" || failed=1
  cat "$results/$1.log"
}

echo "==> pytest beside what follows: ${waiting[*]}"
start waiting 0 "${waiting[@]}"
for preset in asan tsan; do
  nice -n 10 .ci/run_sanitized.sh "$preset" subset || failed=1
done
echo "==> fuzz"
ctest --preset fuzz --no-tests=error -j "${JOBS:-$(nproc)}" \
  --output-junit "$PWD/$results/fuzz.xml" || failed=1
wait_for waiting
echo "==> pytest: all others, beside them ${working[*]} ${checking[*]}"
start working 10 "${working[@]}"
start checking 10 "${checking[@]}"
apart=("${waiting[@]}" "${working[@]}" "${checking[@]}")
"${pytest[@]}" "${apart[@]/#/--ignore=}" --junitxml="$results/pytest.xml" || failed=1
wait_for working
wait_for checking
.venv/bin/python .ci/sum_up.py "$results"/{ctest,asan,tsan,fuzz,pytest-waiting,pytest-working,pytest-checking,pytest}.xml || failed=1
exit "$failed"

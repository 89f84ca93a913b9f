#!/usr/bin/env bash
# Tests under a sanitizer: `run_sanitized.sh asan|tsan [subset]`. All C++ tests and, with NumPy, those
# of Python and of several processes; or the C++ tests that tests/CMakeLists.txt names for
# `make test`. Whatever a sanitizer has to say of any process fails the run, even where the test passes.
set -euo pipefail

preset=${1:?usage: run_sanitized.sh asan|tsan [subset]}
part=${2:-all}
jobs=${JOBS:-$(nproc)}
folder=$PWD/build/$preset
results=$PWD/build/results
reports=$folder/reports
rm -rf "$reports"
mkdir -p "$reports" "$results"
to=log_path=$reports/report
# Memory that there is not is an answer that tests want to see.
to=$to:allocator_may_return_null=1

case $preset in
  asan)
    runtime=$(clang -print-file-name="libclang_rt.asan-$(uname -m).so")
    # Like no code of the product's or of a test's: who sees it knows that a sanitizer ended the process,
    # and looks into the reports. So does LeakSanitizer where it has crashed itself (below).
    export ASAN_OPTIONS=$to:exitcode=99:detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=$to:print_stacktrace=1
    ;;
  tsan)
    runtime=$(g++ -print-file-name=libtsan.so)
    export TSAN_OPTIONS=$to:second_deadlock_stack=1
    ;;
  *)
    echo "farandole: run_sanitized.sh knows asan and tsan, not $preset" >&2
    exit 1
    ;;
esac
# ThreadSanitizer refuses address spaces that are laid out too randomly.
plain=()
! setarch --addr-no-randomize true 2> /dev/null || plain=(setarch --addr-no-randomize)

echo "==> build: preset $preset ($part)"
what=(all)
python=(-DFARANDOLE_BUILD_PYTHON=ON -DPython_EXECUTABLE="$PWD/.venv/bin/python")
flags=()
if [ "$part" = subset ]; then
  what=(sanitizer_subset)
  python=()
  # Clang compiles in half the time so, which is most of it, and hides nothing from the sanitizers; GCC
  # gains nothing.
  [ "$preset" != asan ] || flags=(-DCMAKE_C_FLAGS_DEBUG="-O0 -g1" -DCMAKE_CXX_FLAGS_DEBUG="-O0 -g1")
fi
cmake --preset "$preset" "${python[@]}" "${flags[@]}" > "$folder/configure.log" 2>&1 || {
  cat "$folder/configure.log"
  exit 1
}
"${plain[@]}" cmake --build --preset "$preset" -j "$jobs" --target "${what[@]}"

failed=0
echo "==> ctest: preset $preset ($part)"
chosen=()
[ "$part" != subset ] || chosen=(-L sanitizer_subset)
"${plain[@]}" ctest --preset "$preset" --no-tests=error -j "$jobs" "${chosen[@]}" \
  --output-junit "$results/$preset.xml" || failed=1

if [ "$part" = all ]; then
  echo "==> pytest: preset $preset"
  rm -rf "$folder/python"
  mkdir "$folder/python"
  cp --recursive --symbolic-link "$PWD/bindings/python/farandole" "$folder/python/"
  ln --symbolic "$folder"/bindings/python/_native*.so "$folder/python/farandole/"
  # Where an installed package has them, for tests of the C interface.
  ln --symbolic "$PWD/bindings/c/include" "$folder/python/farandole/include"
  ln --symbolic "$folder/bindings/c" "$folder/python/farandole/lib"
  # The interpreter is not instrumented, and what it never frees is its own affair. Its allocator of
  # small objects would hide from LeakSanitizer what they refer to.
  export LSAN_OPTIONS=suppressions=$PWD/.ci/interpreter_leaks.txt:print_suppressions=0
  # Where the dynamic linker has allocated thread-local memory Clang 14 guesses from what lies before it,
  # and guesses wrong at some addresses: then LeakSanitizer crashes, and the process with it. It finds
  # that memory without guessing, too: as the linker's.
  ASAN_OPTIONS=${ASAN_OPTIONS-}:malloc_context_size=2:intercept_tls_get_addr=0 PATH="$folder/controller/launch:$PATH" PYTHONPATH="$folder/python" PYTHONMALLOC=malloc \
    LD_PRELOAD="$runtime $(g++ -print-file-name=libstdc++.so)" \
    "${plain[@]}" .venv/bin/python -m pytest --sanitized tests/python tests/multiprocess \
    --junitxml="$results/$preset-pytest.xml" || failed=1
fi

shopt -s nullglob
# That it has no such memory it says, too, which is no finding. Nor is it one that LeakSanitizer itself
# has crashed while threads ended (https://github.com/google/sanitizers/issues/1353); but that process
# has not been looked at for leaks, so few may be so.
no_finding='Sanitizer failed to allocate|^Tracer caught signal|LeakSanitizer has encountered a fatal error|HINT: '
unseen=0
for report in "$reports"/*; do
  grep --quiet --extended-regexp --invert-match "$no_finding|^$" "$report" && continue
  echo "==> $preset: no finding, but said: $(head --lines=1 "$report")"
  ! grep --quiet 'LeakSanitizer has encountered' "$report" || unseen=$((unseen + 1))
  rm "$report"
done
if [ "$unseen" -gt 2 ]; then
  echo "==> $preset: LeakSanitizer crashed in $unseen processes"
  failed=1
fi
found=("$reports"/*)
if [ ${#found[@]} -gt 0 ]; then
  echo "==> $preset: ${#found[@]} processes had something reported, in $reports:"
  head --lines=60 "${found[@]:0:5}"
  failed=1
fi
exit "$failed"

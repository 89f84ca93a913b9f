// What libFuzzer calls, for the one target that this executable is built for.

#include "tests/fuzz/target.h"

extern "C" {

// The quarantine of freed memory counts against the limit of 256 MB.
__attribute__((visibility("default"))) const char* __asan_default_options() {
  return "quarantine_size_mb=32:allocator_may_return_null=0:detect_stack_use_after_return=0";
}

__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(
    const uint8_t* data, size_t size) {
  farandole::fuzz::execute(farandole::fuzz::FARANDOLE_FUZZ_TARGET, {data, size});
  return 0;
}
}

/* farandole.h is C11, and C alone can run a job of one rank with it. Built with -pedantic -Werror.
 */
#include <farandole/farandole.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

static void expect(int true_enough, const char* what) {
  if (true_enough)
    return;
  fprintf(stderr, "header_test: %s (last error: %s)\n", what, fdl_last_error());
  ++failures;
}

static void count_call(fdl_code code, void* user) {
  if (code == FDL_OK)
    ++*(int*)user;
}

static void test_forms(fdl_session* session) {
  double values[3] = {1, 2, 3}, sums[3] = {0, 0, 0};
  fdl_handle* handle = NULL;
  fdl_result result = FDL_RESULT_INIT;
  expect(!fdl_allreduce(session, "a", values, sums, 3, FDL_FLOAT64, FDL_SUM), "allreduce");
  expect(memcmp(values, sums, sizeof sums) == 0, "sum over one rank");
  expect(!fdl_broadcast(session, NULL, values, 3, FDL_FLOAT64, 0), "broadcast");
  expect(!fdl_allgather(session, "g", values, 3, 1, FDL_FLOAT64, &handle), "allgather");
  expect(!fdl_get_result(handle, &result) && result.bytes == sizeof values, "its result");
  expect(!fdl_release(handle), "release");
  expect(!fdl_barrier(session), "barrier");
}

static void test_submit(fdl_session* session) {
  const int64_t shape[2] = {2, 2};
  float in[4] = {1, 2, 3, 4};
  int done = 0;
  fdl_request request = FDL_REQUEST_INIT;
  fdl_handle* handle = NULL;
  fdl_counters before = FDL_COUNTERS_INIT, after = FDL_COUNTERS_INIT;
  expect(!fdl_get_counters(session, &before), "counters");
  request.name = "submitted";
  request.shape = shape;
  request.ndim = 2;
  request.in = in;
  request.out = in;
  request.postscale = 2;
  expect(!fdl_submit(session, &request, 1, &handle), "submit");
  expect(!fdl_wait(handle, 10), "wait");
  expect(!fdl_on_done(handle, count_call, &done) && done == 1, "callback after the end");
  expect(in[3] == 8, "scaled");
  expect(!fdl_get_counters(session, &after), "counters");
  expect(after.bytes - before.bytes == sizeof in, "bytes that were counted");
  expect(!fdl_release(handle), "release");
}

int main(void) {
  fdl_session* session = NULL;
  fdl_options options = FDL_OPTIONS_INIT;
  options.ignore_environment = 1;
  expect(!fdl_init(&options, &session), "init");
  if (session) {
    expect(fdl_rank(session) == 0 && fdl_size(session) == 1, "rank and size");
    test_forms(session);
    test_submit(session);
  }
  expect(!fdl_destroy(session), "destroy");
  return failures != 0;
}

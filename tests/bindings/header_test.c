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
  memset(sums, 0, sizeof sums);
  expect(!fdl_reduce(session, "r", values, sums, 3, FDL_FLOAT64, FDL_MAX, 0), "reduce");
  expect(memcmp(values, sums, sizeof sums) == 0, "maximum over one rank");
  expect(!fdl_gather(session, "o", values, 3, 1, FDL_FLOAT64, 0, &handle), "gather");
  expect(!fdl_get_result(handle, &result) && result.bytes == sizeof values, "its result");
  expect(result.split_count == 1 && result.splits[0] == 3, "rows from one rank");
  expect(!fdl_release(handle), "release");
  expect(!fdl_scatter(session, "s", values, 3, 1, FDL_FLOAT64, NULL, 0, &handle), "scatter");
  expect(!fdl_get_result(handle, &result) && result.bytes == sizeof values, "its result");
  expect(memcmp(values, result.data, sizeof values) == 0 && result.value == 0, "all rows");
  expect(!fdl_release(handle), "release");
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

/* Of one rank there is no set but that of all ranks, and a join waits for nobody. */
static void test_sets(fdl_session* session) {
  const int self = 0;
  int last = -1, ranks[2] = {-1, -1};
  uint32_t id = 9, ids[2] = {9, 9};
  size_t count = 0;
  fdl_handle* handle = NULL;
  fdl_result result = FDL_RESULT_INIT;
  expect(fdl_add_process_set(session, &self, 1, &id) == FDL_INVALID_ARGUMENT, "a second set");
  expect(strstr(fdl_last_error(), "ranks [0] are process set 0 already") != NULL, "says why");
  expect(id == 9, "nothing is written by a call that fails");
  expect(!fdl_add_process_set_async(session, &self, 1, &handle), "in the background");
  expect(fdl_wait(handle, 10) == FDL_INVALID_ARGUMENT, "likewise");
  expect(!fdl_release(handle), "release");
  expect(fdl_remove_process_set(session, 0) == FDL_INVALID_ARGUMENT, "removal of all ranks");
  expect(!fdl_remove_process_set_async(session, 1, &handle), "removal of none");
  expect(fdl_wait(handle, 10) == FDL_INVALID_ARGUMENT, "likewise");
  expect(!fdl_release(handle), "release");
  expect(!fdl_process_sets(session, ids, 2, &count) && count == 1 && ids[0] == 0, "sets");
  expect(ids[1] == 9, "no more is written than there is");
  expect(!fdl_process_set_ranks(session, 0, ranks, 2, &count) && count == 1, "ranks");
  expect(ranks[0] == 0 && ranks[1] == -1, "the only rank");
  expect(!fdl_join(session, 0, &last) && last == 0, "join");
  expect(!fdl_join_async(session, 0, &handle), "join in the background");
  expect(!fdl_get_result(handle, &result) || !fdl_wait(handle, 10), "its end");
  expect(!fdl_get_result(handle, &result) && result.value == 0, "the rank that joined last");
  expect(result.data == NULL && result.ndim == 0, "it has no memory");
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
    test_sets(session);
  }
  expect(!fdl_destroy(session), "destroy");
  return failures != 0;
}

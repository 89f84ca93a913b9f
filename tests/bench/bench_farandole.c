/* Allreduce through farandole.h: farandolerun -np 2 ./bench_farandole */
#include <farandole/farandole.h>

#include "bench.h"

typedef struct State {
  fdl_session* session;
  int count;
  float* tensors[kMaxTensors];
  size_t shapes[kMaxTensors];
  char names[kMaxTensors][16];
  fdl_handle* handles[kMaxTensors];
} State;

static void check(fdl_code code) {
  if (code == FDL_OK)
    return;
  fprintf(stderr, "%s\n", fdl_last_error());
  exit(1);
}

static void one(void* state) {
  State* s = state;
  check(fdl_allreduce(
      s->session,
      s->names[0],
      s->tensors[0],
      s->tensors[0],
      (int64_t)s->shapes[0],
      FDL_FLOAT32,
      FDL_SUM));
}

/* All tensors are submitted, one call each, then all are waited for. */
static void one_by_one(void* state) {
  State* s = state;
  for (int i = 0; i < s->count; ++i)
    check(fdl_allreduce_async(
        s->session,
        s->names[i],
        s->tensors[i],
        s->tensors[i],
        (int64_t)s->shapes[i],
        FDL_FLOAT32,
        FDL_SUM,
        &s->handles[i]));
  for (int i = 0; i < s->count; ++i) {
    check(fdl_wait(s->handles[i], -1));
    check(fdl_release(s->handles[i]));
  }
}

/* The same in one call. */
static void grouped(void* state) {
  State* s = state;
  static fdl_request requests[kMaxTensors];
  static int64_t shapes[kMaxTensors];
  for (int i = 0; i < s->count; ++i) {
    shapes[i] = (int64_t)s->shapes[i];
    requests[i] = (fdl_request)FDL_REQUEST_INIT;
    requests[i].name = s->names[i];
    requests[i].shape = &shapes[i];
    requests[i].ndim = 1;
    requests[i].in = requests[i].out = s->tensors[i];
  }
  check(fdl_submit(s->session, requests, (size_t)s->count, s->handles));
  for (int i = 0; i < s->count; ++i) {
    check(fdl_wait(s->handles[i], -1));
    check(fdl_release(s->handles[i]));
  }
}

static void sweep(State* s, const char* tag, int rank, int ranks) {
  for (int i = 0; i < kSizes; ++i) {
    if (!chosen(kSweep[i].bytes))
      continue;
    s->count = 1;
    s->shapes[0] = kSweep[i].bytes / sizeof(float);
    s->tensors[0] = floats(s->shapes[0], (float)(rank + 1));
    snprintf(s->names[0], sizeof s->names[0], "sweep.%d", i);
    one(s);
    verify(s->tensors[0], s->shapes[0], ranks);
    memset(s->tensors[0], 0, kSweep[i].bytes);
    timed(tag, rank, ranks, kSweep[i].bytes, scaled(kSweep[i].iterations), one, s);
    free(s->tensors[0]);
  }
}

static void workload(State* s, const char* tag, const char* mode, int rank, int ranks) {
  size_t elements = 0;
  s->count = load_shapes(mode, s->shapes);
  for (int i = 0; i < s->count; ++i) {
    elements += s->shapes[i];
    s->tensors[i] = floats(s->shapes[i], 0);
    snprintf(s->names[i], sizeof s->names[i], "grad.%d", i);
  }
  const int steps = atoi(setting("STEPS", "15"));
  char name[128];
  snprintf(name, sizeof name, "%s:%s:one-by-one", tag, mode);
  timed(name, rank, ranks, elements * sizeof(float), steps, one_by_one, s);
  snprintf(name, sizeof name, "%s:%s:grouped", tag, mode);
  timed(name, rank, ranks, elements * sizeof(float), steps, grouped, s);
  for (int i = 0; i < s->count; ++i) free(s->tensors[i]);
}

int main(void) {
  State* state = calloc(1, sizeof(State));
  if (!state)
    return 1;
  check(fdl_init(NULL, &state->session));
  const int rank = fdl_rank(state->session), ranks = fdl_size(state->session);
  const char* tag = setting("TAG", "farandole-c");
  const char* mode = setting("MODE", "sweep");
  if (strcmp(mode, "sweep") == 0)
    sweep(state, tag, rank, ranks);
  else
    workload(state, tag, mode, rank, ranks);
  check(fdl_destroy(state->session));
  free(state);
  return 0;
}

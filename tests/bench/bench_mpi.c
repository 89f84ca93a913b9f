/* The same allreduce through MPI: mpirun -np 2 ./bench_mpi */
#include <mpi.h>

#include "bench.h"

typedef struct State {
  int count;
  float* tensors[kMaxTensors];
  size_t shapes[kMaxTensors];
  MPI_Request requests[kMaxTensors];
} State;

static void one(void* state) {
  State* s = state;
  MPI_Allreduce(MPI_IN_PLACE, s->tensors[0], (int)s->shapes[0], MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void blocking(void* state) {
  State* s = state;
  for (int i = 0; i < s->count; ++i)
    MPI_Allreduce(
        MPI_IN_PLACE, s->tensors[i], (int)s->shapes[i], MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void nonblocking(void* state) {
  State* s = state;
  for (int i = 0; i < s->count; ++i)
    MPI_Iallreduce(
        MPI_IN_PLACE,
        s->tensors[i],
        (int)s->shapes[i],
        MPI_FLOAT,
        MPI_SUM,
        MPI_COMM_WORLD,
        &s->requests[i]);
  MPI_Waitall(s->count, s->requests, MPI_STATUSES_IGNORE);
}

static void sweep(State* s, const char* tag, int rank, int ranks) {
  for (int i = 0; i < kSizes; ++i) {
    if (!chosen(kSweep[i].bytes))
      continue;
    s->shapes[0] = kSweep[i].bytes / sizeof(float);
    s->tensors[0] = floats(s->shapes[0], (float)(rank + 1));
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
  }
  const int steps = atoi(setting("STEPS", "15"));
  char name[128];
  snprintf(name, sizeof name, "%s:%s:blocking", tag, mode);
  timed(name, rank, ranks, elements * sizeof(float), steps, blocking, s);
  snprintf(name, sizeof name, "%s:%s:nonblocking", tag, mode);
  timed(name, rank, ranks, elements * sizeof(float), steps, nonblocking, s);
  for (int i = 0; i < s->count; ++i) free(s->tensors[i]);
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  State* state = calloc(1, sizeof(State));
  if (!state)
    return 1;
  const char* tag = setting("TAG", "open-mpi");
  const char* mode = setting("MODE", "sweep");
  if (strcmp(mode, "sweep") == 0)
    sweep(state, tag, rank, ranks);
  else
    workload(state, tag, mode, rank, ranks);
  free(state);
  MPI_Finalize();
  return 0;
}

/* What the benchmark programs share: sizes, clock, statistics, workloads. Settings come from the
 * environment, so that one command line serves programs started by any launcher:
 *   TAG         name in the first column
 *   MODE        sweep (default), or a workload NAME whose element counts stand in
 * $SHAPES/NAME.shapes MINB, MAXB  smallest and largest size of a sweep, in bytes ITER_SCALE  factor
 * on the numbers of iterations;  STEPS  steps of a workload Lines on rank 0:
 * name,ranks,bytes,median_us,p99_us,min_us,max_us,iterations */
#ifndef FARANDOLE_TESTS_BENCH_BENCH_H
#define FARANDOLE_TESTS_BENCH_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kSizes = 9, kMaxTensors = 4096 };

typedef struct Size {
  size_t bytes;
  int iterations;
} Size;

static const Size kSweep[kSizes] = {
    {4, 2000},
    {1 << 10, 2000},
    {16 << 10, 1000},
    {256 << 10, 400},
    {1 << 20, 150},
    {4 << 20, 50},
    {16 << 20, 16},
    {64 << 20, 8},
    {256 << 20, 5}};

static inline const char* setting(const char* name, const char* fallback) {
  const char* value = getenv(name);
  return value ? value : fallback;
}

static inline double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static inline int chosen(size_t bytes) {
  return bytes >= strtoull(setting("MINB", "0"), NULL, 10) &&
         bytes <= strtoull(setting("MAXB", "1099511627776"), NULL, 10);
}

static inline int scaled(int iterations) {
  const int wanted = (int)(iterations * strtod(setting("ITER_SCALE", "1"), NULL));
  return wanted < 5 ? 5 : wanted;
}

static inline int by_value(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static inline void report(const char* name, int ranks, size_t bytes, double* times, int count) {
  qsort(times, (size_t)count, sizeof(double), by_value);
  const int p99 = (int)(count * 0.99);
  printf(
      "%s,%d,%zu,%.3f,%.3f,%.3f,%.3f,%d\n",
      name,
      ranks,
      bytes,
      times[count / 2],
      times[p99 < count ? p99 : count - 1],
      times[0],
      times[count - 1],
      count);
  fflush(stdout);
}

typedef void (*Step)(void* state);

/* Warms up, then times each call from the end of the one before; rank 0 reports. */
static inline void timed(
    const char* name, int rank, int ranks, size_t bytes, int iterations, Step step, void* state) {
  double* times = malloc((size_t)iterations * sizeof(double));
  if (!times)
    abort();
  for (int i = 0; i < (iterations / 5 > 2 ? iterations / 5 : 2); ++i) step(state);
  double before = now_us();
  for (int i = 0; i < iterations; ++i) {
    step(state);
    const double after = now_us();
    times[i] = after - before;
    before = after;
  }
  if (rank == 0)
    report(name, ranks, bytes, times, iterations);
  free(times);
}

/* Element counts of a workload, in the order of submission; returns how many. */
static inline int load_shapes(const char* workload, size_t* shapes) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.shapes", setting("SHAPES", "."), workload);
  FILE* file = fopen(path, "r");
  if (!file) {
    fprintf(stderr, "cannot open %s\n", path);
    exit(1);
  }
  int count = 0;
  while (count < kMaxTensors && fscanf(file, "%zu", &shapes[count]) == 1) ++count;
  fclose(file);
  return count;
}

static inline float* floats(size_t count, float value) {
  const size_t bytes = (count * sizeof(float) + 4095) / 4096 * 4096;
  float* memory = aligned_alloc(4096, bytes);
  if (!memory)
    abort();
  for (size_t i = 0; i < bytes / sizeof(float); ++i) memory[i] = value;
  return memory;
}

static inline void verify(const float* values, size_t count, int ranks) {
  const float expected = (float)ranks * (float)(ranks + 1) / 2;
  if (values[0] != expected || values[count - 1] != expected) {
    fprintf(stderr, "WRONG: %g and %g, not %g\n", values[0], values[count - 1], expected);
    exit(1);
  }
}

#endif

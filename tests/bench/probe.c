/* How far apart two cores are: nanoseconds that a value takes from one to the other when both spin.
 * Virtual machines move between cores that share a cache and cores that do not, and everything that
 * communicates changes with it; a measurement that does not say which is worth nothing. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "bench.h"

enum { kRounds = 20000 };

typedef struct Ping {
  _Alignas(128) atomic_int there;
  _Alignas(128) atomic_int back;
} Ping;

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    printf("-1\n"); /* fewer than two cores: nothing to tell apart */
    exit(0);
  }
}

static void* answer(void* state) {
  Ping* ping = state;
  pin(1);
  for (int i = 1; i <= kRounds; ++i) {
    while (atomic_load_explicit(&ping->there, memory_order_acquire) != i) {
    }
    atomic_store_explicit(&ping->back, i, memory_order_release);
  }
  return NULL;
}

int main(void) {
  static Ping ping;
  static double times[kRounds];
  pthread_t thread;
  if (pthread_create(&thread, NULL, answer, &ping) != 0)
    return 1;
  pin(0);
  for (int i = 1; i <= kRounds; ++i) {
    const double before = now_us();
    atomic_store_explicit(&ping.there, i, memory_order_release);
    while (atomic_load_explicit(&ping.back, memory_order_acquire) != i) {
    }
    times[i - 1] = (now_us() - before) * 500; /* one way, in ns */
  }
  pthread_join(thread, NULL);
  qsort(times, kRounds, sizeof(double), by_value);
  printf("%.0f\n", times[kRounds / 2]);
  return 0;
}

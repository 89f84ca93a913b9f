/* A rank as users write them, in a job that the tests attack: joins, then sums a vector again and
 * again until it is told to stop, and says how far it has come.
 *
 *   worker [held=R] [played=R] [floats=N]
 *
 * held: rank R joins when it gets SIGUSR1. played: rank R does nothing at all, because the test
 * plays its part, and ends by SIGUSR1. SIGUSR2 stops the job: the ranks agree on when. */
#include <farandole/farandole.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked = 0;

static void on_stop(int number) {
  (void)number;
  stop_asked = 1;
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The number behind "name=" among the arguments, or `otherwise`. */
static long argument(int argc, char** argv, const char* name, long otherwise) {
  const size_t length = strlen(name);
  for (int i = 1; i < argc; ++i)
    if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
      return strtol(argv[i] + length + 1, NULL, 10);
  return otherwise;
}

static void wait_for_release(void) {
  sigset_t release;
  int number = 0;
  sigemptyset(&release);
  sigaddset(&release, SIGUSR1);
  printf("waits\n");
  fflush(stdout);
  sigwait(&release, &number);
}

static int failed(const char* what, fdl_code code) {
  printf(
      "%s: %s culprit %d: %s\n",
      what,
      fdl_code_name(code),
      fdl_last_error_rank(),
      fdl_last_error());
  fflush(stdout);
  return 0; /* the other ranks shall say what they see, and not be ended by the launcher */
}

static int work(fdl_session* session, float* values, size_t count) {
  const float n = (float)fdl_size(session);
  double told = 0;
  for (long steps = 1;; ++steps) {
    for (size_t i = 0; i < count; ++i) values[i] = 1 + (float)fdl_rank(session);
    values[0] = stop_asked ? 1 : 0;
    const fdl_code code = fdl_allreduce(session, "t", values, values, count, FDL_FLOAT32, FDL_SUM);
    if (code != FDL_OK)
      return failed("error", code);
    if (values[1] != n * (n + 1) / 2 || values[count - 1] != values[1]) {
      printf("wrong sum %g\n", (double)values[1]);
      return 1;
    }
    const double now = seconds_now();
    if (values[0] > 0 || now - told > 0.02) {
      printf("at %.6f steps %ld\n", now, steps);
      fflush(stdout);
      told = now;
    }
    if (values[0] > 0)
      return 0;
  }
}

int main(int argc, char** argv) {
  const char* const place = getenv("FARANDOLE_RANK");
  const long rank = place ? strtol(place, NULL, 10) : 0;
  const size_t count = (size_t)argument(argc, argv, "floats", 4096);
  sigset_t release;
  sigemptyset(&release);
  sigaddset(&release, SIGUSR1);
  sigprocmask(SIG_BLOCK, &release, NULL);
  signal(SIGUSR2, on_stop);
  printf("process %d\n", (int)getpid());
  fflush(stdout);
  if (rank == argument(argc, argv, "played", -1)) {
    wait_for_release();
    return 0;
  }
  if (rank == argument(argc, argv, "held", -1))
    wait_for_release();
  fdl_session* session = NULL;
  const fdl_code code = fdl_init(NULL, &session);
  if (code != FDL_OK)
    return failed("not started", code);
  printf("ready\n");
  fflush(stdout);
  float* const values = malloc(count * sizeof(float));
  const int status = values ? work(session, values, count) : 1;
  free(values);
  fdl_destroy(session);
  printf("done\n");
  return status;
}

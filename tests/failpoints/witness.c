// Preloaded into every process of a job: one that ends by a fault of its own leaves a file in the
// folder FAILPOINT_WITNESS, named after its rank, or "job", and the signal. Of a process whose
// standard error goes nowhere and whose parent is gone, nothing else would tell it.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FAULTS 8
static const int kFaults[FAULTS] = {
    SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPIPE, SIGSEGV, SIGSYS, SIGTRAP};
static char files[FAULTS][4096];

// The handler is gone by now, so that the signal ends the process after all.
static void tell(int number) {
  for (int i = 0; i < FAULTS; ++i) {
    const int file =
        kFaults[i] == number ? open(files[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
    if (file >= 0)
      close(file);
  }
  raise(number);
}

__attribute__((constructor)) static void watch(void) {
  const char* const folder = getenv("FAILPOINT_WITNESS");
  const char* const rank = getenv("FARANDOLE_RANK");
  if (!folder)
    return;
  struct sigaction action = {.sa_handler = tell, .sa_flags = SA_RESETHAND | SA_NODEFER};
  for (int i = 0; i < FAULTS; ++i) {
    snprintf(files[i], sizeof files[i], "%s/%s.%d", folder, rank ? rank : "job", kFaults[i]);
    sigaction(kFaults[i], &action, NULL);
  }
}

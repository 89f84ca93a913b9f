#pragma once
// RealJob: a job of programs/worker.c under farandolerun, with what an attacker can find out about
// it and what a rank of it knows.

#include <string>
#include <vector>

#include "core/base/config.h"
#include "core/base/secret.h"
#include "core/net/endpoint.h"
#include "tests/launch/job_process.h"

namespace farandole::hostile {

// A sanitizer keeps freed memory back, takes signals for itself and maps terabytes.
#ifdef FARANDOLE_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// What the environment of a rank tells a process of the same user.
struct JobFacts {
  Config config;  // of rank 0
  Secret secret;
  net::Endpoint controller;
  std::string secret_path;
};

// Log lines of the library in what a job printed.
size_t log_lines(const std::string& output);

class RealJob {
 public:
  struct Setup {
    int ranks = 2;
    std::vector<std::string> options;    // of the launcher
    std::vector<std::string> arguments;  // of the worker
    std::map<std::string, std::string> environment;
    std::vector<std::string> wrapper;  // stands before the program
    std::string folder;  // where launcher and worker lie, if not where they were built
    uid_t user = 0;      // who starts it, if not who runs the test
  };
  // All processes have been started; what they wait for is up to the arguments.
  explicit RealJob(const Setup& setup);

  launch::JobProcess& launcher() { return job_; }
  pid_t pid_of(int rank) const { return pids_[static_cast<size_t>(rank)]; }
  const JobFacts& facts() const { return facts_; }
  const std::string& out() const { return job_.out(); }
  // Waits for rank `rank` to print a line that begins with `text`.
  bool wait_for(int rank, const std::string& text);
  // The first line of a rank that begins with `text`, without the prefix; "" if there is none.
  std::string line(int rank, const std::string& text) const;
  void release(int rank) const;
  // Tells all ranks to stop and waits for the end.
  launch::JobResult stop();
  // Waits until rank 0 listens at the controller's address. Requires: rank 1 has not joined.
  bool wait_for_listener() const;

 private:
  launch::JobProcess job_;
  std::vector<pid_t> pids_;
  JobFacts facts_;
};

// Resident memory of a process, in bytes.
size_t resident_bytes(pid_t pid);
// Sockets on which a process listens: TCP ("127.0.0.1:80" in the kernel's hexadecimal) and Unix.
std::vector<std::string> listening_sockets(pid_t pid);

}  // namespace farandole::hostile

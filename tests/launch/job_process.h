#pragma once
// A farandolerun under test: started, fed, watched and, whatever happens, cleared away.

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "controller/launch/fd.h"
#include "core/base/clock.h"

namespace farandole::launch {

// Generous: a loaded machine may be slow, a right launcher is never late for another reason.
inline constexpr Duration kPatience = std::chrono::seconds(60);

struct JobResult {
  int exit_code = -1;  // 128 + signal where one ended it; -1: did not end in time
  std::string out;
  std::string err;
};

class JobProcess {
 public:
  struct Setup {
    std::map<std::string, std::string> environment;  // beside the test's own
    bool keep_input = false;                         // stdin stays open until close_input()
    std::string launcher = FARANDOLERUN;             // the program to start
    uid_t user = 0;                                  // who starts it, where the test runs as root
  };
  explicit JobProcess(const std::vector<std::string>& arguments) : JobProcess(arguments, Setup{}) {}
  JobProcess(const std::vector<std::string>& arguments, const Setup& setup);
  ~JobProcess();
  JobProcess(const JobProcess&) = delete;
  JobProcess& operator=(const JobProcess&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }
  void write_input(const std::string& text);
  void close_input() { input_.reset(); }
  void close_output() { output_.reset(); }
  void kill(int number) const;

  // Reads until both streams together hold `text` so many times. False after kPatience.
  bool wait_for(const std::string& text, int times = 1);
  // Reads to the end of both streams and waits for the launcher.
  JobResult wait();
  // Waits for the launcher to be stopped. False where it ends instead.
  bool wait_for_stop() const;

  // Every live process that has this job's mark in its environment: nothing can slip away from it.
  std::vector<pid_t> processes() const;
  // Of those the ones that the kernel calls `name` ("fdl-agent", "fdl-keeper-0").
  std::vector<pid_t> named(const std::string& name) const;
  // Waits until none is left. Returns those that are, after `time`.
  std::vector<pid_t> left_after(Duration time) const;

 private:
  [[noreturn]] void become(
      const std::vector<std::string>& arguments, const Setup& setup, int in, int out, int err);
  bool read_more(TimePoint deadline);

  std::string mark_;
  pid_t pid_ = -1;
  bool reaped_ = false;
  UniqueFd input_;
  UniqueFd output_;
  UniqueFd error_;
  std::string out_;
  std::string err_;
};

// Runs a job to its end.
JobResult run_job(const std::vector<std::string>& arguments, const JobProcess::Setup& setup = {});

// Path of a program of tests/launch/programs.
std::string program(const std::string& name);

// Content of a file of /proc, zeros as line breaks.
std::string read_proc(pid_t pid, const std::string& name);

// The next `size` bytes of a descriptor that does not block; fewer after kPatience.
std::string read_bytes(int fd, size_t size);

size_t count_of(const std::string& text, const std::string& part);

}  // namespace farandole::launch

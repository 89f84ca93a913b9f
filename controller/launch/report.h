#pragma once
// The last words of a job: exit code and the lines that explain it.

#include <string>
#include <vector>

#include "controller/launch/line_assembler.h"
#include "controller/launch/supervisor.h"

namespace farandole::launch {

inline constexpr int kTimeoutExit = 124;  // as timeout(1)
inline constexpr int kUsageExit = 2;

// 128 + the signal that ended a process, or its exit code.
int exit_code_of_status(int wait_status);
int exit_code_of(const Outcome& outcome);

// Whether a rank says so that it fails because of another one: by the name of the exception, or, as
// programs in C do, by our text of the error.
bool tells_of_a_lost_peer(const std::string& line);

struct ReportContext {
  std::string host;  // of the rank, or of the agent, that failed
  std::string program;
  std::vector<int> running;  // when the end began
  Duration timeout{};
  std::string connection = {};  // what ssh said when it was lost
};

// Empty after success, else lines of which the last one says it all.
std::string final_report(const Outcome& outcome, const ReportContext& context, const Tail& tail);

}  // namespace farandole::launch

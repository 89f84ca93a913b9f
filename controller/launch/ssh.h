#pragma once
// ssh as a program: how it is called, and what it means when it ends without an outpost.

#include <string>
#include <string_view>
#include <vector>

namespace farandole::launch {

struct SshOptions {
  std::string port;      // "" for what ssh is configured to
  std::string identity;  // file with the private key; "" likewise
};

// How long ssh tries to reach a host, and how long a connection may be silent before it is lost.
inline constexpr int kSshConnectSeconds = 10;
inline constexpr int kSshAliveSeconds = 5;
inline constexpr int kSshAliveTimes = 3;

// The word for which `farandolerun` is an outpost and nothing else.
inline constexpr const char* kOutpostFlag = "--outpost";

// The command line of ssh. What runs on the host is the same for every job: the launcher's own
// program, `own`, or where it is not there the farandolerun of that host's PATH. `host` as in -H.
std::vector<std::string> ssh_command(
    const SshOptions& options, const std::string& host, const std::string& own);

// Why there is no outpost on `host`, and what would help: of ssh's wait status and its stderr.
std::string ssh_failure(
    const std::string& host, int wait_status, std::string_view errors, const std::string& own);

// The last line of `text` that says something, made safe to show; "" where none does.
std::string last_line_of(std::string_view text);

}  // namespace farandole::launch

#include "controller/launch/ssh.h"

#include <sys/wait.h>

#include <array>

#include "controller/launch/signals.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr size_t kShown = 300;

// A word that every shell takes as it is.
std::string quoted(std::string_view word) {
  std::string text = "'";
  for (const char ch : word) text += ch == '\'' ? std::string("'\\''") : std::string(1, ch);
  return text + "'";
}

// "[::1]" is "::1" to ssh.
std::string without_brackets(const std::string& host) {
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

// What ssh says, what that means, and what to do.
struct Symptom {
  const char* sign;
  const char* meaning;  // {0}: the host, {1}: ssh's own words
};

constexpr std::array<Symptom, 12> kSymptoms{{
    {"REMOTE HOST IDENTIFICATION HAS CHANGED",
     "host {0} has another host key than the one that is known here: it was set up anew, or it is "
     "not the one it says it is; where that is right, forget the old key with ssh-keygen -R {0} "
     "and confirm the new one with ssh {0} true"},
    {"Host key verification failed",
     "the host key of {0} is not known here; confirm it once with ssh {0} true"},
    {"Could not resolve hostname",
     "the name of host {0} does not resolve; correct it, or give its address"},
    {"Permission denied (",
     "host {0} refuses the key; allow it with ssh-copy-id {0}, or name another one with "
     "--ssh-identity-file"},
    {"Too many authentication failures",
     "host {0} refuses the keys; name the right one with --ssh-identity-file"},
    {"UNPROTECTED PRIVATE KEY FILE",
     "ssh does not use the key, because others may read its file; chmod 600 it"},
    {"Connection refused",
     "nothing takes ssh connections on host {0} ({1}); start sshd there, or give its port with "
     "--ssh-port"},
    {"timed out", "host {0} does not answer ({1}); is it up, and does a firewall let ssh through?"},
    {"No route to host", "host {0} cannot be reached ({1}); is it up, and in this network?"},
    {"Network is unreachable", "host {0} cannot be reached ({1}); is it in this network?"},
    {"Connection reset by", "host {0} broke the ssh connection off ({1}); its sshd's log says why"},
    {"Connection closed by",
     "host {0} closed the ssh connection before anybody was logged in ({1}); its sshd's log says "
     "why"},
}};

}  // namespace

std::vector<std::string> ssh_command(
    const SshOptions& options, const std::string& host, const std::string& own) {
  std::vector<std::string> command{
      "ssh",
      "-T",
      "-o",
      "BatchMode=yes",
      "-o",
      fmt::format("ConnectTimeout={}", kSshConnectSeconds),
      "-o",
      fmt::format("ServerAliveInterval={}", kSshAliveSeconds),
      "-o",
      fmt::format("ServerAliveCountMax={}", kSshAliveTimes),
      "-o",
      "ClearAllForwardings=yes",
      "-o",
      "ForwardX11=no"};
  if (!options.port.empty())
    command.insert(command.end(), {"-p", options.port});
  if (!options.identity.empty())
    command.insert(command.end(), {"-i", options.identity});
  // Whatever the login shell is, it starts sh with two words; sh replaces itself.
  const std::string script =
      fmt::format("test -x \"$0\" && exec \"$0\" {0}; exec farandolerun {0}", kOutpostFlag);
  command.insert(
      command.end(),
      {"--", without_brackets(host), fmt::format("exec sh -c {} {}", quoted(script), quoted(own))});
  return command;
}

std::string last_line_of(std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find_last_not_of(" \t\r\n");
    if (end == std::string_view::npos)
      break;
    text = text.substr(0, end + 1);
    const size_t begin = text.rfind('\n') + 1;
    return printable(text.substr(begin), kShown);
  }
  return "";
}

std::string ssh_failure(
    const std::string& host, int wait_status, std::string_view errors, const std::string& own) {
  const std::string last = last_line_of(errors);
  for (const Symptom& symptom : kSymptoms) {
    if (errors.find(symptom.sign) != std::string_view::npos)
      return fmt::format(fmt::runtime(symptom.meaning), host, last);
  }
  const int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
  if (code == kNotFound || code == kNotExecutable)
    return fmt::format(
        "host {} has no farandolerun: neither {} nor one in the PATH of programs that ssh starts; "
        "install Farandole there at the same place",
        host,
        printable(own, kShown));
  const std::string how = WIFSIGNALED(wait_status) ? signal_name(WTERMSIG(wait_status))
                                                   : fmt::format("exit code {}", code);
  return fmt::format(
      "ssh to host {} ended with {}{}{}; try ssh {} true",
      host,
      how,
      last.empty() ? "" : ": ",
      last,
      host);
}

}  // namespace farandole::launch

#include "tests/hostile/real_job.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/hostile/rank_client.h"

namespace farandole::hostile {
namespace {

constexpr const char* kListening = "0A";  // TCP_LISTEN, in /proc/net/tcp

std::vector<std::string> command(const RealJob::Setup& setup) {
  std::vector<std::string> words{"-np", fmt::format("{}", setup.ranks)};
  words.insert(words.end(), setup.options.begin(), setup.options.end());
  words.insert(words.end(), setup.wrapper.begin(), setup.wrapper.end());
  words.push_back(setup.folder.empty() ? WORKER : setup.folder + "/worker");
  words.insert(words.end(), setup.arguments.begin(), setup.arguments.end());
  return words;
}

launch::JobProcess::Setup process(const RealJob::Setup& setup) {
  launch::JobProcess::Setup process{.environment = setup.environment, .user = setup.user};
  if (!setup.folder.empty())
    process.launcher = setup.folder + "/farandolerun";
  return process;
}

std::optional<std::string> variable(const std::string& environment, const std::string& name) {
  std::istringstream lines(environment);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + "="))
      return line.substr(name.size() + 1);
  return std::nullopt;
}

JobFacts facts_of(pid_t rank_zero) {
  const std::string environment = launch::read_proc(rank_zero, "environ");
  JobFacts facts;
  facts.config =
      Config::from([&](const std::string& name) { return variable(environment, name); }).value();
  facts.secret_path = facts.config.secret_file;
  facts.secret = Secret::from_file(facts.secret_path).value();
  facts.controller = net::Endpoint::parse(facts.config.controller).value();
  return facts;
}

// Inode numbers of the sockets that a process holds.
std::set<std::string> sockets_of(pid_t pid) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.starts_with("socket:["))
      found.insert(target.substr(8, target.size() - 9));
  }
  return found;
}

}  // namespace

size_t log_lines(const std::string& output) {
  return launch::count_of(output, "] warning: ") + launch::count_of(output, "] error: ");
}

RealJob::RealJob(const Setup& setup) : job_(command(setup), process(setup)) {
  for (int rank = 0; rank < setup.ranks; ++rank) {
    if (!wait_for(rank, "process "))
      throw std::runtime_error("a rank did not start: " + job_.out() + job_.err());
    pids_.push_back(std::stoi(line(rank, "process ").substr(8)));
  }
  facts_ = facts_of(pids_[0]);
}

bool RealJob::wait_for(int rank, const std::string& text) {
  return job_.wait_for(fmt::format("[{}] {}", rank, text));
}

std::string RealJob::line(int rank, const std::string& text) const {
  const std::string prefix = fmt::format("[{}] ", rank);
  const size_t at = job_.out().find(prefix + text);
  if (at == std::string::npos)
    return "";
  const size_t begin = at + prefix.size();
  return job_.out().substr(begin, job_.out().find('\n', begin) - begin);
}

void RealJob::release(int rank) const {
  kill(pid_of(rank), SIGUSR1);
}

launch::JobResult RealJob::stop() {
  for (const pid_t pid : pids_) kill(pid, SIGUSR2);
  return job_.wait();
}

bool RealJob::wait_for_listener() const {
  // A rank that proves itself and goes is none that has joined, and worth no line in the log.
  // Of a process of its own: no later one is to be taken for its continuation.
  net::ConnectSpec spec{facts_.controller, client_params(facts_, 1), launch::kPatience};
  spec.client.hello.incarnation = 1;
  return net::connect_to(spec, steady_now() + launch::kPatience).status().is_ok();
}

size_t resident_bytes(pid_t pid) {
  std::istringstream statm(launch::read_proc(pid, "statm"));
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

std::vector<std::string> listening_sockets(pid_t pid) {
  std::vector<std::string> found;
  const std::set<std::string> own = sockets_of(pid);
  for (const char* table : {"net/tcp", "net/tcp6"}) {
    std::istringstream lines(launch::read_proc(pid, table));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream fields(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
          timeout >> inode;
      if (state == kListening && own.contains(inode))
        found.push_back(local);
    }
  }
  std::istringstream lines(launch::read_proc(pid, "net/unix"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string number, references, protocol, flags, type, state, inode, path;
    fields >> number >> references >> protocol >> flags >> type >> state >> inode >> path;
    if (flags == "00010000" && own.contains(inode))
      found.push_back(path);
  }
  return found;
}

}  // namespace farandole::hostile

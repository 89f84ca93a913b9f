// Where the job's secret is, and where it is not: in no argument, environment, log or file, nowhere
// that another user can read, and in no core dump, nor are the keys that are made of it.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/net/mac.h"
#include "tests/hostile/memory_scan.h"
#include "tests/hostile/nobody.h"
#include "tests/hostile/rank_client.h"

// The low-level interface of the hash tells the states that a key leads to.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace farandole::hostile {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr uid_t kSomebody = 65533;  // who runs the job where the test runs as root

// A folder that every user can enter, gone with its owner.
class OpenFolder {
 public:
  OpenFolder() {
    char name[] = "/tmp/fdl-hostile-XXXXXX";
    path_ = mkdtemp(name);
    fs::permissions(path_, fs::perms(0755));
  }
  ~OpenFolder() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Launcher, worker and library where a user who cannot enter this tree finds them.
void install_into(const std::string& folder) {
  fs::copy_file(FARANDOLERUN, folder + "/farandolerun");
  fs::copy_file(WORKER, folder + "/worker");
  fs::copy_file(fs::canonical(LIBRARY), folder + "/" + fs::path(LIBRARY_NAME).filename().string());
}

// Names of the files below /proc/PID that this user can read and that hold one of `needles`, and of
// those that a stranger should not be able to open at all, but can.
std::string readable_leaks(pid_t pid, const std::vector<std::string>& needles) {
  std::string leaks;
  const std::string root = fmt::format("/proc/{}", pid);
  for (const char* closed :
       {"environ", "mem", "maps", "smaps", "auxv", "fd", "fdinfo", "map_files"})
    if (open((root + "/" + closed).c_str(), O_RDONLY | O_CLOEXEC) >= 0)
      leaks += root + "/" + closed + " is open to others\n";
  std::vector<std::string> folders{root};
  while (!folders.empty()) {
    const std::string folder = folders.back();
    folders.pop_back();
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      const std::string path = entry.path().string();
      if (entry.is_symlink(ignored))
        continue;
      if (entry.is_directory(ignored)) {
        folders.push_back(path);
        continue;
      }
      const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      std::string text(1 << 20, '\0');
      const ssize_t got = file ? read(file.get(), text.data(), text.size()) : 0;
      text.resize(got > 0 ? static_cast<size_t>(got) : 0);
      for (const std::string& needle : needles)
        if (text.find(needle) != std::string::npos)
          leaks += path + " holds the secret\n";
    }
  }
  return leaks;
}

// What a stranger gets by asking the kernel for another process's memory or descriptors.
std::string reach_into(pid_t pid, int descriptor) {
  std::string reached;
  if (ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0)
    reached += fmt::format("ptrace of {}\n", pid);
  char byte = 0;
  iovec here{&byte, 1}, there{reinterpret_cast<void*>(0x400000), 1};
  errno = 0;
  if (process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0 || errno != EPERM)
    reached += fmt::format("process_vm_readv of {}: errno {}\n", pid, errno);
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (syscall(SYS_pidfd_getfd, pidfd, descriptor, 0) >= 0)
    reached += fmt::format("pidfd_getfd of {}\n", pid);
  if (kill(pid, 0) == 0)
    reached += fmt::format("kill of {}\n", pid);
  return reached;
}

std::string take_port(const net::Endpoint& at) {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const net::SocketAddress address = net::resolve(at).value().front();
  return bind(fd.get(), address.get(), address.size) == 0 ? "shares the controller's port\n" : "";
}

size_t files_of(uid_t user, const char* folder) {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    struct stat info {};
    count += lstat(entry.path().c_str(), &info) == 0 && info.st_uid == user;
  }
  return count;
}

TEST(SecretLeak, NobodyFindsTheSecretOfARunningJob) {
  if (!can_be_nobody())
    GTEST_SKIP() << "only root can try it as another user";
  const OpenFolder folder;
  install_into(folder.path());
  const size_t temporary = files_of(kSomebody, "/tmp") + files_of(kSomebody, "/dev/shm");
  RealJob job(
      {.environment = {{"LD_LIBRARY_PATH", folder.path()}},
       .folder = folder.path(),
       .user = kSomebody});
  ASSERT_TRUE(job.wait_for(0, "at ")) << job.out() << job.launcher().err();
  ASSERT_TRUE(job.wait_for(1, "at "));
  const std::vector<std::string> needles = spellings(job.facts().secret.bytes());
  const std::vector<pid_t> processes = job.launcher().processes();
  EXPECT_EQ(processes.size(), 6U) << "launcher, agent, two keepers, two ranks";
  for (const pid_t pid : processes) {
    // What stands where the owner and root can read it.
    for (const char* file : {"cmdline", "environ"})
      for (const std::string& needle : needles)
        EXPECT_EQ(launch::read_proc(pid, file).find(needle), std::string::npos) << file;
    EXPECT_EQ(as_nobody([&] { return readable_leaks(pid, needles); }), "");
    EXPECT_EQ(as_nobody([&] { return reach_into(pid, 3); }), "");
  }
  EXPECT_EQ(as_nobody([&] { return take_port(job.facts().controller); }), "");
  EXPECT_EQ(
      as_nobody([&]() -> std::string {
        return Secret::from_file(job.facts().secret_path) ? "reads the secret's file" : "";
      }),
      "");
  EXPECT_EQ(files_of(kSomebody, "/tmp") + files_of(kSomebody, "/dev/shm"), temporary);
  const launch::JobResult result = job.stop();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const std::string& needle : needles)
    EXPECT_EQ((result.out + result.err).find(needle), std::string::npos);
}

// That the search of the test above finds what is there to be found.
TEST(SecretLeak, TheSearchFindsWhatIsReadable) {
  const std::string secret = "0123456789abcdef0123456789abcdef";
  RealJob job({.arguments = {"played=0", "held=1", "decoy=" + secret}});
  const std::string leaks = readable_leaks(job.pid_of(0), {secret});
  EXPECT_THAT(leaks, HasSubstr("/cmdline holds the secret"));
  EXPECT_THAT(leaks, HasSubstr("/environ is open to others")) << "to its own user";
}

// The 32 bytes of `state`'s chaining value as they lie in memory.
Bytes chaining_value(const SHA256_CTX& state) {
  const auto* begin = reinterpret_cast<const uint8_t*>(state.h);
  return Bytes(begin, begin + sizeof(state.h));
}

// What the hash holds once it has taken the key: as good as the key itself.
Bytes keyed_state(ByteSpan key, uint8_t pad) {
  Bytes block(key.begin(), key.end());
  block.resize(SHA256_CBLOCK);
  for (uint8_t& byte : block) byte ^= pad;
  SHA256_CTX state;
  SHA256_Init(&state);
  SHA256_Update(&state, block.data(), block.size());
  return chaining_value(state);
}

struct Hidden {
  const char* name;
  Bytes bytes;
};

std::vector<Hidden> hidden_of(const JobFacts& facts, const RankClient& rank) {
  const auto copy = [](ByteSpan bytes) { return Bytes(bytes.begin(), bytes.end()); };
  const Secret proof = net::hkdf(
      facts.secret, net::as_bytes("farandole"), net::as_bytes("handshake proofs, version 1"));
  return {
      {"the secret", copy(facts.secret.bytes())},
      {"the key of proofs", copy(proof.bytes())},
      {"the key of rank 1's frames", copy(rank.keys().send.bytes())},
      {"the key of rank 0's frames", copy(rank.keys().receive.bytes())},
      {"the inner state of rank 1's key", keyed_state(rank.keys().send.bytes(), 0x36)},
      {"the outer state of rank 0's key", keyed_state(rank.keys().receive.bytes(), 0x5C)}};
}

// In all that launcher and ranks say when they say all they can: neither the secret nor a key made
// of it. Ranks 0 and 1 are real, rank 2 is played.
TEST(SecretLeak, TheMostTalkativeLogHoldsNeitherSecretNorKeys) {
  RealJob job(
      {.ranks = 3,
       .options = {"--verbose"},
       .arguments = {"played=2"},
       .environment = {{"FARANDOLE_HEARTBEAT_TIMEOUT", "60"}, {"FARANDOLE_LOG_LEVEL", "trace"}}});
  std::optional<RankClient> rank(std::in_place, job.facts(), 2);
  ASSERT_TRUE(rank->join());
  ASSERT_TRUE(job.wait_for(0, "ready"));
  ASSERT_TRUE(job.wait_for(1, "ready"));
  const std::vector<Hidden> all = hidden_of(job.facts(), *rank);
  rank->send(control::Announce{{tensor_of_worker()}, {}});
  for (auto told = rank->receive(); told && !std::holds_alternative<control::Round>(*told);)
    told = rank->receive();
  rank.reset();  // in the middle of a collective
  job.release(2);
  const launch::JobResult result = job.launcher().wait();
  const std::string said = result.out + result.err;
  EXPECT_THAT(said, HasSubstr("] trace: ")) << "the ranks say all they can";
  EXPECT_THAT(said, HasSubstr("farandolerun: ")) << "and so does the launcher";
  for (const Hidden& hidden : all)
    for (const std::string& needle : spellings(hidden.bytes))
      EXPECT_EQ(said.find(needle), std::string::npos) << hidden.name;
}

TEST(SecretLeak, MemoryThatCoreDumpsHoldIsFreeOfSecretAndKeys) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer's own tables, which are gigabytes, would be searched";
#endif
  RealJob job({.arguments = {"played=1"}, .environment = {{"FARANDOLE_HEARTBEAT_TIMEOUT", "60"}}});
  RankClient rank(job.facts(), 1);
  ASSERT_TRUE(rank.join());
  ASSERT_TRUE(job.wait_for(0, "ready"));
  const std::vector<Hidden> all = hidden_of(job.facts(), rank);
  for (const pid_t pid : job.launcher().processes()) {
    for (const Hidden& hidden : all) {
      const Found found = find_in_memory(pid, hidden.bytes);
      EXPECT_EQ(found.dumped, 0U) << hidden.name << " in " << launch::read_proc(pid, "comm")
                                  << found.first_dumped;
    }
  }
  // The search looks in the right places: what rank 0 needs it has, on pages that are left out.
  const pid_t zero = job.pid_of(0);
  EXPECT_GT(find_in_memory(zero, all[0].bytes).left_out, 0U);
  EXPECT_GT(find_in_memory(zero, all[4].bytes).left_out, 0U);
  EXPECT_GT(find_in_memory(zero, all[5].bytes).left_out, 0U);
  // Of the keys themselves nothing is kept.
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(find_in_memory(zero, all[i].bytes).left_out, 0U) << i;
  EXPECT_GT(find_in_memory(zero, net::as_bytes(job.facts().config.job)).dumped, 0U);
  job.release(1);
}

TEST(SecretLeak, ACoreFileHoldsNeitherSecretNorKeys) {
  const std::string pattern = [] {
    std::ifstream file("/proc/sys/kernel/core_pattern");
    std::string line;
    std::getline(file, line);
    return line;
  }();
  rlimit limit{};
  getrlimit(RLIMIT_CORE, &limit);
  if (kSanitized)
    GTEST_SKIP() << "a sanitizer takes the signal and leaves no core";
  if (pattern.empty() || pattern[0] == '|' || pattern[0] == '/' || limit.rlim_max == 0)
    GTEST_SKIP() << "core dumps go elsewhere here: core_pattern is \"" << pattern << "\"";
  const OpenFolder folder;
  RealJob job(
      {.arguments = {"played=1"},
       .environment = {{"FARANDOLE_HEARTBEAT_TIMEOUT", "60"}, {"CORES", folder.path()}},
       .wrapper = {
           "sh", "-c", "ulimit -c $(ulimit -H -c) && cd \"$CORES\" && exec \"$0\" \"$@\""}});
  RankClient rank(job.facts(), 1);
  ASSERT_TRUE(rank.join());
  ASSERT_TRUE(job.wait_for(0, "ready"));
  const std::vector<Hidden> all = hidden_of(job.facts(), rank);
  kill(job.pid_of(0), SIGSEGV);
  EXPECT_EQ(job.launcher().wait().exit_code, 128 + SIGSEGV);
  size_t cores = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    ++cores;
    const std::string path = entry.path().string();
    for (const Hidden& hidden : all)
      EXPECT_EQ(count_in_file(path, hidden.bytes), 0U) << hidden.name;
    EXPECT_GT(count_in_file(path, net::as_bytes(job.facts().config.job)), 0U) << "it is whole";
  }
  EXPECT_EQ(cores, 1U);
}

}  // namespace
}  // namespace farandole::hostile

// A member that is killed in the middle of any algorithm: the others learn of it at once, blame the
// right one, and are not killed by SIGPIPE, whose disposition is the default.
#include <fcntl.h>
#include <gloo/common/error.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/gloo/algorithms.h"
#include "tests/gloo/group.h"
#include "tests/gloo/tcp_pair.h"
#include "tests/support/scheduling_delay.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;

// What a survivor reports through its pipe, in one piece.
struct Report {
  int64_t noticed_at;
  int64_t delay;  // of its thread, since that began
  int code;
  int culprit;
};

struct Case {
  size_t bytes;
  int members;
};

// Runs in the child: loops until the mesh fails. The first byte says that one round is done.
void survive(const Algorithm& algorithm, gloo_transport::Mesh* raw, size_t bytes, int report_fd) {
  std::shared_ptr<gloo_transport::Mesh> mesh(raw);
  auto context = std::make_shared<gloo_transport::GroupContext>(mesh);
  Report report{};
  try {
    const auto part = algorithm.make(context, bytes / sizeof(float));
    for (bool first = true;; first = false) {
      part->run();
      if (first && ::write(report_fd, "1", 1) != 1)
        _exit(3);
    }
  } catch (const ::gloo::IoException&) {
    report.noticed_at = steady_now().time_since_epoch().count();
    report.delay = own_scheduling_delay().count();
  }
  report.code = static_cast<int>(mesh->status().code());
  report.culprit = mesh->status().culprit();
  if (::write(report_fd, &report, sizeof report) != sizeof report)
    _exit(4);
}

// A forked child keeps no socket that its parent made (fork_closed.h); a duplicate is none of them.
std::vector<std::vector<UniqueFd>> mesh_for_children(int members) {
  auto sockets = tcp_mesh(static_cast<size_t>(members));
  for (auto& row : sockets)
    for (UniqueFd& fd : row)
      if (fd)
        fd = UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  return sockets;
}

class Processes {
 public:
  Processes(const Algorithm& algorithm, const Case& where) {
    auto sockets = mesh_for_children(where.members);
    for (int member = 0; member < where.members; ++member) {
      int ends[2];
      if (::pipe2(ends, O_CLOEXEC) != 0)
        std::abort();
      const pid_t child = ::fork();
      if (child == 0) {
        ::signal(SIGPIPE, SIG_DFL);
        std::vector<UniqueFd> mine = std::move(sockets[static_cast<size_t>(member)]);
        sockets.clear();
        gloo_transport::MeshOptions options{
            member, group_spec(member, where.members).members, Config{}.data_timeout};
        auto mesh = gloo_transport::Mesh::make(std::move(options), std::move(mine));
        if (!mesh)
          _exit(2);
        survive(algorithm, std::move(mesh).value().release(), where.bytes, ends[1]);
        _exit(0);
      }
      children_.push_back(child);
      pipes_.emplace_back(ends[0]);
      ::close(ends[1]);
    }
  }

  ~Processes() {
    for (const pid_t child : children_)
      if (child > 0) {
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
      }
  }

  bool read(size_t member, void* to, size_t bytes) {
    return ::read(pipes_[member].get(), to, bytes) == static_cast<ssize_t>(bytes);
  }

  // What its one thread had to wait for a core; also once it is dead.
  Duration delay(size_t member) const {
    return scheduling_delay(children_[member], children_[member]);
  }
  void kill(size_t member) { ::kill(children_[member], SIGKILL); }

  int wait(size_t member) {
    int status = -1;
    ::waitpid(std::exchange(children_[member], -1), &status, 0);
    return status;
  }

 private:
  std::vector<pid_t> children_;
  std::vector<UniqueFd> pipes_;
};

class KillTest : public ::testing::TestWithParam<std::tuple<size_t, Case>> {};

TEST_P(KillTest, SurvivorsBlameTheDead) {
  const Case where = std::get<1>(GetParam());
  const auto victim = static_cast<size_t>(where.members - 1);
  Processes processes(algorithms()[std::get<0>(GetParam())], where);
  for (size_t member = 0; member <= victim; ++member) {
    char done = 0;
    ASSERT_TRUE(processes.read(member, &done, 1));
  }
  std::vector<Duration> before;
  for (size_t member = 0; member < victim; ++member) before.push_back(processes.delay(member));
  const Duration victim_before = processes.delay(victim);
  const StolenWatch stolen;
  const DelayWatch own;
  const int64_t killed_at = steady_now().time_since_epoch().count();
  processes.kill(victim);
  // The dying must run, too, before the kernel closes its sockets.
  const Duration killing = own.total();
  int64_t slowest = 0;
  for (size_t member = 0; member < victim; ++member) {
    Report report{};
    ASSERT_TRUE(processes.read(member, &report, sizeof report));
    EXPECT_EQ(static_cast<Code>(report.code), Code::PeerLost);
    EXPECT_EQ(report.culprit, 10 + where.members - 1);
    const int64_t took = report.noticed_at - killed_at;
    slowest = std::max(slowest, took);
    const Duration dying = processes.delay(victim) - victim_before;
    const Duration noticing = Duration(report.delay) - before[member];
    EXPECT_EQ(
        complaint(Duration(took), promised(100ms), excused(killing + dying + noticing, stolen)),
        "");
    EXPECT_EQ(processes.wait(member), 0);
  }
  std::printf("  noticed after %.2f ms\n", slowest / 1e6);
}

std::string case_name(const ::testing::TestParamInfo<KillTest::ParamType>& info) {
  const Case& where = std::get<1>(info.param);
  return algorithms()[std::get<0>(info.param)].name + "_" + std::to_string(where.bytes) + "_" +
         std::to_string(where.members);
}

INSTANTIATE_TEST_SUITE_P(
    Gloo,
    KillTest,
    ::testing::Combine(
        ::testing::Range<size_t>(0, algorithms().size()),
        ::testing::Values(Case{4, 4}, Case{64 << 10, 4}, Case{4 << 20, 4}, Case{64 << 20, 2})),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    GlooLarge,
    KillTest,
    ::testing::Combine(
        ::testing::ValuesIn(in_several_steps()), ::testing::Values(Case{64 << 20, 4})),
    case_name);

}  // namespace
}  // namespace farandole::testing

// How a group forms over TCP, and how it does not.

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>

#include "controller/protocol/worker.h"
#include "core/base/log.h"
#include "core/net/framing.h"
#include "tests/controller/tcp_job.h"

namespace farandole {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class Sizes : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(TcpFormation, Sizes, ::testing::Values(2, 3, 5));

TEST_P(Sizes, EveryRankLearnsOfAllMembers) {
  TcpJob job(GetParam(), [](int rank, TcpControlPlaneOptions& options) {
    options.config.host = "host-" + std::to_string(rank);
  });
  job.form();
  for (const auto& rank : job.ranks) {
    const std::vector<Member>& members = rank->plane->members();
    ASSERT_EQ(members.size(), static_cast<size_t>(GetParam()));
    EXPECT_EQ(members, job[0].plane->members());
    EXPECT_EQ(rank->plane->epoch(), job[0].plane->epoch());
    for (int i = 0; i < GetParam(); ++i) {
      const Member& member = members[static_cast<size_t>(i)];
      EXPECT_EQ(member, (Member{i, "host-" + std::to_string(i), getpid(), "127.0.0.1"}));
    }
  }
}

TEST(TcpFormation, WithoutANameTheHostIsTheMachines) {
  TcpJob job(2);
  job.form();
  char name[256] = {};
  ASSERT_EQ(gethostname(name, sizeof(name) - 1), 0);
  EXPECT_EQ(job[1].plane->members()[1].host, name);
}

TEST(TcpFormation, RanksMayComeInAnyOrderAndLate) {
  TcpJob job(3);
  Status last, middle, first;
  std::thread two([&] { last = job[2].start(); });
  std::thread one([&] { middle = job[1].start(); });
  std::this_thread::sleep_for(50ms);  // only makes it likely that rank 0 is the last
  first = job[0].start();
  one.join();
  two.join();
  EXPECT_TRUE(first.is_ok()) << first.to_string();
  EXPECT_TRUE(middle.is_ok()) << middle.to_string();
  EXPECT_TRUE(last.is_ok()) << last.to_string();
}

TEST(TcpFormation, MissingRanksAreNamedAtTheDeadlineOnEveryRank) {
  TcpJob job(4, [](int, TcpControlPlaneOptions& options) { options.config.start_timeout = 2s; });
  Status of_one;
  std::thread one([&] { of_one = job[1].start(); });
  const Status of_zero = job[0].start();
  one.join();
  for (const Status& status : {of_zero, of_one}) {
    EXPECT_EQ(status.code(), Code::Timeout);
    EXPECT_THAT(
        status.message(),
        HasSubstr("the group of 4 ranks did not form within 2 s (FARANDOLE_START_TIMEOUT)"));
    EXPECT_THAT(status.message(), HasSubstr("ranks 2-3 are missing"));
  }
}

TEST(TcpFormation, WithoutRankZeroTheOthersSayWhomTheyMiss) {
  TcpJob job(2, [](int, TcpControlPlaneOptions& options) { options.config.start_timeout = 100ms; });
  const Status status = job[1].start();
  EXPECT_EQ(status.code(), Code::Timeout);
  EXPECT_THAT(status.message(), HasSubstr("rank 1 could not reach rank 0 at 127.0.0.1:"));
}

// A rank that does not belong gets a clear error at once; the group forms without it.
struct Intruder {
  const char* name;
  std::function<void(TcpControlPlaneOptions&)> change;
  const char* said;
};
class Intruders : public ::testing::TestWithParam<Intruder> {};

TEST_P(Intruders, IsTurnedAwayAndTheGroupFormsAllTheSame) {
  TcpJob job(2);
  Status of_zero;
  std::thread zero([&] { of_zero = job[0].start(); });
  TcpControlPlaneOptions options = options_of(1, 2, job.port);
  GetParam().change(options);
  TcpRank intruder(std::move(options));
  const TimePoint begin = steady_now();
  const Status status = intruder.start();
  EXPECT_EQ(status.code(), Code::Mismatch);
  EXPECT_THAT(status.message(), HasSubstr("could not join at " + job.port.endpoint().to_string()));
  EXPECT_THAT(status.message(), HasSubstr(GetParam().said));
  EXPECT_LT(steady_now() - begin, 25s) << "not at the deadline";
  EXPECT_TRUE(job[1].start().is_ok());
  zero.join();
  EXPECT_TRUE(of_zero.is_ok()) << of_zero.to_string();
}

INSTANTIATE_TEST_SUITE_P(
    TcpFormation,
    Intruders,
    ::testing::Values(
        Intruder{"secret", [](auto& o) { o.secret = secret_of(2); }, "the same secret"},
        Intruder{"job", [](auto& o) { o.config.job = "another"; }, "another job"},
        Intruder{
            "rank",
            [](auto& o) {
              o.config.rank = 7;
              o.config.size = 8;
            },
            "does not expect rank 7"}),
    [](const auto& info) { return info.param.name; });

TEST(TcpFormation, RanksThatDisagreeOnSettingsAllLearnOnWhich) {
  TcpJob job(2, [](int rank, TcpControlPlaneOptions& options) {
    options.config.fusion_bytes = rank == 0 ? 1024 : 2048;
  });
  std::vector<Status> statuses(2);
  job.on_all([&](TcpRank& rank) { statuses[static_cast<size_t>(rank.rank)] = rank.start(); });
  EXPECT_EQ(statuses[0], statuses[1]);
  EXPECT_EQ(statuses[0].code(), Code::Mismatch);
  EXPECT_THAT(
      statuses[0].message(), HasSubstr("FARANDOLE_FUSION_BYTES: rank 0 has 1024, rank 1 has 2048"));
}

TEST(TcpFormation, ARankThatTriedAndDiedMayComeBack) {
  TcpJob job(2);
  Status of_zero;
  std::thread zero([&] { of_zero = job[0].start(); });
  {
    // Proves the secret on one connection, and goes.
    net::ConnectSpec spec;
    spec.to = job.port.endpoint();
    spec.client.secret = secret_of(1);
    spec.client.hello = {"test-job", "", net::Role::Control, 1, 0, 0, 5};
    spec.handshake_timeout = kPatience;
    EXPECT_TRUE(net::connect_to(spec, steady_now() + kPatience));
  }
  EXPECT_TRUE(job[1].start().is_ok());
  zero.join();
  EXPECT_TRUE(of_zero.is_ok());
}

TEST(TcpFormation, AMalformedMessageOfAnAuthenticRankEndsTheStartWithItsName) {
  ReservedPort port;
  TcpRank zero(options_of(0, 2, port));
  Status of_zero;
  std::thread thread([&] { of_zero = zero.start(); });
  net::ConnectSpec spec;
  spec.to = port.endpoint();
  spec.client.secret = secret_of(1);
  spec.client.hello = {"test-job", "", net::Role::Control, 1, 0, 0, 5};
  spec.handshake_timeout = kPatience;
  Result<net::Established> control = net::connect_to(spec, steady_now() + kPatience);
  spec.client.hello.role = net::Role::Heartbeat;
  const Result<net::Established> beats = net::connect_to(spec, steady_now() + kPatience);
  ASSERT_TRUE(control && beats);
  net::FrameSealer sealer(control.value().keys.send);
  net::Bytes bytes;
  net::append_frame(bytes, sealer, net::Bytes(100, 0xEE));
  ASSERT_TRUE(net::send_all(control.value().fd.get(), bytes, steady_now() + kPatience).is_ok());
  thread.join();
  EXPECT_EQ(of_zero.code(), Code::PeerLost);
  EXPECT_EQ(of_zero.culprit(), 1);
  EXPECT_THAT(of_zero.message(), HasSubstr("rank 1 joined with a malformed message"));
}

TEST(TcpFormation, JunkAndSlowStrangersDoNotDelayIt) {
  set_log_sink([](LogLevel, std::string_view) {});
  TcpJob job(3);
  Status of_zero;
  std::thread zero([&] { of_zero = job[0].start(); });
  const auto address = net::resolve(job.port.endpoint()).value()[0];
  std::vector<UniqueFd> strangers;
  while (strangers.size() < 300) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), address.get(), address.size) != 0)
      continue;  // rank 0 does not listen yet
    if (strangers.size() % 2 == 0)
      static_cast<void>(net::send_all(fd.get(), net::as_bytes("junk"), steady_now() + kPatience));
    strangers.push_back(std::move(fd));
  }
  std::thread one([&] { EXPECT_TRUE(job[1].start().is_ok()); });
  EXPECT_TRUE(job[2].start().is_ok());
  one.join();
  zero.join();
  EXPECT_TRUE(of_zero.is_ok()) << of_zero.to_string();
  set_log_sink({});
}

TEST(TcpFormation, AnAddressThatIsNotOursIsNamed) {
  ReservedPort port;
  TcpControlPlaneOptions options = options_of(0, 2, port);
  options.controller.host = "192.0.2.1";
  TcpRank zero(std::move(options));
  const Status status = zero.start();
  EXPECT_EQ(status.code(), Code::System);
  EXPECT_THAT(status.message(), HasSubstr("cannot listen at 192.0.2.1:"));
}

// The same process, the same port, one session after the other.
TEST(TcpFormation, GenerationsFollowOneAnotherOnOnePort) {
  ReservedPort port;
  for (uint32_t generation = 0; generation < 3; ++generation) {
    TcpControlPlaneOptions first = options_of(0, 2, port), second = options_of(1, 2, port);
    first.generation = second.generation = generation;
    TcpRank zero(std::move(first)), one(std::move(second));
    one.rank = 1;
    std::thread thread([&] {
      EXPECT_TRUE(one.start().is_ok());
      one.leave_and_stop();
    });
    EXPECT_TRUE(zero.start().is_ok());
    zero.leave_and_stop();
    thread.join();
  }
}

TEST(TcpFormation, ARankThatIsAheadWaitsForRankZero) {
  ReservedPort port;
  TcpControlPlaneOptions ahead = options_of(1, 2, port);
  ahead.generation = 1;
  TcpRank next(std::move(ahead));
  Status of_next;
  std::thread thread([&] { of_next = next.start(); });
  {
    TcpControlPlaneOptions options = options_of(0, 2, port);
    options.config.start_timeout = 300ms;
    TcpRank earlier(std::move(options));
    EXPECT_EQ(earlier.start().code(), Code::Timeout) << "a rank of generation 1 is no member of 0";
  }
  TcpControlPlaneOptions options = options_of(0, 2, port);
  options.generation = 1;
  TcpRank zero(std::move(options));
  EXPECT_TRUE(zero.start().is_ok());
  thread.join();
  EXPECT_TRUE(of_next.is_ok()) << of_next.to_string();
}

TEST(TcpFormation, ARankOfAGenerationThatIsOverIsToldSo) {
  ReservedPort port;
  TcpControlPlaneOptions options = options_of(0, 2, port);
  std::atomic<bool> told{false};
  options.generation = 1;
  options.give_up = [&told] { return told.load(); };
  TcpRank zero(std::move(options));
  std::thread thread([&] { EXPECT_EQ(zero.start().code(), Code::Aborted); });
  TcpRank stale(options_of(1, 2, port));
  const Status status = stale.start();
  EXPECT_EQ(status.code(), Code::Mismatch);
  EXPECT_THAT(status.message(), HasSubstr("generation 0 of the job is over"));
  told = true;
  thread.join();
}

TEST(TcpFormation, FiftyStartsAndStopsLeaveNothingBehind) {
  ReservedPort port;
  uint32_t generation = 0;
  const auto round = [&] {
    TcpControlPlaneOptions first = options_of(0, 2, port), second = options_of(1, 2, port);
    first.generation = second.generation = generation++;
    TcpRank zero(std::move(first)), one(std::move(second));
    one.rank = 1;
    std::thread thread([&] { EXPECT_TRUE(one.start().is_ok()); });
    EXPECT_TRUE(zero.start().is_ok());
    thread.join();
    std::thread leaver([&] { one.leave_and_stop(); });
    zero.leave_and_stop();
    leaver.join();
  };
  round();
  const size_t fds = net::open_descriptors(), threads = net::live_threads();
  for (int i = 0; i < 50; ++i) round();
  EXPECT_EQ(net::open_descriptors(), fds);
  EXPECT_EQ(net::live_threads(), threads);
}

TEST(TcpFormation, AForkedChildThatEndsHarmsNobody) {
  TcpJob job(2);
  job.form();
  const pid_t child = fork();
  if (child == 0) {
    job[0].plane.reset();
    job[1].plane.reset();
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (int rank = 0; rank < 2; ++rank) job[rank].plane->announce({allreduce_of("t")});
  for (int rank = 0; rank < 2; ++rank) {
    job[rank].sink.agreements(ready(1));
    EXPECT_EQ(job[rank].sink.failures_now(), 0u);
  }
}

// Rank 0 that waits for others; a rank that finds no rank 0; one that has found it.
TEST(TcpFormation, WhoGivesUpReturnsAtOnce) {
  ReservedPort port;
  const auto give_up_when_asked_twice = [](TcpControlPlaneOptions options) {
    options.give_up = [asked = std::make_shared<int>(0)] { return ++*asked == 2; };
    return options;
  };
  const auto expect_aborted = [](TcpRank& rank) {
    const TimePoint begin = steady_now();
    EXPECT_EQ(rank.start().code(), Code::Aborted);
    EXPECT_LT(steady_now() - begin, kPatience / 3);
  };
  for (const int rank : {0, 1}) {
    TcpRank alone(give_up_when_asked_twice(options_of(rank, 3, port)));
    expect_aborted(alone);
  }
  TcpRank zero(options_of(0, 2, port));
  std::thread forming([&] { EXPECT_TRUE(zero.start().is_ok()); });
  TcpControlPlaneOptions patient = options_of(1, 2, port);
  patient.give_up = [] { return false; };
  TcpRank one(std::move(patient));
  EXPECT_TRUE(one.start().is_ok());
  forming.join();
}

}  // namespace
}  // namespace farandole

// Names are looked up with a deadline, however long the resolver takes.
#include "core/base/name_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <future>

namespace farandole {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

// Answers with an error once it is let go, which is at the end of the test at the latest.
class SlowResolver {
 public:
  SlowResolver() : gate_(std::make_shared<std::promise<void>>()) {}
  ~SlowResolver() { gate_->set_value(); }
  LookupLimits::Resolver resolver() {
    return [open = gate_->get_future().share()](auto...) {
      open.wait();
      return EAI_AGAIN;
    };
  }

 private:
  std::shared_ptr<std::promise<void>> gate_;
};

TEST(NameLookup, NumbersAreReadAtOnce) {
  const auto never = [](auto...) -> int { std::terminate(); };
  for (const char* number : {"127.0.0.1", "::1"})
    EXPECT_TRUE(look_up(number, 80, {TimePoint(), {}, never})) << number;
}

TEST(NameLookup, WhatIsNoNumberIsTold) {
  for (const char* none : {"node-7", "1.2.3.4.5", "::1::", ""})
    EXPECT_EQ(look_up_number(none, 80).status().code(), Code::InvalidArgument) << none;
}

TEST(NameLookup, AsksForStreamsAndThePort) {
  const auto resolver = [](const char*, const char* port, const addrinfo* hints, addrinfo** out) {
    addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    return getaddrinfo("127.0.0.7", port, &numeric, out);
  };
  const auto found = look_up("seven", 4711, {steady_now() + 20s, {}, resolver});
  ASSERT_TRUE(found) << found.status().to_string();
  char host[64], port[8];
  const addrinfo& first = *found.value();
  ASSERT_EQ(
      getnameinfo(
          first.ai_addr,
          first.ai_addrlen,
          host,
          sizeof host,
          port,
          sizeof port,
          NI_NUMERICHOST | NI_NUMERICSERV),
      0);
  EXPECT_STREQ(host, "127.0.0.7");
  EXPECT_STREQ(port, "4711");
}

TEST(NameLookup, AResolverThatDoesNotAnswerIsWaitedForUntilTheDeadline) {
  SlowResolver slow;
  const TimePoint deadline = steady_now() + 50ms;
  const auto found = look_up("node-7", 80, {deadline, {}, slow.resolver()});
  EXPECT_GE(steady_now(), deadline);
  EXPECT_EQ(found.status().code(), Code::Timeout);
  EXPECT_THAT(found.status().message(), HasSubstr("node-7"));
}

TEST(NameLookup, GivesUpWhenItIsTold) {
  SlowResolver slow;
  int asked = 0;
  const auto found =
      look_up("node-7", 80, {steady_now() + 1h, [&] { return ++asked == 2; }, slow.resolver()});
  EXPECT_EQ(found.status().code(), Code::Aborted);
}

TEST(NameLookup, SaysWhatTheSystemRefused) {
  const auto resolver = [](auto...) {
    errno = EMFILE;
    return EAI_SYSTEM;
  };
  const auto found = look_up("node-7", 80, {steady_now() + 20s, {}, resolver});
  EXPECT_EQ(found.status().code(), Code::System);
  EXPECT_EQ(
      found.status().message(),
      "cannot find the host node-7: getaddrinfo: Too many open files (errno 24); allow the process "
      "more open files (ulimit -n)");
}

TEST(NameLookup, SaysWhichHostIsUnknown) {
  const auto none = [](auto...) { return EAI_NONAME; };
  const auto found = look_up("node-7", 80, {steady_now() + 20s, {}, none});
  EXPECT_EQ(found.status().code(), Code::System);
  EXPECT_THAT(found.status().message(), HasSubstr("cannot find the host node-7: "));
}

}  // namespace
}  // namespace farandole

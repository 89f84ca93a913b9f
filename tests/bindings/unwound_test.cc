// What other ranks read of a session of farandole.hpp that an exception ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <farandole/farandole.hpp>

#include "tests/bindings/c_job.h"

namespace farandole::testing {
namespace {

using ::testing::EndsWith;

// What rank 0 reads when rank 1 leaves while it is needed. `life` gets what begins its session.
template <typename Life>
std::string told_of(Life life) {
  const TestJob job;
  const auto begin = [&job](int rank) { return fdl::Session(settings_of(job, rank, 2, {}), true); };
  std::thread other([&] { life([&] { return begin(1); }); });
  std::string told;
  {
    fdl::Session session = begin(0);
    try {
      session.barrier();
    } catch (const fdl::PeerLost& error) {
      told = error.what();
    }
  }
  other.join();
  return told;
}

TEST(CxxSession, AnExceptionThatEndsASessionIsTheCause) {
  const std::string told = told_of([](auto begin) {
    fdl::Session session = begin();
    try {
      const fdl::Session moved = std::move(session);
      throw std::runtime_error("no more input");
    } catch (const std::runtime_error&) {
    }
  });
  EXPECT_THAT(told, EndsWith(" left the job: an exception ended its fdl::Session"));
}

template <typename Work>
struct AtTheEnd {
  Work work;
  ~AtTheEnd() { work(); }
};

TEST(CxxSession, AnExceptionThatWasThereBeforeIsNot) {
  const std::string told = told_of([](auto begin) {
    try {
      const AtTheEnd clean_up{[&] { const fdl::Session whole = begin(); }};
      throw std::runtime_error("no more input");
    } catch (const std::runtime_error&) {
    }
  });
  EXPECT_THAT(told, EndsWith(" left the job: shutdown"));
}

}  // namespace
}  // namespace farandole::testing

#include "controller/tcp/last_words.h"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>

namespace farandole::control {
namespace {

class LastWordsTest : public ::testing::Test {
 protected:
  void on_loop(const std::function<void()>& task) { ASSERT_TRUE(io_->run_and_wait(task)); }

  const std::shared_ptr<net::IoThread> io_ = std::make_shared<net::IoThread>("last-words");
  std::optional<LastWords> words_ = LastWords(*io_);
};

// A rank may come and go as long as the group forms.
TEST_F(LastWordsTest, NothingIsKeptOfWhatIsOver) {
  for (int watch = 1; watch <= 100; ++watch) {
    std::promise<void> dead;
    on_loop([&] { words_->await(watch, steady_now(), [&] { dead.set_value(); }); });
    dead.get_future().wait();
    on_loop([&] { EXPECT_EQ(words_->size(), 0U); });
  }
}

TEST_F(LastWordsTest, WhatIsClearedIsNotCalled) {
  bool called = false;
  on_loop([&] {
    words_->await(1, steady_now(), [&] { called = true; });
    EXPECT_EQ(words_->size(), 1U);
    words_->clear();
  });
  on_loop([] {});
  on_loop([&] { EXPECT_FALSE(called); });
}

}  // namespace
}  // namespace farandole::control

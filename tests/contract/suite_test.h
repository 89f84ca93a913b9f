#pragma once
// A test that is a function, registered while the program starts.

#include <functional>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace farandole::testing {

class SuiteTest final : public ::testing::Test {
 public:
  explicit SuiteTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

inline void register_suite_test(
    const std::string& suite, const std::string& test, std::function<void()> body) {
  ::testing::RegisterTest(
      suite.c_str(),
      test.c_str(),
      nullptr,
      nullptr,
      __FILE__,
      __LINE__,
      [body = std::move(body)]() -> ::testing::Test* { return new SuiteTest(body); });
}

}  // namespace farandole::testing

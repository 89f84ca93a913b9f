#pragma once
// A session of one rank through the C interface, and assertions on codes and texts.

#include <farandole/farandole.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace farandole::testing {

#define EXPECT_OK(call) EXPECT_EQ((call), FDL_OK) << fdl_last_error()
#define ASSERT_OK(call) ASSERT_EQ((call), FDL_OK) << fdl_last_error()
// The call fails with `code`, and its text has `part`.
#define EXPECT_FAILS(call, code, part)                         \
  do {                                                         \
    EXPECT_EQ((call), (code));                                 \
    EXPECT_THAT(fdl_last_error(), ::testing::HasSubstr(part)); \
  } while (false)

class CApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fdl_options options = FDL_OPTIONS_INIT;
    options.ignore_environment = 1;
    ASSERT_OK(fdl_init(&options, &session_));
  }
  void TearDown() override { EXPECT_OK(fdl_destroy(session_)); }

  fdl_session* session_ = nullptr;
};

}  // namespace farandole::testing

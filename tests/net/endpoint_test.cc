#include "core/net/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::net {
namespace {

using ::testing::HasSubstr;

TEST(Endpoint, ReadsWhatItWrites) {
  for (const Endpoint& endpoint :
       {Endpoint{"10.0.0.1", 29500}, Endpoint{"node-7.cluster", 1}, Endpoint{"::1", 65535}}) {
    const Result<Endpoint> parsed = Endpoint::parse(endpoint.to_string());
    ASSERT_TRUE(parsed) << endpoint.to_string();
    EXPECT_EQ(parsed.value(), endpoint);
  }
  EXPECT_EQ((Endpoint{"::1", 80}.to_string()), "[::1]:80");
}

TEST(Endpoint, RefusesEverythingElse) {
  for (const char* text :
       {"",
        ":",
        "host",
        ":80",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "host: 80",
        "::1:80",
        "[]:80",
        "[::1:80",
        "::1]:80",
        "[host]:80",
        "[::1]80"}) {
    const Result<Endpoint> parsed = Endpoint::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.status().code(), Code::InvalidArgument);
    EXPECT_THAT(parsed.status().message(), HasSubstr("host:port is wanted"));
  }
}

TEST(Endpoint, ResolvesNumbersAndSaysWhatItCannotFind) {
  const auto v4 = resolve({"127.0.0.1", 80});
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4.value().front().endpoint(), (Endpoint{"127.0.0.1", 80}));
  const auto v6 = resolve({"::1", 81});
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6.value().front().endpoint(), (Endpoint{"::1", 81}));
  const auto none = resolve({"no such host", 80}, {steady_now() + std::chrono::seconds(20)});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.status().message(), HasSubstr("no such host"));
}

}  // namespace
}  // namespace farandole::net

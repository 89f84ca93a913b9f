#include "controller/launch/ssh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/launch/outpost_preparation.h"

namespace farandole::launch {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Ssh, ItsCommandLineHoldsNothingOfTheJob) {
  const auto command = ssh_command({"2222", "/keys/id"}, "node1", "/opt/it's/farandolerun");
  EXPECT_EQ(command.front(), "ssh");
  EXPECT_THAT(command, AllOf(Contains("BatchMode=yes"), Contains("2222"), Contains("/keys/id")));
  const size_t size = command.size();
  EXPECT_EQ(command[size - 3], "--");
  EXPECT_EQ(command[size - 2], "node1");
  EXPECT_EQ(
      command[size - 1],
      "exec sh -c 'test -x \"$0\" && exec \"$0\" --outpost; exec farandolerun --outpost' "
      "'/opt/it'\\''s/farandolerun'");
}

TEST(Ssh, AnIpv6AddressGoesWithoutBrackets) {
  EXPECT_THAT(ssh_command({}, "[fd00::1]", "/x"), Contains("fd00::1"));
}

TEST(Ssh, WhatItSaysBecomesARemedy) {
  const auto failure = [](int code, std::string_view errors) {
    return ssh_failure("h", code << 8, errors, "/own");
  };
  EXPECT_EQ(
      failure(255, "ssh: Could not resolve hostname h: Name or service not known\r\n"),
      "the name of host h does not resolve; correct it, or give its address");
  EXPECT_THAT(
      failure(255, "ssh: connect to host h port 22: Connection timed out\r\n"),
      HasSubstr("host h does not answer (ssh: connect to host h port 22: Connection timed out)"));
  EXPECT_THAT(failure(127, "sh: 1: farandolerun: not found\n"), StartsWith("host h has no faran"));
  EXPECT_EQ(
      failure(9, "something\n\x1b[2Jelse\n\n"),
      "ssh to host h ended with exit code 9: \\x1b[2Jelse; try ssh h true");
  EXPECT_EQ(ssh_failure("h", 9, "", "/own"), "ssh to host h ended with SIGKILL; try ssh h true");
}

TEST(TravellingEnvironment, LeavesWhatBelongsToASessionOnAHost) {
  Environment environment;
  for (const char* name :
       {"A", "PATH", "SSH_AUTH_SOCK", "DISPLAY", "PWD", "CUDA_VISIBLE_DEVICES", "XDG_RUNTIME_DIR"})
    environment.set(name, "1");
  EXPECT_THAT(travelling_environment(environment), ElementsAre("A=1", "PATH=1"));
}

}  // namespace
}  // namespace farandole::launch

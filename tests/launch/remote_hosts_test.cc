#include "controller/launch/remote_hosts.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controller/launch/outpost_frames.h"
#include "controller/launch/remote_host.h"

namespace farandole::launch {
namespace {

constexpr pid_t kSsh = 4711;

struct Heard : RemoteEvents {
  void on_report(const Message& message) override { reports.push_back(message.value); }
  bool takes_output(Stream) const override { return true; }
  void on_output(int, Stream, std::string_view) override {}
  void on_output_end(int, Stream) override {}
  void on_host_end(const RemoteHost& host, int status, bool lost) override {
    ends.push_back(host.name + (lost ? " lost " : " ended ") + std::to_string(status));
  }
  void on_input_lost(int) override {}

  std::vector<int> reports;
  std::vector<std::string> ends;
};

class RemoteHostsTest : public testing::Test {
 protected:
  RemoteHostsTest() {
    int from_host[2], to_host[2];
    EXPECT_EQ(pipe2(from_host, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(to_host, O_CLOEXEC), 0);
    says_ = UniqueFd(from_host[1]);
    hears_ = UniqueFd(to_host[0]);
    auto host = std::make_unique<RemoteHost>();
    host->name = "h1";
    host->ssh = kSsh;
    auto link =
        OutpostLink::over(UniqueFd(from_host[0]), UniqueFd(to_host[1]), kMaxReportBytes, true);
    host->link = std::move(link).value();
    std::vector<std::unique_ptr<RemoteHost>> hosts;
    hosts.push_back(std::move(host));
    hosts_ = std::make_unique<RemoteHosts>(std::move(hosts), false);
  }

  void say(int value) {
    const auto body = encode_message({.kind = MessageKind::Stuck, .value = value});
    std::string frame = encode_head(FrameKind::Report, body.size());
    frame.append(reinterpret_cast<const char*>(body.data()), body.size());
    ASSERT_EQ(write(says_.get(), frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
  }

  UniqueFd says_, hears_;
  std::unique_ptr<RemoteHosts> hosts_;
  Heard heard_;
};

TEST_F(RemoteHostsTest, WhatAHostSaidBeforeItsSshEndedIsHeard) {
  say(1);
  say(2);
  // This test still holds the pipe, as who inherited ssh's end of it would: nobody waits for that.
  EXPECT_TRUE(hosts_->on_end(kSsh, 255, heard_));
  EXPECT_EQ(heard_.reports, (std::vector<int>{1, 2}));
  EXPECT_EQ(heard_.ends, (std::vector<std::string>{"h1 lost 255"}));
  EXPECT_TRUE(hosts_->all_ended());
}

TEST_F(RemoteHostsTest, OtherProcessesEndWithoutConsequence) {
  EXPECT_FALSE(hosts_->is_ssh(kSsh + 1));
  EXPECT_FALSE(hosts_->on_end(kSsh + 1, 0, heard_));
  EXPECT_TRUE(heard_.ends.empty());
  EXPECT_FALSE(hosts_->all_ended());
}

}  // namespace
}  // namespace farandole::launch

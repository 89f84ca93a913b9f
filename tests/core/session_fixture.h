#pragma once
// What the tests of sessions share.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/session.h"
#include "tests/support/fake_session.h"
#include "tests/support/soon.h"

namespace farandole::testing {

// Rank 0 of 3, whose collectives double every element.
class SessionTest : public ::testing::Test {
 protected:
  void start(bool takes_segments = true) {
    SessionParts parts;
    parts.config.size = 3;
    parts.config.shutdown_timeout = shutdown_timeout_;
    parts.observers = observers_;
    parts.loop = std::make_shared<ThreadLoop>("session-test");
    parts.abort_limit = abort_limit_;
    parts.devices.push_back(std::make_shared<HostMemory>());
    auto control = std::make_unique<FakeControlPlane>(3);
    control_ = control.get();
    parts.control = std::move(control);
    parts.connect = [this, takes_segments](
                        const GroupSpec& spec, Store&) -> Result<std::unique_ptr<Communicator>> {
      FARANDOLE_RETURN_IF_ERROR(connect_(spec));
      auto made = std::make_unique<FakeCommunicator>(
          [this](const CollectiveOp& op) { return run_(op); }, takes_segments);
      made->on_abort = on_abort_;
      communicator_ = made.get();
      return std::unique_ptr<Communicator>(std::move(made));
    };
    session_ = Session::start(std::move(parts)).value();
  }

  static Request sum(std::string name, std::vector<float>& values) {
    Request r;
    r.name = std::move(name);
    r.signature.shape = {static_cast<int64_t>(values.size())};
    r.in = values.data();
    r.out = values.data();
    return r;
  }
  TicketPtr submit(Request request) {
    Result<std::vector<TicketPtr>> tickets = session_->submit({std::move(request)});
    EXPECT_TRUE(tickets) << tickets.status().message();
    return tickets ? tickets.value()[0] : nullptr;
  }
  void agree(std::vector<ReadyOp> ready, std::vector<Rejection> rejected = {}) {
    control_->sink().on_agreement({.ready = std::move(ready), .rejected = std::move(rejected)});
  }
  static Status double_all(const CollectiveOp& op) {
    for (const Segment& s : op.segments) {
      for (size_t i = 0; i < s.count; ++i)
        static_cast<float*>(s.out)[i] = 2 * static_cast<const float*>(s.in)[i];
    }
    return Status::ok();
  }

  std::function<Status(const CollectiveOp&)> run_ = double_all;
  std::function<Status(const GroupSpec&)> connect_ = [](const GroupSpec&) { return Status::ok(); };
  std::function<void()> on_abort_;
  Duration shutdown_timeout_ = 20s;  // short only where a collective hangs
  Duration abort_limit_ = 20s;
  std::vector<std::shared_ptr<Observer>> observers_;
  FakeControlPlane* control_ = nullptr;
  std::atomic<FakeCommunicator*> communicator_{nullptr};
  std::unique_ptr<Session> session_;
};

}  // namespace farandole::testing

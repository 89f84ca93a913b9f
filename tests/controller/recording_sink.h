#pragma once
// RecordingSink: keeps what a control plane brings, for a test to wait on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "core/base/mutex.h"
#include "core/control_plane.h"

namespace farandole {

class RecordingSink final : public ControlSink {
 public:
  void on_agreement(Agreement agreement) override {
    if (then)
      then(agreement);
    MutexLock lock(mutex_);
    agreements_.push_back(std::move(agreement));
    changed_.notify_all();
  }
  void on_failure(PeerFailure failure) override {
    MutexLock lock(mutex_);
    failures_.push_back(std::move(failure));
    changed_.notify_all();
  }

  // Waits until `enough` says so of all that has come, then gives it.
  std::vector<Agreement> agreements(
      const std::function<bool(const std::vector<Agreement>&)>& enough) {
    return wait(agreements_, enough);
  }
  // Waits for at least `count`.
  std::vector<PeerFailure> failures(size_t count) {
    return wait<PeerFailure>(failures_, [count](const auto& all) { return all.size() >= count; });
  }
  // Waits for one that names `rank`.
  PeerFailure failure_of(int rank) {
    const auto names = [rank](const std::vector<PeerFailure>& all) {
      return std::ranges::any_of(all, [rank](const PeerFailure& f) { return f.rank == rank; });
    };
    for (const PeerFailure& failure : wait<PeerFailure>(failures_, names))
      if (failure.rank == rank)
        return failure;
    return {};
  }
  size_t failures_now() {
    MutexLock lock(mutex_);
    return failures_.size();
  }

  // Called first, on the control plane's thread. Set before start().
  std::function<void(const Agreement&)> then;

 private:
  template <typename T>
  std::vector<T> wait(
      const std::vector<T>& items, const std::function<bool(const std::vector<T>&)>& enough) {
    const TimePoint deadline = steady_now() + std::chrono::seconds(30);
    MutexLock lock(mutex_);
    while (!enough(items) && changed_.wait_until(mutex_, deadline)) {
    }
    EXPECT_TRUE(enough(items)) << "waited in vain";
    return items;
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<Agreement> agreements_;
  std::vector<PeerFailure> failures_;
};

// What is said of a rank that was silent for a time-out of one second: for how long, which is more
// where the machine was late.
inline ::testing::Matcher<const std::string&> says_silent_for_a_second() {
  return ::testing::MatchesRegex("no heartbeat for [1-9][0-9]*\\.[0-9] s.*");
}

// Names of all tensors agreed upon, in order.
inline std::vector<std::string> ready_names(const std::vector<Agreement>& agreements) {
  std::vector<std::string> names;
  for (const Agreement& agreement : agreements)
    for (const ReadyOp& op : agreement.ready) names.push_back(op.name);
  return names;
}

inline std::function<bool(const std::vector<Agreement>&)> ready(size_t count) {
  return [count](const std::vector<Agreement>& all) { return ready_names(all).size() >= count; };
}

inline Announcement allreduce_of(std::string name, std::vector<int64_t> shape = {4}) {
  Announcement announcement;
  announcement.name = std::move(name);
  announcement.signature.shape = std::move(shape);
  return announcement;
}

}  // namespace farandole

#pragma once
// A Session whose control plane and communicator are the test's puppets: the test decides what is
// agreed, what fails and how long a collective takes.

#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "core/base/format.h"
#include "core/base/mutex.h"
#include "core/session.h"

namespace farandole::testing {

class FakeStore final : public Store {
 public:
  Status set(const std::string&, std::vector<uint8_t>) override { return Status::ok(); }
  Result<std::vector<uint8_t>> get(const std::string& key, TimePoint) override {
    return error(Code::Timeout, "nobody set {}", key);
  }
};

// Records what the engine says; says what the test wants. Thread: any.
class FakeControlPlane final : public ControlPlane {
 public:
  explicit FakeControlPlane(int size) {
    for (int rank = 0; rank < size; ++rank) members_.push_back({.rank = rank, .host = "h"});
  }
  Status start(ControlSink& sink) override {
    sink_ = &sink;
    return start_status;
  }
  const std::vector<Member>& members() const override { return members_; }
  uint32_t epoch() const override { return 0; }
  void announce(std::vector<Announcement> announcements) override {
    MutexLock lock(mutex_);
    for (Announcement& a : announcements) announced_.push_back(std::move(a));
    changed_.notify_all();
  }
  void report(PeerFailure failure) override {
    MutexLock lock(mutex_);
    reports_.push_back(std::move(failure));
    changed_.notify_all();
  }
  void backlog(size_t rounds) override {
    MutexLock lock(mutex_);
    backlogs_.push_back(rounds);
    changed_.notify_all();
  }
  Store& store() override { return store_; }
  void leave(const std::string&) override {
    if (no_memory)
      throw std::bad_alloc();
    if (answers_goodbye)
      sink_->on_failure({.rank = 0, .cause = "shutdown", .left = true});
  }
  void finished() override { ++finished_told; }
  bool stop(TimePoint) override {
    stopped = true;
    return loop_answers;
  }

  ControlSink& sink() { return *sink_; }
  // What has been announced, once there are `count`; an empty list after 20 s.
  std::vector<Announcement> wait_announced(size_t count) { return wait(announced_, count); }
  std::vector<PeerFailure> wait_reports(size_t count) { return wait(reports_, count); }
  std::vector<size_t> wait_backlogs(size_t count) { return wait(backlogs_, count); }

  Status start_status;
  bool answers_goodbye = true;
  bool no_memory = false;  // for a goodbye
  bool loop_answers = true;
  std::atomic<int> finished_told{0};
  std::atomic<bool> stopped{false};

 private:
  template <typename T>
  std::vector<T> wait(const std::vector<T>& list, size_t count) {
    MutexLock lock(mutex_);
    const TimePoint deadline = steady_now() + std::chrono::seconds(20);
    while (list.size() < count) {
      if (!changed_.wait_until(mutex_, deadline))
        return {};
    }
    return list;
  }

  ControlSink* sink_ = nullptr;
  std::vector<Member> members_;
  FakeStore store_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<Announcement> announced_;
  std::vector<PeerFailure> reports_;
  std::vector<size_t> backlogs_;
};

class FakeCommunicator final : public Communicator {
 public:
  using Run = std::function<Status(const CollectiveOp&)>;
  FakeCommunicator(Run run, bool takes_segments)
      : run_(std::move(run)), takes_segments_(takes_segments) {}

  Traits traits() const noexcept override { return {"fake", takes_segments_}; }
  Status run(const CollectiveOp& op, StreamHandle) override { return run_(op); }
  void abort(Status why) noexcept override {
    {
      MutexLock lock(mutex_);
      aborted_ = std::move(why);
      changed_.notify_all();
    }
    if (on_abort)
      on_abort();
  }
  // For a run that hangs: returns what abort() gave.
  Status wait_for_abort() {
    MutexLock lock(mutex_);
    const TimePoint deadline = steady_now() + std::chrono::seconds(20);
    while (aborted_.is_ok()) {
      if (!changed_.wait_until(mutex_, deadline))
        return error(Code::Internal, "nobody aborted");
    }
    return aborted_;
  }

  std::function<void()> on_abort;  // before the first run

 private:
  const Run run_;
  const bool takes_segments_;
  Mutex mutex_;
  CondVar changed_;
  Status aborted_;
};

class HostMemory final : public Device {
 public:
  DeviceId id() const noexcept override { return {}; }
  Result<Buffer> allocate(size_t bytes) override {
    return Buffer{{std::malloc(bytes), [](void* p) { std::free(p); }}, bytes};
  }
  Status pack(std::span<const Segment> segments, DType dtype, void* to, StreamHandle) override {
    for (const Segment& s : segments) {
      std::memcpy(to, s.in, s.count * size_of(dtype));
      to = static_cast<char*>(to) + s.count * size_of(dtype);
    }
    return Status::ok();
  }
  Status unpack(
      const void* from, std::span<const Segment> segments, DType dtype, StreamHandle) override {
    for (const Segment& s : segments) {
      std::memcpy(s.out, from, s.count * size_of(dtype));
      from = static_cast<const char*>(from) + s.count * size_of(dtype);
    }
    return Status::ok();
  }
  Status fill(void* to, std::span<const std::byte> element, size_t count, StreamHandle) override {
    for (size_t i = 0; i < count; ++i)
      std::memcpy(static_cast<char*>(to) + i * element.size(), element.data(), element.size());
    return Status::ok();
  }
};

}  // namespace farandole::testing

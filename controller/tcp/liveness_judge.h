#pragma once
// LivenessJudge: lets the protocol's Liveness judge the beats of core/net.

#include <vector>

#include "controller/protocol/liveness.h"
#include "core/net/heartbeat.h"

namespace farandole::control {

class LivenessJudge final : public net::HeartbeatJudge {
 public:
  explicit LivenessJudge(Duration timeout) : liveness_(timeout, steady_now()) {}
  void watch(int rank, TimePoint now) override { liveness_.watch(rank, now); }
  void forget(int rank) override { liveness_.forget(rank); }
  void on_beat(int rank, TimePoint now) override { liveness_.on_beat(rank, now); }
  std::vector<Silence> tick(TimePoint now) override {
    std::vector<Silence> silences;
    for (const control::Silence& silence : liveness_.tick(now))
      silences.push_back({silence.rank, silence.length});
    return silences;
  }

 private:
  Liveness liveness_;
};

}  // namespace farandole::control

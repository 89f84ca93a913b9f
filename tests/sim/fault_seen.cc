#include "tests/sim/fault_seen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scheduler.h"

namespace farandole::sim {
namespace {

class Recorder final : public Monitor {
 public:
  Recorder(Findings& findings, Seen& seen) : Monitor(findings), seen_(seen) {}
  void on_start(int rank) override { ++seen_.starts[rank]; }
  void on_formed(int, uint32_t, const std::vector<Member>&, TimePoint) override { ++seen_.formed; }
  void on_not_formed(int rank, const Status& why) override { seen_.refusals[rank].why = why; }
  void on_start_end(int rank, const StartEnd& end) override {
    if (!end.told)
      seen_.given_up[rank] = end.now - kBegin;
    else if (!end.formed)
      seen_.refusals[rank].at = end.now - kBegin;
  }
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override {
    if (failure.left)
      ++seen_.left[failure.rank];
    else
      seen_.verdicts[rank] = {failure.rank, now - kBegin};
  }
  void on_executed(int, const control::Key&, uint64_t) override { ++seen_.carried_out; }
  void on_death(int rank, TimePoint now) override { seen_.deaths[rank] = now - kBegin; }

 private:
  static constexpr TimePoint kBegin = Scheduler::kBegin;
  Seen& seen_;
};

}  // namespace

Plan job_of(int size) {
  Plan plan;
  plan.seed = 1;
  plan.size = size;
  plan.heartbeat_interval = kInterval;
  plan.heartbeat_timeout = kPatience;
  plan.start_timeout = 5s;
  plan.shutdown_timeout = 5s;
  plan.data_timeout = 8s;
  plan.delay_most = 1ms;
  plan.slowness = 1us;
  plan.think = 100ms;
  plan.capacity = 262144;
  plan.steps = kSteps;
  plan.habits.resize(static_cast<size_t>(size));
  for (int rank = 0; rank < size; ++rank) plan.hosts.push_back(rank);
  for (int step = 0; step < plan.steps; ++step) {
    Op op;
    op.step = step;
    op.name = "t";
    op.signature.shape = {1};
    plan.ops.push_back(op);
  }
  return plan;
}

Seen run(const Plan& plan) {
  Seen seen;
  seen.result =
      run_plan(plan, {.traced = true, .monitors = [&](const Plan& of, Findings& findings) {
                        Monitors monitors = make_monitors(of, findings);
                        monitors.push_back(std::make_unique<Recorder>(findings, seen));
                        return monitors;
                      }});
  EXPECT_FALSE(seen.result.violation) << *seen.result.violation;
  return seen;
}

Seen run_with(Plan plan, Fault fault) {
  if (fault.at == Duration(0))
    fault.at = kAt;
  plan.faults.push_back(fault);
  Seen seen = run(plan);
  EXPECT_EQ(seen.result.faults[static_cast<size_t>(fault.kind)], 1U);
  return seen;
}

void expect_verdict(const Seen& seen, int rank, int culprit, Duration from, Duration to) {
  const auto found = seen.verdicts.find(rank);
  ASSERT_NE(found, seen.verdicts.end()) << "rank " << rank << " hears nothing";
  EXPECT_EQ(found->second.culprit, culprit) << "as rank " << rank << " hears";
  EXPECT_GE(found->second.at / 1us, from / 1us) << "as rank " << rank << " hears";
  EXPECT_LE(found->second.at / 1us, to / 1us) << "as rank " << rank << " hears";
}

void expect_undisturbed(const Seen& seen, int size) {
  EXPECT_THAT(seen.verdicts, testing::IsEmpty());
  EXPECT_EQ(seen.formed, static_cast<size_t>(size));
  EXPECT_EQ(seen.carried_out, static_cast<size_t>(kSteps * size));
}

}  // namespace farandole::sim

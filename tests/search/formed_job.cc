#include "tests/search/formed_job.h"

#include <utility>

#include "controller/protocol/membership.h"

namespace farandole::search {

using control::Action;
using control::SendTo;

FormedJob form_job(const control::Limits& limits, std::string& wrong) {
  control::Membership membership(
      {.limits = limits,
       .settings = {},
       .job = Scenario::kJob,
       .incarnation = Scenario::incarnation(0),
       .start = TimePoint{},
       .deadline = TimePoint{} + std::chrono::seconds(30)});
  FormedJob job;
  control::Actions welcomes;
  for (int rank = 0; rank < kRanks; ++rank) {
    const control::WorkerOptions options{limits, rank, Scenario::kJob, Scenario::incarnation(rank)};
    auto& worker = job.workers[static_cast<size_t>(rank)];
    worker = std::make_unique<control::Worker>(options);
    membership.on_connected(rank);
    for (const Action& action : worker->join({rank, "host" + std::to_string(rank), 7, ""}, {}))
      welcomes = membership.on_frame(rank, std::get<SendTo>(action).bytes);
  }
  int formed = 0;
  for (const Action& action : welcomes)
    if (const auto* send = std::get_if<SendTo>(&action))
      for (const Action& told : job.workers[static_cast<size_t>(send->rank)]->on_frame(send->bytes))
        formed += std::holds_alternative<control::Formed>(told) ? 1 : 0;
  if (formed != kRanks) {
    wrong = "I2: the group has not formed";
    return job;
  }
  job.coordinator = std::make_unique<control::Coordinator>(
      control::CoordinatorOptions{limits, {{1, kPair}}}, membership.take_group());
  return job;
}

}  // namespace farandole::search

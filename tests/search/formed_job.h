#pragma once
// FormedJob: the machines of a job right after its group has formed, by the real Membership.

#include <memory>
#include <string>

#include "controller/protocol/coordinator.h"
#include "controller/protocol/worker.h"
#include "tests/search/scenario.h"

namespace farandole::search {

struct FormedJob {
  std::unique_ptr<control::Coordinator> coordinator;
  PerRank<std::unique_ptr<control::Worker>> workers;
};

// `wrong`: why none has formed.
FormedJob form_job(const control::Limits& limits, std::string& wrong);

}  // namespace farandole::search

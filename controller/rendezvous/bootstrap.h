#pragma once
// Bootstrap: finds out, from whatever started this process, what is needed to form the group.
// One Bootstrap per way of starting ranks; find_job() asks them in turn.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/config.h"
#include "core/base/secret.h"
#include "core/base/status.h"
#include "core/net/endpoint.h"

namespace farandole {

// This rank's place, and how it proves that it belongs there.
struct JobSpec {
  int rank = 0;
  int size = 1;
  std::string job;
  Secret secret;             // empty when size is 1
  net::Endpoint controller;  // of rank 0; likewise
};

class Bootstrap {
 public:
  virtual ~Bootstrap() = default;
  // nullopt where this process was not started that way. Fails: InvalidArgument or System where it
  // was, but something is missing or wrong.
  virtual std::optional<Result<JobSpec>> find(const Config& config) const = 0;
};

// All ways of starting that are known, most telling first. The last one is a single rank alone.
std::vector<std::unique_ptr<Bootstrap>> known_bootstraps();

// The first answer. Fails: as Bootstrap::find.
Result<JobSpec> find_job(const Config& config);

}  // namespace farandole

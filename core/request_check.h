#pragma once
// What is wrong with a request on its own, before any other rank is asked.

#include <span>

#include "core/base/config.h"
#include "core/base/status.h"
#include "core/request.h"

namespace farandole {

// Limits and facts that a request is judged by.
struct RequestLimits {
  int64_t max_name_bytes = 512;
  int64_t max_dims = 64;
  int members = 1;                  // of the process set
  std::span<const int> ranks = {};  // theirs, ascending; empty: 0 … members-1
  int size = 1;                     // ranks of the job
};

// Fails: InvalidArgument (or Unsupported) beginning with `allreduce "name": `. Pure.
Status check_request(const Request& request, const RequestLimits& limits);

// `kind "name"`, as every message about a tensor begins; the kind alone of what is no collective.
std::string describe(CollectiveKind kind, const std::string& name);

}  // namespace farandole

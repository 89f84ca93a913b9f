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
  int rank = 0;                     // own
};

// Fails: InvalidArgument (or Unsupported) beginning with `allreduce "name": `. Pure.
Status check_request(const Request& request, const RequestLimits& limits);

// Gives an alltoall without splits its equal ones, and leaves out what the root alone says of a
// scatter or message.
// Requires: check_request() is ok.
void complete_request(Request& request, const RequestLimits& limits);

// `kind "name"`, as every message about a tensor begins; the kind alone of what is no collective.
std::string describe(CollectiveKind kind, const std::string& name);

}  // namespace farandole

#pragma once
// What a job owns: its name and its secret on every host, the controller's port on that of rank 0.

#include <string>

#include "controller/launch/addresses.h"
#include "controller/launch/fd.h"
#include "core/base/secret.h"

namespace farandole::launch {

struct JobKeys {
  std::string job;  // 16 random hexadecimal digits
  Secret secret;
};

struct JobResources {
  std::string job;
  UniqueFd secret;         // a sealed memory file of mode 0400; it vanishes with its last holder
  UniqueFd port_holder;    // keeps the port for rank 0, where that is to run here
  std::string controller;  // "host:port" of rank 0
};

// Fails: System.
Result<JobKeys> make_job_keys();

// `port`: that of the controller, on rank 0's host; elsewhere its endpoint alone. Fails: System.
Result<JobResources> make_job_resources(const JobKeys& keys, HeldPort port);

}  // namespace farandole::launch

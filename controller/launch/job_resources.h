#pragma once
// What a job owns on the host of rank 0: its name, its secret and the controller's port.

#include <string>

#include "controller/launch/fd.h"

namespace farandole::launch {

struct JobResources {
  std::string job;         // 16 random hexadecimal digits
  UniqueFd secret;         // a sealed memory file of mode 0400; it vanishes with its last holder
  UniqueFd port_holder;    // bound with SO_REUSEPORT, not listening: keeps the port for rank 0
  std::string controller;  // "127.0.0.1:port", or "[::1]:port" where there is no IPv4
};

// Fails: System.
Result<JobResources> make_job_resources();

}  // namespace farandole::launch

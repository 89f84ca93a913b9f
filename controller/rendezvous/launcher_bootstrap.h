#pragma once
// LauncherBootstrap: ranks started by farandolerun, or by hand with the same variables.

#include "controller/rendezvous/bootstrap.h"

namespace farandole {

class LauncherBootstrap final : public Bootstrap {
 public:
  std::optional<Result<JobSpec>> find(const Config& config) const override;
};

}  // namespace farandole

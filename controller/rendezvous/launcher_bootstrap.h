#pragma once
// LauncherBootstrap: ranks started by farandolerun, or by hand with the same variables.

#include "controller/rendezvous/bootstrap.h"

namespace farandole {

class LauncherBootstrap final : public Bootstrap {
 public:
  const char* name() const noexcept override { return "the farandolerun launcher"; }
  std::optional<Result<JobSpec>> find(const Config& config) const override;
};

}  // namespace farandole

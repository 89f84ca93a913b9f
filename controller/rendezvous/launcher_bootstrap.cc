#include "controller/rendezvous/launcher_bootstrap.h"

#include <utility>

#include "core/base/format.h"

namespace farandole {
namespace {

Status missing(const Config& config, const char* variable, const char* what) {
  return error(
      Code::InvalidArgument,
      "rank {} of {} does not know {}: {} is not set; start the ranks with farandolerun, or set it",
      config.rank,
      config.size,
      what,
      variable);
}

Result<JobSpec> read(const Config& config) {
  if (config.controller.empty())
    return missing(config, "FARANDOLE_CONTROLLER", "where rank 0 listens");
  if (config.job.empty())
    return missing(config, "FARANDOLE_JOB", "the name of the job");
  if (config.secret_file.empty())
    return missing(config, "FARANDOLE_SECRET_FILE", "the job's secret");
  Result<net::Endpoint> controller = net::Endpoint::parse(config.controller);
  if (!controller || controller.value().port == 0)
    return error(
        Code::InvalidArgument,
        "FARANDOLE_CONTROLLER={}: host:port with a port from 1 to 65535 is wanted",
        printable(config.controller, 256));
  Result<Secret> secret = Secret::from_file(config.secret_file);
  if (!secret)
    return secret.status();
  return JobSpec{
      static_cast<int>(config.rank),
      static_cast<int>(config.size),
      config.job,
      std::move(secret).value(),
      std::move(controller).value()};
}

}  // namespace

std::optional<Result<JobSpec>> LauncherBootstrap::find(const Config& config) const {
  if (config.size <= 1)
    return std::nullopt;
  return read(config);
}

}  // namespace farandole

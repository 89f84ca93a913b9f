#include "controller/rendezvous/bootstrap.h"

#include "controller/rendezvous/launcher_bootstrap.h"

namespace farandole {
namespace {

// Nobody else takes part: needs no name, secret or network.
class AloneBootstrap final : public Bootstrap {
 public:
  std::optional<Result<JobSpec>> find(const Config& config) const override {
    JobSpec spec;
    spec.job = config.job;
    return Result<JobSpec>(std::move(spec));
  }
};

}  // namespace

std::vector<std::unique_ptr<Bootstrap>> known_bootstraps() {
  std::vector<std::unique_ptr<Bootstrap>> all;
  all.push_back(std::make_unique<LauncherBootstrap>());
  all.push_back(std::make_unique<AloneBootstrap>());
  return all;
}

Result<JobSpec> find_job(const Config& config) {
  FARANDOLE_RETURN_IF_ERROR(config.check());
  for (const std::unique_ptr<Bootstrap>& bootstrap : known_bootstraps())
    if (std::optional<Result<JobSpec>> found = bootstrap->find(config))
      return std::move(*found);
  return Status(Code::Internal, "nothing tells this rank its place in the job");
}

}  // namespace farandole

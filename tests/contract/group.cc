#include "tests/contract/group.h"

#include <unistd.h>

#include "core/base/format.h"

namespace farandole::testing {
namespace {

Status first_failure(const std::vector<Status>& statuses) {
  for (size_t i = 0; i < statuses.size(); ++i) {
    if (!statuses[i])
      return error(statuses[i].code(), "member {}: {}", i, statuses[i].message());
  }
  return Status::ok();
}

}  // namespace

std::vector<Member> make_members(const Backend& backend, int size) {
  std::vector<Member> members;
  for (int i = 0; i < size; ++i)
    members.push_back(
        {rank_of_member(i),
         backend.host_of ? backend.host_of(i, size) : "host",
         static_cast<int64_t>(::getpid()),
         "127.0.0.1"});
  return members;
}

Group::Group(const Backend& backend, int size, const Config& config)
    : communicators_(static_cast<size_t>(size)), cluster_(size) {
  const Result<Secret> secret = Secret::random();
  if (!secret) {
    outcome_ = {secret.status()};
    return;
  }
  GroupSpec spec{"contract", 0, make_members(backend, size), secret.value(), "job"};
  outcome_ = cluster_.run([&](int index) {
    GroupSpec own = spec;
    own.index = index;
    auto made = backend.connect(own, store_, config);
    if (!made)
      return made.status();
    communicators_[static_cast<size_t>(index)] = std::move(made).value();
    return Status::ok();
  });
}

Status Group::connected() const {
  return first_failure(outcome_);
}

Status Group::run(const ThreadCluster::Body& body) {
  return first_failure(cluster_.run(body));
}

}  // namespace farandole::testing

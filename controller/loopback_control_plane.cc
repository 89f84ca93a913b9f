#include "controller/loopback_control_plane.h"

#include <algorithm>
#include <utility>

#include "controller/loopback_hub.h"

namespace farandole {

LoopbackHub::LoopbackHub(int size, ProcessSets process_sets)
    : impl_(std::make_unique<Impl>(size, std::move(process_sets))) {}

LoopbackHub::~LoopbackHub() = default;

void LoopbackHub::kill(int rank) {
  impl_->kill(rank);
}

class LoopbackControlPlane::LoopbackStore final : public Store {
 public:
  LoopbackStore(LoopbackHub::Impl& hub, int rank) : hub_(hub), rank_(rank) {}

  Status set(const std::string& key, std::vector<uint8_t> value) override {
    return hub_.store_set(rank_, key, std::move(value));
  }
  Result<std::vector<uint8_t>> get(const std::string& key, TimePoint deadline) override {
    return hub_.store_get(rank_, key, deadline);
  }

 private:
  LoopbackHub::Impl& hub_;
  const int rank_;
};

LoopbackControlPlane::LoopbackControlPlane(
    std::shared_ptr<LoopbackHub> hub,
    const Config& config,
    Member self,
    std::shared_ptr<EventLoop> loop)
    : hub_(std::move(hub)),
      config_(config),
      self_(std::move(self)),
      loop_(std::move(loop)),
      store_(std::make_unique<LoopbackStore>(*hub_->impl_, self_.rank)) {}

LoopbackControlPlane::~LoopbackControlPlane() {
  stop(steady_now());
}

Status LoopbackControlPlane::start(ControlSink& sink) {
  return hub_->impl_->start(config_, self_, std::make_unique<LoopbackOutlet>(sink, loop_));
}

const std::vector<Member>& LoopbackControlPlane::members() const {
  return hub_->impl_->worker(self_.rank).members();
}

uint32_t LoopbackControlPlane::epoch() const {
  return hub_->impl_->worker(self_.rank).epoch();
}

void LoopbackControlPlane::announce(std::vector<Announcement> announcements) {
  hub_->impl_->announce(self_.rank, std::move(announcements));
}

void LoopbackControlPlane::report(PeerFailure failure) {
  hub_->impl_->report(self_.rank, std::move(failure));
}

void LoopbackControlPlane::backlog(size_t rounds) {
  hub_->impl_->backlog(self_.rank, rounds);
}

Store& LoopbackControlPlane::store() {
  return *store_;
}

void LoopbackControlPlane::leave(const std::string& cause) {
  hub_->impl_->leave(self_.rank, cause);
}

void LoopbackControlPlane::finished() {
  hub_->impl_->finished(self_.rank);
}

bool LoopbackControlPlane::stop(TimePoint deadline) {
  if (const std::unique_ptr<LoopbackOutlet> outlet = hub_->impl_->stop(self_.rank, deadline))
    answered_ = outlet->close(std::max(deadline, steady_now()) + patience::kLoop);
  return answered_;
}

}  // namespace farandole

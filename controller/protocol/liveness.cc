#include "controller/protocol/liveness.h"

#include "controller/protocol/mutation.h"

namespace farandole::control {

void Liveness::watch(int rank, TimePoint now) {
  heard_[rank] = now;
}

void Liveness::on_beat(int rank, TimePoint now) {
  const auto it = heard_.find(rank);
  if (it != heard_.end() && it->second < now && !FARANDOLE_MUTATE(MissBeats))
    it->second = now;
}

std::vector<Silence> Liveness::tick(TimePoint now) {
  const bool was_stopped = now - ticked_ > timeout_ / 2;
  ticked_ = now;
  std::vector<Silence> silent;
  for (auto it = heard_.begin(); it != heard_.end();) {
    if (was_stopped && !FARANDOLE_MUTATE(AccuseAfterAStop))
      it->second = now;
    const Duration length = now - it->second;
    const Duration patience = FARANDOLE_MUTATE(HalfThePatience) ? timeout_ / 2 : timeout_;
    if (length <= patience || FARANDOLE_MUTATE(ForgiveSilence)) {
      ++it;
      continue;
    }
    silent.push_back({it->first, length});
    it = heard_.erase(it);
  }
  return silent;
}

}  // namespace farandole::control

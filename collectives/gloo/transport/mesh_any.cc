// Mesh: receives from whoever sends first.
#include <algorithm>
#include <utility>

#include "collectives/gloo/transport/mesh.h"
#include "core/base/format.h"

namespace farandole::gloo_transport {

void Mesh::receive_any(std::vector<int> peers, const Receive& receive) {
  for (const int peer : peers) link(peer);
  if (take_kept(peers, receive))
    return;
  for (const int peer : peers) link(peer).ask(receive.slot);
  any_.push_back({std::move(peers), receive});
  check_any();
}

bool Mesh::take_kept(const std::vector<int>& peers, const Receive& receive) {
  for (const int peer : peers) {
    if (!link(peer).has_kept(receive.slot))
      continue;
    check(peer, link(peer).receive(receive));
    return true;
  }
  return false;
}

bool Mesh::take(int peer, uint64_t slot, bool offered, Receive& receive) {
  const auto found = std::find_if(any_.begin(), any_.end(), [&](const AnyReceive& any) {
    return any.receive.slot == slot &&
           std::find(any.peers.begin(), any.peers.end(), peer) != any.peers.end();
  });
  if (found == any_.end())
    return false;
  receive = found->receive;
  for (const int other : found->peers)
    if (!offered || other != peer)
      links_[static_cast<size_t>(other)]->unask(slot);
  any_.erase(found);
  return true;
}

bool Mesh::wants(int peer, uint64_t slot) const {
  return std::any_of(any_.begin(), any_.end(), [&](const AnyReceive& any) {
    return any.receive.slot == slot &&
           std::find(any.peers.begin(), any.peers.end(), peer) != any.peers.end();
  });
}

// A receive whose every possible source has left can never be served.
void Mesh::check_any() {
  for (const AnyReceive& any : any_) {
    const bool alone = std::all_of(any.peers.begin(), any.peers.end(), [this](int peer) {
      return links_[static_cast<size_t>(peer)]->ended();
    });
    if (!alone || any.peers.empty())
      continue;
    const int last = any.peers.back();
    check(last, error(Code::PeerLost, "left, as all others that could have sent"));
  }
}

}  // namespace farandole::gloo_transport

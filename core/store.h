#pragma once
// Store: a small key-value space shared by the ranks of a job, over the authenticated control
// connection. Communicators use it to find one another while they form.

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace farandole {

class Store {
 public:
  virtual ~Store() = default;
  // Publishes; a key is set once (a second set of the same key is InvalidArgument). Thread: any,
  // but not the control plane's loop. Never blocks on peers.
  virtual Status set(const std::string& key, std::vector<uint8_t> value) = 0;
  // Waits until somebody has set the key. One call of a rank at a time may wait for a key; another
  // one is InvalidArgument. Thread: any, but not the control plane's loop.
  // Fails: Timeout (names the key), PeerLost or Aborted as soon as the job fails or stops.
  virtual Result<std::vector<uint8_t>> get(const std::string& key, TimePoint deadline) = 0;
};

}  // namespace farandole

#pragma once
// NameRegistry: which names are in flight. That of a group (member_name.h) is by its members.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/request.h"

namespace farandole {

// Thread: any.
class NameRegistry {
 public:
  explicit NameRegistry(size_t max_in_flight) : max_in_flight_(max_in_flight) {}

  // Claims all names or none. Fails: InvalidArgument naming the one in flight already, be it as the
  // name of a tensor, of a group or of a group of another size.
  Status claim(const std::vector<Request>& requests);
  void release(uint32_t process_set, const std::string& name) noexcept;
  // For error lines: the first of those in flight, and how many more there are; empty without any.
  std::string in_flight();

 private:
  using Key = std::pair<uint32_t, std::string>;  // process set and name
  // Finds a Key by a view of it, without a copy.
  struct View : std::pair<uint32_t, std::string_view> {
    using pair::pair;
    View(const Key& key) noexcept : pair(key) {}  // NOLINT(google-explicit-constructor)
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const View& view) const noexcept {
      return std::hash<std::string_view>()(view.second) + view.first;
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const View& a, const View& b) const noexcept { return a == b; }
  };
  // The members of a group that are in flight.
  struct GroupInFlight {
    uint32_t count = 0;  // that there are
    size_t members = 0;  // of them in flight
  };
  template <typename Value>
  using Table = std::unordered_map<Key, Value, Hash, Equal>;

  bool claim_one(const Request& request) FARANDOLE_REQUIRES(mutex_);
  void erase(const View& key) noexcept FARANDOLE_REQUIRES(mutex_);

  const size_t max_in_flight_;
  Mutex mutex_;
  struct InFlight {
    CollectiveKind kind = CollectiveKind::Allreduce;
    Table<GroupInFlight>::pointer group = nullptr;  // that it is a member of
  };
  Table<InFlight> in_flight_ FARANDOLE_GUARDED_BY(mutex_);
  Table<GroupInFlight> groups_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole

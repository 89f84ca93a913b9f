#pragma once
// PendingOp: a submitted tensor until its ticket settles. PendingTable: those that wait for the
// ranks' agreement, by process set and name. Owned by the engine's thread, therefore no lock.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/request.h"
#include "core/ticket.h"

namespace farandole {

// Without a ticket nobody waits for it: this rank has joined, and stands in.
struct PendingOp {
  Request request;
  TicketPtr ticket;
  uint64_t mark = 0;  // as Event::mark
  bool stands_in() const noexcept { return !ticket; }
};

// A tensor that all ranks have agreed upon, with what they said about their parts.
struct ReadyTensor {
  PendingOp op;
  std::vector<int64_t> extents;
  uint32_t contributors = 0;  // as in StandIn; 0: all members
};
using Bucket = std::vector<ReadyTensor>;

class PendingTable {
 public:
  // Requires: the name is not in the table (NameRegistry sees to it).
  void add(PendingOp op) {
    std::pair key(op.request.signature.process_set, op.request.name);
    table_.emplace(std::move(key), std::move(op));
  }
  std::optional<PendingOp> take(uint32_t process_set, const std::string& name) {
    auto node = table_.extract({process_set, name});
    return node ? std::optional(std::move(node.mapped())) : std::nullopt;
  }
  std::vector<PendingOp> take_all() {
    std::vector<PendingOp> all;
    for (auto& [key, op] : table_) all.push_back(std::move(op));
    table_.clear();
    return all;
  }
  std::vector<PendingOp> take_all_of(uint32_t process_set) {
    std::vector<PendingOp> all;
    auto it = table_.lower_bound({process_set, {}});
    while (it != table_.end() && it->first.first == process_set) {
      all.push_back(std::move(it->second));
      it = table_.erase(it);
    }
    return all;
  }
  size_t size() const noexcept { return table_.size(); }

 private:
  std::map<std::pair<uint32_t, std::string>, PendingOp> table_;
};

}  // namespace farandole

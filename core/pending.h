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

struct PendingOp {
  Request request;
  TicketPtr ticket;
};

// A tensor that all ranks have agreed upon, with what they said about their parts.
struct ReadyTensor {
  PendingOp op;
  std::vector<int64_t> extents;
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
  size_t size() const noexcept { return table_.size(); }

 private:
  std::map<std::pair<uint32_t, std::string>, PendingOp> table_;
};

}  // namespace farandole

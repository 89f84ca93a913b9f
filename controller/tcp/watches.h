#pragma once
// Watches: which process is watched as which rank. What is noticed of a process is heard a little
// later; by then another one may be the rank, while the group forms, and that one is not concerned.

#include <map>
#include <optional>

namespace farandole::control {

// Thread: the loop's.
class Watches {
 public:
  // The number of a new watch, as no other has it; whoever was watched as `rank` is not any more.
  int begin(int rank) { return numbers_[rank] = ++last_; }
  // The number of the watch that ends; nothing where there is none.
  std::optional<int> end(int rank) {
    const auto node = numbers_.extract(rank);
    return node ? std::optional(node.mapped()) : std::nullopt;
  }
  // Whom it concerns; nothing where the watch has ended.
  std::optional<int> rank_of(int number) const {
    for (const auto& [rank, watch] : numbers_)
      if (watch == number)
        return rank;
    return std::nullopt;
  }

 private:
  std::map<int, int> numbers_;  // by rank
  int last_ = 0;
};

}  // namespace farandole::control

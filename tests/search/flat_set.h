#pragma once
// FlatSet: a set of small plain values that only grows; open addressing, as dense as memory allows.

#include <cstdint>
#include <vector>

namespace farandole::search {

// Requires: Value is trivially copyable, has operator== and `uint64_t hash() const`.
template <typename Value>
class FlatSet {
 public:
  FlatSet() : places_(1 << 10, 0) {}

  // False: it is there already.
  bool insert(const Value& value) {
    if ((values_.size() + 1) * 2 > places_.size())
      grow();
    uint32_t& place = place_of(value);
    if (place != 0)
      return false;
    values_.push_back(value);
    place = static_cast<uint32_t>(values_.size());
    return true;
  }
  size_t size() const noexcept { return values_.size(); }

 private:
  uint32_t& place_of(const Value& value) {
    const size_t mask = places_.size() - 1;
    size_t at = value.hash() & mask;
    while (places_[at] != 0 && !(values_[places_[at] - 1] == value)) at = (at + 1) & mask;
    return places_[at];
  }
  void grow() {
    places_.assign(places_.size() * 2, 0);
    for (size_t i = 0; i < values_.size(); ++i) place_of(values_[i]) = static_cast<uint32_t>(i + 1);
  }

  std::vector<uint32_t> places_;  // number of the value + 1, or 0
  std::vector<Value> values_;
};

}  // namespace farandole::search

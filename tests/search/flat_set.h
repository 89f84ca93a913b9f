#pragma once
// FlatSet and FlatMap: of small plain values, that only grow; open addressing, as dense as memory
// allows.

#include <cstdint>
#include <utility>
#include <vector>

namespace farandole::search {

// Requires: Value is trivially copyable, has operator== and `uint32_t hash() const`.
template <typename Value>
class FlatSet {
 public:
  FlatSet() : places_(1 << 10) {}

  // False: it is there already.
  bool insert(const Value& value) {
    if ((values_.size() + 1) * 2 > places_.size())
      grow();
    const uint32_t hash = value.hash();
    const size_t mask = places_.size() - 1;
    size_t at = hash & mask;
    // Values are looked at only where the whole hash is equal.
    for (; places_[at].number != 0; at = (at + 1) & mask)
      if (places_[at].hash == hash && values_[places_[at].number - 1] == value)
        return false;
    values_.push_back(value);
    places_[at] = {hash, static_cast<uint32_t>(values_.size())};
    return true;
  }
  size_t size() const noexcept { return values_.size(); }

 private:
  struct Place {
    uint32_t hash = 0;
    uint32_t number = 0;  // of the value + 1, or 0
  };
  void grow() {
    const std::vector<Place> old = std::exchange(places_, std::vector<Place>(places_.size() * 2));
    const size_t mask = places_.size() - 1;
    for (const Place& place : old) {
      if (place.number == 0)
        continue;
      size_t at = place.hash & mask;
      while (places_[at].number != 0) at = (at + 1) & mask;
      places_[at] = place;
    }
  }

  std::vector<Place> places_;
  std::vector<Value> values_;
};

// Numbers, none of which is 0, by a number.
class FlatMap {
 public:
  FlatMap() : places_(1 << 8) {}

  // 0 where the key is new: the caller sets it, before the next call.
  uint32_t& operator[](uint64_t key) {
    if ((size_ + 1) * 2 > places_.size())
      grow();
    Place& place = place_of(key);
    if (place.value == 0) {
      place.key = key;
      ++size_;
    }
    return place.value;
  }

 private:
  struct Place {
    uint64_t key = 0;
    uint32_t value = 0;
  };
  Place& place_of(uint64_t key) {
    const size_t mask = places_.size() - 1;
    size_t at = (key * 0x9E3779B97F4A7C15ULL >> 32) & mask;
    while (places_[at].value != 0 && places_[at].key != key) at = (at + 1) & mask;
    return places_[at];
  }
  void grow() {
    for (const Place& place : std::exchange(places_, std::vector<Place>(places_.size() * 2)))
      if (place.value != 0)
        place_of(place.key) = place;
  }

  std::vector<Place> places_;
  size_t size_ = 0;
};

}  // namespace farandole::search

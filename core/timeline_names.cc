#include "core/timeline_names.h"

namespace farandole {

uint32_t TimelineNames::number(uint32_t process_set, std::string_view name) {
  MutexLock lock(mutex_);
  const auto known = numbers_.find({process_set, name});
  if (known != numbers_.end())
    return known->second;
  const auto next = static_cast<uint32_t>(names_.size());
  if (next == kMost || bytes_ + name.size() > kMostBytes)
    return kNone;
  names_.emplace_back(process_set, name);
  try {
    numbers_.emplace(View(process_set, names_.back().second), next);
  } catch (...) {
    names_.pop_back();
    throw;
  }
  bytes_ += name.size();
  return next;
}

std::pair<uint32_t, std::string> TimelineNames::at(uint32_t number) const {
  MutexLock lock(mutex_);
  return names_.at(number);
}

void TimelineNames::clear() {
  MutexLock lock(mutex_);
  numbers_.clear();
  names_.clear();
  bytes_ = 0;
}

}  // namespace farandole

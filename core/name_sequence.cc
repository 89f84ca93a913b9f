#include "core/name_sequence.h"

#include "core/base/format.h"

namespace farandole {
namespace {

bool of_sets(CollectiveKind kind) {
  return kind == CollectiveKind::AddProcessSet || kind == CollectiveKind::RemoveProcessSet;
}

const char* row_name(CollectiveKind kind) {
  return of_sets(kind) ? "process_set" : name_of(kind);
}

}  // namespace

std::string NameSequence::next(CollectiveKind kind) {
  const auto row = static_cast<size_t>(of_sets(kind) ? CollectiveKind::AddProcessSet : kind);
  MutexLock lock(mutex_);
  return numbered(row_name(kind), ++last_.at(row));
}

std::string NameSequence::next(Way way) {
  MutexLock lock(mutex_);
  return numbered(name_of(CollectiveKind::Message), ++last_of_way_[way]);
}

std::string NameSequence::numbered(const char* row, uint64_t number) const {
  return joins_ == 0 ? fmt::format("{}.noname.{}", row, number)
                     : fmt::format("{}.noname.{}.{}", row, joins_, number);
}

void NameSequence::restart() {
  MutexLock lock(mutex_);
  ++joins_;
  last_ = {};
  last_of_way_.clear();
}

std::string NameSequence::none(CollectiveKind kind) {
  return fmt::format("{}.noname.0", row_name(kind));
}

}  // namespace farandole

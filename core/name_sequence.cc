#include "core/name_sequence.h"

#include "core/base/format.h"

namespace farandole {
namespace {

bool of_sets(CollectiveKind kind) {
  return kind == CollectiveKind::AddProcessSet || kind == CollectiveKind::RemoveProcessSet;
}

std::string written(CollectiveKind kind, uint64_t number) {
  return fmt::format("{}.noname.{}", of_sets(kind) ? "process_set" : name_of(kind), number);
}

}  // namespace

std::string NameSequence::next(CollectiveKind kind) {
  const auto row = static_cast<size_t>(of_sets(kind) ? CollectiveKind::AddProcessSet : kind);
  return written(kind, next_.at(row).fetch_add(1, std::memory_order_relaxed) + 1);
}

std::string NameSequence::none(CollectiveKind kind) {
  return written(kind, 0);
}

}  // namespace farandole

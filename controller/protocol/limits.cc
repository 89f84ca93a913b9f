#include "controller/protocol/limits.h"

#include "controller/protocol/messages.h"
#include "core/base/format.h"

namespace farandole::control {

Limits Limits::of(const Config& config) {
  const auto size = [](int64_t value) { return static_cast<size_t>(value); };
  return {
      .size = size(config.size),
      .max_name_bytes = size(config.max_name_bytes),
      .max_dims = size(config.max_dims),
      .max_pending = size(config.max_pending),
      .max_frame_bytes = size(config.max_frame_bytes),
      .store_bytes = size(config.store_bytes),
      .cache_capacity = size(config.cache_capacity),
      .fusion_bytes = size(config.fusion_bytes)};
}

namespace {

// A long list by its beginning, its length and a digest of the whole: what differs is seen to.
std::string shown(const std::string& text) {
  constexpr size_t kMost = 512;
  if (text.size() <= kMost)
    return text.empty() ? "none" : text;
  return fmt::format(
      "{}... ({} bytes, {:016x})", text.substr(0, kMost), text.size(), job_hash(text));
}

}  // namespace

std::vector<Setting> shared_settings(const Config& config) {
  const auto row = [](const char* name, int64_t value) {
    return Setting{name, std::to_string(value)};
  };
  const char* const communicators[] = {"auto", "shm", "gloo", "hierarchical", "flat"};
  return {
      {"FARANDOLE_PROCESS_SETS", shown(config.process_sets)},
      row("FARANDOLE_FUSION_BYTES", config.fusion_bytes),
      row("FARANDOLE_CACHE_CAPACITY", config.cache_capacity),
      row("FARANDOLE_MAX_PENDING", config.max_pending),
      row("FARANDOLE_MAX_NAME_BYTES", config.max_name_bytes),
      row("FARANDOLE_MAX_DIMS", config.max_dims),
      row("FARANDOLE_MAX_FRAME_BYTES", config.max_frame_bytes),
      row("FARANDOLE_STORE_BYTES", config.store_bytes),
      row("FARANDOLE_SHM_SLOT_BYTES", config.shm_slot_bytes),
      row("FARANDOLE_SHM_SLOTS", config.shm_slots),
      {"FARANDOLE_COMMUNICATOR", communicators[static_cast<size_t>(config.communicator)]}};
}

}  // namespace farandole::control

#include "controller/launch/environment.h"

namespace farandole::launch {

Environment::Environment(const char* const* block) {
  for (; block && *block; ++block) {
    const std::string_view entry(*block);
    const size_t equals = entry.find('=');
    if (equals != std::string_view::npos && equals > 0)
      values_.try_emplace(std::string(entry.substr(0, equals)), entry.substr(equals + 1));
  }
}

std::optional<std::string> Environment::find(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> Environment::names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : values_) names.push_back(name);
  return names;
}

std::vector<std::string> Environment::entries() const {
  std::vector<std::string> entries;
  for (const auto& [name, value] : values_) entries.push_back(name + "=" + value);
  return entries;
}

}  // namespace farandole::launch

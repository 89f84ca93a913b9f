#pragma once
// An environment as a value: the launcher's own, changed and handed to the ranks.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farandole::launch {

class Environment {
 public:
  Environment() = default;
  // `block` as environ(7): ends with a null pointer. Entries without '=' are dropped.
  explicit Environment(const char* const* block);

  std::optional<std::string> find(const std::string& name) const;
  bool has(const std::string& name) const { return values_.contains(name); }
  void set(const std::string& name, std::string value) { values_[name] = std::move(value); }
  void set_default(const std::string& name, std::string value) {
    values_.try_emplace(name, std::move(value));
  }
  void erase(const std::string& name) { values_.erase(name); }
  std::vector<std::string> names() const;
  // "NAME=value" each, ordered by name.
  std::vector<std::string> entries() const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace farandole::launch

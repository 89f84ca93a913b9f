// fdl_version to fdl_config: what is known without a session.

#include "bindings/c/error.h"
#include "bindings/c/sized.h"
#include "core/base/config.h"
#include "core/base/hardened.h"
#include "core/base/types.h"

namespace farandole::capi {
namespace {

struct Documented {
  ConfigRow row;
  std::string key;
};

std::string key_of(const std::string& variable) {
  std::string key = variable.substr(std::string_view("FARANDOLE_").size());
  for (char& letter : key)
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return key;
}

// Made once, so that the strings handed out stay.
const std::vector<Documented>& documentation() {
  static const std::vector<Documented> rows = [] {
    std::vector<Documented> made;
    for (ConfigRow& row : config_rows()) {
      std::string key = key_of(row.name);
      made.push_back({std::move(row), std::move(key)});
    }
    return made;
  }();
  return rows;
}

Status describe(size_t index, fdl_config_row* out) {
  const std::vector<Documented>& rows = documentation();
  if (index >= rows.size())
    return error(Code::InvalidArgument, "there is no setting {}; there are {}", index, rows.size());
  const auto& [row, key] = rows[index];
  const fdl_config_row value{
      sizeof(fdl_config_row),
      key.c_str(),
      row.name.c_str(),
      row.fallback.c_str(),
      row.accepts.c_str(),
      row.text.c_str()};
  return write_sized(value, out, "fdl_config_row");
}

}  // namespace
}  // namespace farandole::capi

extern "C" {

const char* fdl_version(void) {
  return FARANDOLE_VERSION;
}

const char* fdl_build_info(void) {
  return "farandole " FARANDOLE_VERSION ", " FARANDOLE_COMPILER ", " FARANDOLE_BUILD_TYPE;
}

size_t fdl_dtype_size(fdl_dtype dtype) {
  const bool exists = dtype >= 0 && dtype < farandole::kDTypeCount;
  return exists ? farandole::size_of(static_cast<farandole::DType>(dtype)) : 0;
}

size_t fdl_config_count(void) {
  size_t count = 0;
  farandole::capi::guarded([&] {
    count = farandole::capi::documentation().size();
    return farandole::Status::ok();
  });
  return count;
}

fdl_code fdl_config(size_t index, fdl_config_row* row) {
  return farandole::capi::guarded([&] { return farandole::capi::describe(index, row); });
}

}  // extern "C"

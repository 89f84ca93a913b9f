#include "core/base/format.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace farandole {
namespace {

// Line and paragraph separators (U+2028, U+2029) and what turns the direction of text around
// (U+202A..U+202E, U+2066..U+2069). Requires: three bytes of UTF-8.
bool moves_text(std::string_view text) {
  const auto second = static_cast<unsigned char>(text[1]);
  const auto third = static_cast<unsigned char>(text[2]);
  return static_cast<unsigned char>(text[0]) == 0xE2 &&
         ((second == 0x80 && third >= 0xA8 && third <= 0xAE) ||
          (second == 0x81 && third >= 0xA6 && third <= 0xA9));
}

// Length of the well-formed UTF-8 sequence at the head of `text`, 0 where there is none.
size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xC2 && lead < 0xE0 ? 2
                        : lead >= 0xE0 && lead < 0xF0 ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  if (length == 0 || length > text.size())
    return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80)
      return 0;
  }
  // C1 controls (U+0080..U+009F) can drive a terminal as C0 ones can.
  if (length == 2 && lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0)
    return 0;
  if (length == 3 && moves_text(text))
    return 0;
  return length;
}

std::string_view remedy(int errno_value) {
  if (errno_value == EMFILE)
    return "; allow the process more open files (ulimit -n)";
  if (errno_value == ENFILE)
    return "; allow the machine more open files (sysctl fs.file-max)";
  return "";
}

}  // namespace

Status system_error(std::string_view call, int errno_value) {
  std::array<char, 128> buffer{};
  const char* text = strerror_r(errno_value, buffer.data(), buffer.size());
  return error(Code::System, "{}: {} (errno {}){}", call, text, errno_value, remedy(errno_value));
}

std::string printable(std::string_view text, size_t limit) {
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const auto lead = static_cast<unsigned char>(text[0]);
    const bool plain = length > 1 || (length == 1 && lead >= 0x20 && lead != 0x7F);
    const std::string piece =
        plain ? std::string(text.substr(0, length)) : fmt::format("\\x{:02x}", lead);
    if (out.size() + piece.size() > limit)
      return out + "…";
    out += piece;
    text.remove_prefix(plain ? length : 1);
  }
  return out;
}

}  // namespace farandole

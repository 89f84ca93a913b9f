#pragma once
// Way: from which rank to which a message goes. It is a part of the message's name, so that what
// goes another way is another tensor, for whoever compares names.

#include <compare>
#include <string>
#include <string_view>

#include "core/request.h"

namespace farandole {

// Global ranks. Without ends: of what is no message.
struct Way {
  int from = -1;
  int to = -1;

  bool any() const noexcept { return from >= 0; }
  int low() const noexcept { return from < to ? from : to; }
  int high() const noexcept { return from < to ? to : from; }
  auto operator<=>(const Way&) const = default;
};

// Of a message: its root, and the first of its operands. Requires: request_check.h, or decode().
Way way_of(const Signature& signature) noexcept;

// `grad 0->1`: the name of the message "grad" from rank 0 to rank 1.
std::string with_way(std::string_view name, Way way);
// Whether it could be the name of a message: only messages may have it.
bool tells_way(std::string_view name) noexcept;
// Whether it is that of a message that goes this way.
bool tells_way(std::string_view name, Way way);

}  // namespace farandole

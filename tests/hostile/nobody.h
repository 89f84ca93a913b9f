#pragma once
// Runs a part of a test as another user: nobody, without any group or capability.

#include <functional>
#include <string>

namespace farandole::hostile {

inline constexpr unsigned kNobody = 65534;

// Only root can become somebody else.
bool can_be_nobody();

// What `body` says, in a child that has become nobody; "died" where the child did not come so far.
// Requires: can_be_nobody(), and no other thread in this process.
std::string as_nobody(const std::function<std::string()>& body);

}  // namespace farandole::hostile

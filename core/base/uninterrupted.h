#pragma once
// uninterrupted: a call of the operating system, made again as long as signals interrupt it.

#include <cerrno>

namespace farandole {

// The call's value. Requires: a call that returns a negative value and sets errno where it fails,
// and that has done nothing where errno is EINTR (so not close or connect).
template <typename Call>
auto uninterrupted(const Call& call) -> decltype(call()) {
  decltype(call()) result{};
  do result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

}  // namespace farandole

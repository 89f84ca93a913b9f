#pragma once
// Failpoints: places where a test can make a process die, stop, throw, or see a call of the
// operating system fail. One stands at every such call and at every change of state; their list is
// what a search of the sources finds (tests/failpoints/points.py), so a new one is swept without
// being entered anywhere. Names: file, then what is done there; for a call, its name comes last.
//
//   FARANDOLE_FAILPOINT("session.running");
//   FARANDOLE_FAIL_CALL("segment.mmap", ::mmap(...))     the call's value, or -1 and errno
//   ::send(fd, data, FARANDOLE_FAIL_SIZE("fd_io.send", size), 0)   size, or 1: a short transfer
//   FARANDOLE_FAIL_CODE("connection.async_read", code)   an error_code that may be replaced
//
// A release has none of this: there the macros are their arguments alone. In a debug build the
// variable FDL_FAILPOINT gives a process its order (see Order in failpoint.cc).

#ifdef FARANDOLE_FAILPOINTS
#ifdef NDEBUG
#error "FARANDOLE_FAILPOINTS is for tests and cannot be part of a release"
#endif
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace farandole::failpoint {

// Carries out an order to die, stop or throw here. Threads: any. Fails: std::runtime_error, where
// that is the order.
void at(const char* name);
// The errno with which the call here shall fail, or 0; carries out other orders as at().
int error_at(const char* name);
// `size`, or 1 where a short transfer is the order and size is more.
std::size_t size_at(const char* name, std::size_t size);

// Sets errno and says true where the call at `name` shall fail.
inline bool fails(const char* name) {
  const int error = error_at(name);
  if (error != 0)
    errno = error;
  return error != 0;
}

// Replaces a success (of the system category, as a default one is) by the error ordered. For
// std::error_code and boost::system's alike.
template <typename Code>
void replace(const char* name, Code& code) {
  if (const int error = error_at(name); error != 0)
    code.assign(error, code.category());
}

}  // namespace farandole::failpoint

#define FARANDOLE_FAILPOINT(name) ::farandole::failpoint::at(name)
#define FARANDOLE_FAIL_CALL(name, ...) \
  (::farandole::failpoint::fails(name) ? (decltype(__VA_ARGS__))(std::intptr_t{-1}) : (__VA_ARGS__))
#define FARANDOLE_FAIL_SIZE(name, size) ::farandole::failpoint::size_at(name, size)
#define FARANDOLE_FAIL_CODE(name, code) ::farandole::failpoint::replace(name, code)
#else
#define FARANDOLE_FAILPOINT(name) static_cast<void>(0)
#define FARANDOLE_FAIL_CALL(name, ...) (__VA_ARGS__)
#define FARANDOLE_FAIL_SIZE(name, size) (size)
#define FARANDOLE_FAIL_CODE(name, code) static_cast<void>(0)
#endif

#pragma once
// Codes of the C interface as Python exceptions: one class per code, defined in farandole.errors.

#include <farandole/farandole.h>
#include <pybind11/pybind11.h>

#include <string>

namespace farandole::python {

// Throws pybind11::error_already_set. `session`, where given, tells the host of the culprit.
// Requires: the GIL; `code` is an error that this thread has just met.
[[noreturn]] void raise(fdl_code code, const fdl_session* session = nullptr);
// The same for what the module itself finds wrong.
[[noreturn]] void raise_invalid(const std::string& text);
[[noreturn]] void raise_unsupported(const std::string& text);
// The error that was caught, in whose text the operation stands first where it is of an argument.
[[noreturn]] void raise_named(
    const pybind11::error_already_set& error, const char* kind, const std::string& name);

inline void check(fdl_code code, const fdl_session* session = nullptr) {
  if (code != FDL_OK)
    raise(code, session);
}

}  // namespace farandole::python

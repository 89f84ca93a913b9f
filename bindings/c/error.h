#pragma once
// The boundary of the C interface: every Status becomes a code and this thread's error text, and
// no exception gets past it.

#include <exception>
#include <new>
#include <utility>

#include "bindings/c/include/farandole/farandole.h"
#include "core/base/format.h"
#include "core/base/status.h"

namespace farandole::capi {

// Code of `status`; where it is an error, keeps its text and culprit for fdl_last_error().
fdl_code report(const Status& status) noexcept;

// Runs `body`, which returns a Status, and reports it.
template <typename Body>
fdl_code guarded(Body&& body) noexcept {
  try {
    return report(std::forward<Body>(body)());
  } catch (const std::bad_alloc&) {
    return report({Code::System, "out of memory"});
  } catch (const std::exception& unexpected) {
    return report({Code::Internal, unexpected.what()});
  } catch (...) {
    return report({Code::Internal, "an exception of unknown type"});
  }
}

}  // namespace farandole::capi

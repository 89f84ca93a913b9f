#pragma once
// Refusal: what a constructor throws where the operating system refuses what the object needs. It
// goes no further than the call that makes the object, which gives its Status back.

#include <stdexcept>
#include <utility>

#include "core/base/status.h"

namespace farandole {

class Refusal : public std::runtime_error {
 public:
  explicit Refusal(Status why) : std::runtime_error(why.message()), why_(std::move(why)) {}
  const Status& status() const noexcept { return why_; }

 private:
  Status why_;
};

}  // namespace farandole

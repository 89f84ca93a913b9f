#pragma once
// What Gloo's algorithms are interrupted with. Never leaves collectives/gloo.

#include <gloo/common/error.h>

namespace farandole::gloo_transport {

struct MeshFailed : ::gloo::IoException {
  using ::gloo::IoException::IoException;
};

}  // namespace farandole::gloo_transport

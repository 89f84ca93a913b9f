#include "core/base/status.h"

namespace farandole {

const char* code_name(Code code) noexcept {
  switch (code) {
    case Code::Ok:
      return "Ok";
    case Code::InvalidArgument:
      return "InvalidArgument";
    case Code::Mismatch:
      return "Mismatch";
    case Code::PeerLost:
      return "PeerLost";
    case Code::Timeout:
      return "Timeout";
    case Code::Aborted:
      return "Aborted";
    case Code::Unsupported:
      return "Unsupported";
    case Code::System:
      return "System";
    case Code::Internal:
      return "Internal";
  }
  return "Unknown";
}

std::string Status::to_string() const {
  return is_ok() ? "Ok" : std::string(code_name(code_)) + ": " + message_;
}

}  // namespace farandole

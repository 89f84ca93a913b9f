#include "bindings/c/error.h"

#include <string>

#include "core/base/types.h"

namespace farandole::capi {
namespace {

struct LastError {
  std::string text;
  int rank = -1;
};

// fdl_last_error() is per thread by contract; nothing else is kept here.
LastError& last_error() noexcept {
  thread_local LastError error;
  return error;
}

constexpr bool same(Code code, fdl_code value) {
  return static_cast<int>(code) == value;
}
static_assert(same(Code::Ok, FDL_OK) && same(Code::InvalidArgument, FDL_INVALID_ARGUMENT));
static_assert(same(Code::Mismatch, FDL_MISMATCH) && same(Code::PeerLost, FDL_PEER_LOST));
static_assert(same(Code::Timeout, FDL_TIMEOUT) && same(Code::Aborted, FDL_ABORTED));
static_assert(same(Code::Unsupported, FDL_UNSUPPORTED) && same(Code::System, FDL_SYSTEM));
static_assert(same(Code::Internal, FDL_INTERNAL));

}  // namespace

fdl_code report(const Status& status) noexcept {
  if (!status.is_ok()) {
    LastError& error = last_error();
    error.rank = status.culprit();
    try {
      error.text = status.message();
    } catch (...) {
      error.text.clear();  // no memory even for the text; the code still tells
    }
  }
  return static_cast<fdl_code>(status.code());
}

}  // namespace farandole::capi

extern "C" {

const char* fdl_last_error(void) {
  return farandole::capi::last_error().text.c_str();
}

int fdl_last_error_rank(void) {
  return farandole::capi::last_error().rank;
}

const char* fdl_code_name(fdl_code code) {
  return code == FDL_PENDING ? "Pending" : farandole::code_name(static_cast<farandole::Code>(code));
}

}  // extern "C"

#include "bindings/c/error.h"

#include <type_traits>

#include "bindings/c/last_error.h"
#include "core/base/types.h"

namespace farandole::capi {
namespace {

static_assert(std::is_trivially_destructible_v<LastError>);
// fdl_last_error() is per thread by contract; nothing else is kept here.
constinit thread_local LastError last_error;

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
  if (!status.is_ok())
    last_error.set(status.message(), status.culprit());
  return static_cast<fdl_code>(status.code());
}

}  // namespace farandole::capi

extern "C" {

const char* fdl_last_error(void) {
  return farandole::capi::last_error.text();
}

int fdl_last_error_rank(void) {
  return farandole::capi::last_error.rank();
}

const char* fdl_code_name(fdl_code code) {
  return code == FDL_PENDING ? "Pending" : farandole::code_name(static_cast<farandole::Code>(code));
}

}  // extern "C"

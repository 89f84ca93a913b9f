#pragma once
// Status and Result: how everything inside Farandole reports failure. No exception crosses a
// thread, a module or the C line; whoever calls a throwing library converts at that call.

#include <string>
#include <utility>
#include <variant>

namespace farandole {

// The few codes a caller can act upon. Values are part of the C ABI (fdl_code).
enum class Code : int {
  Ok = 0,
  InvalidArgument = 1,  // wrong on its own, found where it was said
  Mismatch = 2,         // ranks disagree; the job stays usable
  PeerLost = 3,         // a rank died, froze, left or cannot be reached
  Timeout = 4,          // a deadline passed
  Aborted = 5,          // ended by this rank's own shutdown or abort
  Unsupported = 6,      // meaningful, but nothing here can do it
  System = 7,           // the operating system refused
  Internal = 8,         // a defect of Farandole
};

// "InvalidArgument", "Mismatch" …
const char* code_name(Code code) noexcept;

// A code and a sentence for people. Value type; an Ok status carries no text.
class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status ok() noexcept { return {}; }

  bool is_ok() const noexcept { return code_ == Code::Ok; }
  explicit operator bool() const noexcept { return is_ok(); }
  Code code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  // Rank that caused a PeerLost, or -1 where none is known.
  int culprit() const noexcept { return culprit_; }
  Status& blame(int rank) noexcept {
    culprit_ = rank;
    return *this;
  }
  // "PeerLost: rank 1 (host a) …"
  std::string to_string() const;

  bool operator==(const Status&) const = default;

 private:
  Code code_ = Code::Ok;
  int culprit_ = -1;
  std::string message_;
};

// A value or the Status that explains its absence. Requires: value() only after has_value().
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::move(status)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  Status status() const { return has_value() ? Status::ok() : std::get<1>(state_); }

 private:
  std::variant<T, Status> state_;
};

// fmt-style construction: error(Code::Timeout, "waited {} ms", 5). Defined in format.h.

}  // namespace farandole

#define FARANDOLE_RETURN_IF_ERROR(expr)       \
  do {                                        \
    ::farandole::Status fdl_status_ = (expr); \
    if (!fdl_status_.is_ok())                 \
      return fdl_status_;                     \
  } while (false)

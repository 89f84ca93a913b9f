#pragma once
// What a submitted operation consists of on the Python side, and who keeps its memory alive.

#include <farandole/farandole.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <utility>
#include <vector>

#include "bindings/python/module/tensor_py.h"

namespace farandole::python {

// A handle of the C interface. Knows no Python object, so any thread may drop it; results that
// were handed out as arrays share it.
class Operation {
 public:
  explicit Operation(fdl_handle* handle) noexcept : handle_(handle) {}
  ~Operation() { fdl_release(handle_); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  fdl_handle* get() const noexcept { return handle_; }
  bool settled() const noexcept {
    int settled = 0;
    return fdl_poll(handle_, &settled) == FDL_OK && settled != 0;
  }

 private:
  fdl_handle* handle_;
};

// An operation and the Python objects whose memory it borrows until it has settled.
struct Loan {
  std::shared_ptr<Operation> operation;
  pybind11::object input, output;
};

// One session of the C interface and the loans that outlive their handles: a Python handle that is
// dropped while its operation is in flight leaves its loan here, to be released under the GIL by a
// later call or at the end. So no thread of Farandole ever waits for the GIL to release one.
// Thread: under the GIL.
class SessionState {
 public:
  explicit SessionState(fdl_session* session) noexcept : session_(session) {}
  // Ends what is in flight before the loans go; those of what could not be ended stay.
  ~SessionState();
  SessionState(const SessionState&) = delete;
  SessionState& operator=(const SessionState&) = delete;

  fdl_session* get() const noexcept { return session_; }
  TensorReader& reader() noexcept { return reader_; }

  void adopt(Loan loan) { orphans_.push_back(std::move(loan)); }
  void release_settled();
  size_t orphans() const noexcept { return orphans_.size(); }

 private:
  std::vector<Loan> orphans_;  // declared first: goes after the session has ended
  TensorReader reader_;
  fdl_session* session_;
};

}  // namespace farandole::python

#pragma once
// _native.Handle: one operation as Python sees it.

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>

#include "bindings/python/module/operation.h"

namespace farandole::python {

class PyHandle {
 public:
  PyHandle(std::shared_ptr<SessionState> session, Loan loan) noexcept
      : session_(std::move(session)), loan_(std::move(loan)) {}
  ~PyHandle();
  PyHandle(const PyHandle&) = delete;
  PyHandle& operator=(const PyHandle&) = delete;

  bool done() const;
  // False where `timeout` seconds have passed before. Drops the GIL; on the main thread Python's
  // signal handlers run meanwhile, and what they raise ends the wait, not the operation.
  bool wait(std::optional<double> timeout);
  // Results of a settled operation; raise how it failed, also again and again.
  pybind11::object numpy() const;
  pybind11::capsule dlpack() const;
  pybind11::bytes tobytes() const;
  pybind11::tuple shape() const;
  pybind11::object splits() const;
  const char* dtype() const;

 private:
  fdl_result result() const;
  void settled();

  std::shared_ptr<SessionState> session_;
  Loan loan_;
};

void register_handle(pybind11::module_& module);

}  // namespace farandole::python

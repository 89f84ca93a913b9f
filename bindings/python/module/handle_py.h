#pragma once
// _native.Handle: one operation as Python sees it.

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>

#include "bindings/python/module/operation.h"

namespace farandole::python {

class PyHandle {
 public:
  PyHandle(
      std::shared_ptr<SessionState> session, Loan loan, std::string kind, std::string name) noexcept
      : session_(std::move(session)),
        loan_(std::move(loan)),
        kind_(std::move(kind)),
        name_(std::move(name)) {}
  ~PyHandle();
  PyHandle(const PyHandle&) = delete;
  PyHandle& operator=(const PyHandle&) = delete;

  // As error texts call the operation: allreduce "grad/1".
  std::string description() const;
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
  // Of a join the rank that came last, of what adds a process set its number.
  int64_t value() const { return result().value; }

 private:
  fdl_result result() const;
  void settled();

  std::shared_ptr<SessionState> session_;
  Loan loan_;
  std::string kind_;
  std::string name_;  // empty: named by Farandole
};

void register_handle(pybind11::module_& module);

}  // namespace farandole::python

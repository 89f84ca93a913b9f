#include "bindings/python/module/session_py.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/module/callbacks_py.h"
#include "bindings/python/module/errors_py.h"
#include "bindings/python/module/handle_py.h"
#include "bindings/python/module/names_py.h"
#include "bindings/python/module/operation.h"
#include "bindings/python/module/prepared.h"
#include "bindings/python/module/without_gil.h"

namespace py = pybind11;

namespace farandole::python {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;
using HandlePtr = std::unique_ptr<PyHandle>;

class PySession {
 public:
  PySession(const Settings& settings, py::object given_up, py::object stacks);

  void shutdown(const std::string& cause);
  py::tuple topology() const;
  py::dict counters() const;
  HandlePtr submit(
      int kind,
      const std::string& name,
      const py::object& input,
      const py::object& output,
      int reduce_op,
      int root,
      double prescale,
      double postscale,
      const std::optional<std::vector<int64_t>>& splits,
      uint32_t process_set,
      uint32_t note,
      int peer);
  std::vector<HandlePtr> submit_all(
      int kind,
      const std::vector<std::string>& names,
      const std::vector<py::object>& inputs,
      const std::vector<py::object>& outputs,
      int reduce_op,
      int root,
      double prescale,
      double postscale,
      const std::vector<std::optional<std::vector<int64_t>>>& splits,
      uint32_t process_set,
      const std::vector<uint32_t>& notes,
      int peer);
  HandlePtr barrier(uint32_t process_set);
  HandlePtr add_process_set(const std::vector<int>& ranks);
  HandlePtr remove_process_set(uint32_t process_set);
  HandlePtr join(uint32_t process_set);
  std::string next_name(int kind, uint32_t process_set);
  std::string next_message_name(uint32_t process_set, int from, int to);
  void start_timeline(const std::string& path, bool mark_cycles);
  void stop_timeline();
  size_t loans() const { return state_->orphans(); }

 private:
  HandlePtr wrap(fdl_handle* handle, const Prepared& prepared) const;
  HandlePtr wrap(fdl_handle* handle, const char* kind) const;

  const CallbacksPtr callbacks_;  // declared first: goes after the session
  std::shared_ptr<SessionState> state_;
};

// What blocks, while other threads of Python run.
template <typename Call>
fdl_code unlocked(const Call& call) {
  const WithoutGil given_away;
  return call();
}

PySession::PySession(const Settings& settings, py::object given_up, py::object stacks)
    : callbacks_(new Callbacks{std::move(given_up), std::move(stacks)}) {
  std::vector<fdl_setting> given;
  given.reserve(settings.size());
  for (const auto& [key, value] : settings) given.push_back({key.c_str(), value.c_str()});
  fdl_options options = FDL_OPTIONS_INIT;
  options.settings = given.data();
  options.setting_count = given.size();
  options.give_up = interrupted;
  options.stacks = stacks_of;
  options.user = callbacks_.get();
  fdl_session* session = nullptr;
  const fdl_code code = unlocked([&] { return fdl_init(&options, &session); });
  if (PyErr_Occurred() != nullptr)
    throw py::error_already_set();
  check(code);
  state_ = std::make_shared<SessionState>(session);
}

void PySession::shutdown(const std::string& cause) {
  const fdl_code code =
      unlocked([&] { return fdl_shutdown_because(state_->get(), cause.c_str()); });
  state_->release_settled();
  check(code, state_->get());
}

py::tuple PySession::topology() const {
  fdl_topology t = {sizeof(fdl_topology), 0, 0, 0, 0, 0, 0, 0};
  check(fdl_get_topology(state_->get(), &t), state_->get());
  return py::make_tuple(
      t.rank, t.size, t.local_rank, t.local_size, t.cross_rank, t.cross_size, t.homogeneous != 0);
}

py::dict PySession::counters() const {
  fdl_counters values = FDL_COUNTERS_INIT;
  check(fdl_get_counters(state_->get(), &values), state_->get());
  py::dict made;
  made["submitted"] = values.submitted;
  made["agreed"] = values.agreed;
  made["rejected"] = values.rejected;
  made["settled_ok"] = values.settled_ok;
  made["settled_failed"] = values.settled_failed;
  made["buckets"] = values.buckets;
  made["bytes"] = values.bytes;
  made["busy_nanoseconds"] = values.busy_nanoseconds;
  return made;
}

HandlePtr PySession::wrap(fdl_handle* handle, const Prepared& prepared) const {
  Loan loan{std::make_shared<Operation>(handle), prepared.input.keep, prepared.output.keep};
  return std::make_unique<PyHandle>(state_, std::move(loan), prepared.kind(), prepared.full_name());
}

// Of what borrows no memory.
HandlePtr PySession::wrap(fdl_handle* handle, const char* kind) const {
  Loan loan{std::make_shared<Operation>(handle), py::none(), py::none()};
  return std::make_unique<PyHandle>(state_, std::move(loan), kind, "");
}

HandlePtr PySession::submit(
    int kind,
    const std::string& name,
    const py::object& input,
    const py::object& output,
    int reduce_op,
    int root,
    double prescale,
    double postscale,
    const std::optional<std::vector<int64_t>>& splits,
    uint32_t process_set,
    uint32_t note,
    int peer) {
  state_->release_settled();
  Prepared prepared;
  fdl_request& request = prepared.request;
  request.kind = static_cast<fdl_kind>(kind);
  request.reduce_op = static_cast<fdl_reduce_op>(reduce_op);
  request.root = root;
  request.prescale = prescale;
  request.postscale = postscale;
  request.process_set = process_set;
  request.note = note;
  request.peer = peer;
  prepared.name = checked_name(name);
  prepared.read(state_->reader(), input, output);
  if (splits)
    prepared.splits = *splits;
  prepared.link();
  fdl_handle* handle = nullptr;
  check(fdl_submit(state_->get(), &request, 1, &handle), state_->get());
  return wrap(handle, prepared);
}

std::vector<HandlePtr> PySession::submit_all(
    int kind,
    const std::vector<std::string>& names,
    const std::vector<py::object>& inputs,
    const std::vector<py::object>& outputs,
    int reduce_op,
    int root,
    double prescale,
    double postscale,
    const std::vector<std::optional<std::vector<int64_t>>>& splits,
    uint32_t process_set,
    const std::vector<uint32_t>& notes,
    int peer) {
  state_->release_settled();
  const size_t count = inputs.size();
  if (names.size() != count || outputs.size() != count || splits.size() != count ||
      (!notes.empty() && notes.size() != count))
    raise_invalid("names, inputs, outputs, splits and notes must have the same length");
  Prepared common;
  common.request.kind = static_cast<fdl_kind>(kind);
  common.request.reduce_op = static_cast<fdl_reduce_op>(reduce_op);
  common.request.root = root;
  common.request.prescale = prescale;
  common.request.postscale = postscale;
  common.request.process_set = process_set;
  common.request.peer = peer;
  std::vector<Prepared> prepared(count, common);
  std::vector<fdl_request> requests;
  requests.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Prepared& one = prepared[i];
    one.name = checked_name(names[i]);
    one.read(state_->reader(), inputs[i], outputs[i]);
    if (splits[i])
      one.splits = *splits[i];
    one.request.note = notes.empty() ? 0 : notes[i];
    one.link();
    requests.push_back(one.request);
  }
  std::vector<fdl_handle*> handles(inputs.size());
  check(fdl_submit(state_->get(), requests.data(), requests.size(), handles.data()), state_->get());
  std::vector<HandlePtr> wrapped;
  for (size_t i = 0; i < handles.size(); ++i) wrapped.push_back(wrap(handles[i], prepared[i]));
  return wrapped;
}

HandlePtr PySession::barrier(uint32_t process_set) {
  fdl_request request = FDL_REQUEST_INIT;
  request.kind = FDL_BARRIER;
  request.process_set = process_set;
  fdl_handle* handle = nullptr;
  check(fdl_submit(state_->get(), &request, 1, &handle), state_->get());
  return wrap(handle, "barrier");
}

HandlePtr PySession::add_process_set(const std::vector<int>& ranks) {
  fdl_handle* handle = nullptr;
  check(
      fdl_add_process_set_async(state_->get(), ranks.data(), ranks.size(), &handle), state_->get());
  return wrap(handle, "add_process_set");
}

HandlePtr PySession::remove_process_set(uint32_t process_set) {
  fdl_handle* handle = nullptr;
  check(fdl_remove_process_set_async(state_->get(), process_set, &handle), state_->get());
  return wrap(handle, "remove_process_set");
}

HandlePtr PySession::join(uint32_t process_set) {
  fdl_handle* handle = nullptr;
  check(fdl_join_async(state_->get(), process_set, &handle), state_->get());
  return wrap(handle, "join");
}

std::string PySession::next_name(int kind, uint32_t process_set) {
  std::array<char, 64> name{};
  check(
      fdl_next_name(
          state_->get(), static_cast<fdl_kind>(kind), process_set, name.data(), name.size()),
      state_->get());
  return name.data();
}

std::string PySession::next_message_name(uint32_t process_set, int from, int to) {
  std::array<char, 64> name{};
  check(
      fdl_next_message_name(state_->get(), process_set, from, to, name.data(), name.size()),
      state_->get());
  return name.data();
}

void PySession::start_timeline(const std::string& path, bool mark_cycles) {
  check(unlocked([&] { return fdl_start_timeline(state_->get(), path.c_str(), mark_cycles); }));
}

void PySession::stop_timeline() {
  check(unlocked([&] { return fdl_stop_timeline(state_->get()); }));
}

void register_submissions(py::class_<PySession>& session) {
  session
      .def(
          "submit",
          &PySession::submit,
          py::arg("kind"),
          py::arg("name"),
          py::arg("input"),
          py::arg("output") = py::none(),
          py::arg("reduce_op") = 0,
          py::arg("root") = 0,
          py::arg("prescale") = 1.0,
          py::arg("postscale") = 1.0,
          py::arg("splits") = py::none(),
          py::arg("process_set") = 0,
          py::arg("note") = 0,
          py::arg("peer") = 0,
          "Submits one tensor. output: of the input's shape, or None for memory of Farandole's.")
      .def(
          "submit_all",
          &PySession::submit_all,
          py::arg("kind"),
          py::arg("names"),
          py::arg("inputs"),
          py::arg("outputs"),
          py::arg("reduce_op"),
          py::arg("root"),
          py::arg("prescale"),
          py::arg("postscale"),
          py::arg("splits"),
          py::arg("process_set") = 0,
          py::arg("notes") = std::vector<uint32_t>(),
          py::arg("peer") = 0,
          "Submits several tensors, all or none; outputs, splits and notes as of submit, one "
          "each.");
}

}  // namespace

void register_session(py::module_& module) {
  py::class_<PySession> session(module, "Session", "One rank's membership in one job.");
  register_submissions(session);
  session
      .def(
          py::init<const Settings&, py::object, py::object>(),
          py::arg("settings"),
          py::arg("given_up"),
          py::arg("stacks"),
          "Joins the job, unless the callable `given_up`, asked every 100 ms, says yes. `stacks` "
          "gives a text that tells where all threads are; called on another thread.")
      .def(
          "shutdown",
          &PySession::shutdown,
          py::arg("cause"),
          "Leaves the job, for which other ranks read `cause`; ends what is in flight. Idempotent.")
      .def_property_readonly(
          "topology",
          &PySession::topology,
          "rank, size, local_rank, local_size, cross_rank, cross_size, homogeneous")
      .def(
          "counters",
          &PySession::counters,
          "What this rank has done so far; the fields of fdl_counters.")
      .def("barrier", &PySession::barrier, py::arg("process_set") = 0)
      .def("add_process_set", &PySession::add_process_set, py::arg("ranks"))
      .def("remove_process_set", &PySession::remove_process_set, py::arg("process_set"))
      .def("join", &PySession::join, py::arg("process_set"))
      .def(
          "next_name",
          &PySession::next_name,
          py::arg("kind"),
          py::arg("process_set") = 0,
          "Takes the name that the next unnamed operation of this kind in the set would get.")
      .def(
          "next_message_name",
          &PySession::next_message_name,
          py::arg("process_set"),
          py::arg("source"),
          py::arg("dest"),
          "The same of messages from one rank to another.")
      .def(
          "start_timeline",
          &PySession::start_timeline,
          py::arg("path"),
          py::arg("mark_cycles"),
          "Records what becomes of each operation; {rank} in the path is the rank's number.")
      .def("stop_timeline", &PySession::stop_timeline)
      .def_property_readonly(
          "loans", &PySession::loans, "Operations in flight whose handles were dropped.");
}

}  // namespace farandole::python

// farandole.hpp: farandole.h for C++17: owners instead of pointers, exceptions instead of codes,
// element types instead of dtypes. Header-only; everything said in farandole.h holds.
//
//   fdl::Session session;
//   std::vector<float> gradient = …;
//   session.allreduce<float>(gradient, gradient, FDL_AVERAGE, "gradient");
//
// The element type is always given, as here: it cannot be deduced from what makes a Span.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <farandole/operations.hpp>

namespace fdl {

// What a function of the C interface writes into an array, however long.
template <typename T, typename Read>
std::vector<T> read_all(const Read& read) {
  std::vector<T> values;
  for (size_t count = 0;; values.resize(count)) {
    check(read(values.data(), values.size(), &count));
    if (count <= values.size()) {
      values.resize(count);
      return values;
    }
  }
}

using Settings = std::vector<std::pair<std::string, std::string>>;

// A group of ranks, which add_process_set() or the setting process_sets has made. It may be copied;
// the session outlives what is done with it.
class ProcessSet : public Operations {
 public:
  ProcessSet(fdl_session* session, uint32_t id) noexcept : Operations(session, id) {}

  // The same on every rank; 0 is that of all ranks.
  uint32_t id() const noexcept { return process_set_; }
  // Of the job, ascending: the order of parts and rows.
  std::vector<int> ranks() const {
    return read_all<int>([this](int* ranks, size_t capacity, size_t* count) {
      return fdl_process_set_ranks(session_, process_set_, ranks, capacity, count);
    });
  }
  int size() const { return static_cast<int>(ranks().size()); }
  // This process's place in ranks(), or -1.
  int rank() const {
    const std::vector<int> all = ranks();
    const auto own = std::find(all.begin(), all.end(), fdl_rank(session_));
    return own == all.end() ? -1 : static_cast<int>(own - all.begin());
  }
  bool included() const { return rank() >= 0; }
};

// One rank's membership in one job; leaves it when destroyed. Where an exception is what destroys
// it, ranks that still need this one read "left the job: an exception ended its fdl::Session".
class Session : public Operations {
 public:
  // Settings go before the environment: Session({{"start_timeout", "60"}}).
  explicit Session(const Settings& settings = {}, bool ignore_environment = false) {
    std::vector<fdl_setting> given;
    given.reserve(settings.size());
    for (const auto& [key, value] : settings) given.push_back({key.c_str(), value.c_str()});
    fdl_options options = FDL_OPTIONS_INIT;
    options.settings = given.data();
    options.setting_count = given.size();
    options.ignore_environment = ignore_environment ? 1 : 0;
    check(fdl_init(&options, &session_));
  }
  explicit Session(
      std::initializer_list<Settings::value_type> settings, bool ignore_environment = false)
      : Session(Settings(settings), ignore_environment) {}
  Session(Session&& other) noexcept
      : Operations(std::exchange(other.session_, nullptr), 0), exceptions_(other.exceptions_) {}
  Session& operator=(Session&& other) noexcept {
    std::swap(session_, other.session_);
    std::swap(exceptions_, other.exceptions_);
    return *this;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    if (session_ && std::uncaught_exceptions() > exceptions_)
      fdl_shutdown_because(session_, "an exception ended its fdl::Session");
    fdl_destroy(session_);
  }

  void shutdown() { check(fdl_shutdown(session_)); }
  // What ranks that still need this one are told instead of "shutdown".
  void shutdown(const std::string& cause) { check(fdl_shutdown_because(session_, cause.c_str())); }
  void check_health() const { check(fdl_health(session_)); }
  fdl_topology topology() const {
    fdl_topology topology = {sizeof(fdl_topology), 0, 0, 0, 0, 0, 0, 0};
    check(fdl_get_topology(session_, &topology));
    return topology;
  }
  int rank() const { return topology().rank; }
  int size() const { return topology().size; }
  // Also after shutdown().
  fdl_counters counters() const {
    fdl_counters counters = FDL_COUNTERS_INIT;
    check(fdl_get_counters(session_, &counters));
    return counters;
  }
  fdl_session* get() const noexcept { return session_; }

  // "{rank}" in the path: each rank has a file of its own; else rank 0 alone has one.
  void start_timeline(const std::string& path, bool mark_cycles = false) {
    check(fdl_start_timeline(session_, path.c_str(), mark_cycles ? 1 : 0));
  }
  void stop_timeline() { check(fdl_stop_timeline(session_)); }

  // In the process set that the request names.
  Handle submit(const fdl_request& request) {
    fdl_handle* handle = nullptr;
    check(fdl_submit(session_, &request, 1, &handle));
    return Handle(handle);
  }

  // Makes a process set of these ranks. Every rank calls this, with the same ranks.
  ProcessSet add_process_set(const std::vector<int>& ranks) {
    uint32_t id = 0;
    check(fdl_add_process_set(session_, ranks.data(), ranks.size(), &id));
    return {session_, id};
  }
  // Every rank calls this, too.
  void remove_process_set(const ProcessSet& set) {
    check(fdl_remove_process_set(session_, set.id()));
  }
  // All that there are, with that of all ranks, by ascending id.
  std::vector<ProcessSet> process_sets() const {
    const auto read = [this](uint32_t* ids, size_t capacity, size_t* count) {
      return fdl_process_sets(session_, ids, capacity, count);
    };
    std::vector<ProcessSet> sets;
    for (const uint32_t id : read_all<uint32_t>(read)) sets.push_back({session_, id});
    return sets;
  }

 private:
  int exceptions_ = std::uncaught_exceptions();  // that were on their way when it began
};

}  // namespace fdl

// fdl_init to fdl_get_counters: a session's life, and what it knows about the job and itself.

#include <algorithm>
#include <functional>
#include <string>

#include "bindings/c/error.h"
#include "bindings/c/objects.h"
#include "bindings/c/sized.h"
#include "bindings/session_factory.h"
#include "core/base/horovod_variables.h"
#include "core/base/log.h"

namespace farandole::capi {
namespace {

Status read_options(const fdl_options* from, fdl_options& options) {
  if (from)
    FARANDOLE_RETURN_IF_ERROR(read_sized(from, options, "fdl_options"));
  if (options.setting_count > 0 && !options.settings)
    return error(
        Code::InvalidArgument,
        "fdl_options: settings is NULL, but setting_count is {}",
        options.setting_count);
  return Status::ok();
}

void warn_of_unknown_names() {
  for (const std::string& warning : Config::unknown_names(environment_names()))
    FARANDOLE_LOG(Warning, "{}", warning);
}

Result<Config> base_config(bool ignore_environment) {
  if (ignore_environment)
    return Config();
  Result<Config> config = Config::from_env();
  if (!config)
    warn_of_unknown_names();  // whichever rank this is: one of them may be why
  return config;
}

// What was meant and is not so: said by rank 0.
void warn_of_environment(const Config& config) {
  if (config.rank != 0)
    return;
  const LogMember log(config.log_level, config.size > 1 ? "rank 0" : "");
  const LogScope scope(log.label());
  if (const auto alone = config.size == 1 ? foreign_launcher(environment_value) : std::nullopt)
    FARANDOLE_LOG(Warning, "{}", *alone);
  warn_of_unknown_names();
  for (const std::string& warning : horovod_warnings(environment_names(), environment_value))
    FARANDOLE_LOG(Warning, "{}", warning);
}

Result<Config> configure(const fdl_options& options) {
  Result<Config> config = base_config(options.ignore_environment != 0);
  if (!config)
    return config;
  for (size_t i = 0; i < options.setting_count; ++i) {
    const fdl_setting& setting = options.settings[i];
    if (!setting.key || !setting.value)
      return error(Code::InvalidArgument, "fdl_options: key or value of setting {} is NULL", i);
    FARANDOLE_RETURN_IF_ERROR(config.value().set(setting.key, setting.value));
  }
  FARANDOLE_RETURN_IF_ERROR(config.value().check());
  if (options.ignore_environment == 0)
    warn_of_environment(config.value());
  return config;
}

// As make_session wants it; nothing where the program says nothing of itself.
std::function<std::string()> asking(const fdl_options& options) {
  if (!options.stacks)
    return {};
  return [stacks = options.stacks, user = options.user] {
    constexpr size_t kCapacity = 16384;  // of an answer to rank 0
    std::string text(kCapacity, '\0');
    text.resize(std::min(stacks(user, text.data(), text.size()), kCapacity));
    return text;
  };
}

Status init(const fdl_options* given, fdl_session** out) {
  if (!out)
    return {Code::InvalidArgument, "fdl_init: there is no place for the session (NULL)"};
  *out = nullptr;
  fdl_options options = FDL_OPTIONS_INIT;
  FARANDOLE_RETURN_IF_ERROR(read_options(given, options));
  Result<Config> config = configure(options);
  if (!config)
    return config.status();
  auto place = std::make_unique<fdl_session>();
  std::function<bool()> give_up;
  if (options.give_up)
    give_up = [&options] { return options.give_up(options.user) != 0; };
  Result<std::unique_ptr<Session>> session =
      make_session(std::move(config).value(), {}, std::move(give_up), asking(options));
  if (!session)
    return session.status();
  place->box = std::make_shared<SessionBox>(std::move(session).value());
  *out = place.release();
  return Status::ok();
}

fdl_topology describe(const Topology& t) {
  return {
      sizeof(fdl_topology),
      t.rank,
      t.size,
      t.local_rank,
      t.local_size,
      t.cross_rank,
      t.cross_size,
      t.homogeneous ? 1 : 0};
}

fdl_counters describe(const Counters::Values& v) {
  return {
      sizeof(fdl_counters),
      v.submitted,
      v.agreed,
      v.rejected,
      v.settled_ok,
      v.settled_failed,
      v.buckets,
      v.bytes,
      v.busy_nanoseconds};
}

Status host_of(const std::vector<Member>& members, int rank, char* host, size_t capacity) {
  if (!host || capacity == 0)
    return {Code::InvalidArgument, "fdl_host_of: there is no room for the name"};
  if (rank < 0 || static_cast<size_t>(rank) >= members.size())
    return error(
        Code::InvalidArgument,
        "rank {} does not exist; ranks are 0 to {}",
        rank,
        members.size() - 1);
  copy_text(members[static_cast<size_t>(rank)].host, host, capacity);
  return Status::ok();
}

}  // namespace
}  // namespace farandole::capi

using farandole::Status;
using farandole::capi::guarded;
using farandole::capi::usable;

extern "C" {

fdl_code fdl_init(const fdl_options* options, fdl_session** session) {
  return guarded([&] { return farandole::capi::init(options, session); });
}

fdl_code fdl_shutdown(fdl_session* session) {
  return guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(farandole::capi::usable_to_end(session));
    return session->box->shutdown("shutdown");
  });
}

fdl_code fdl_shutdown_because(fdl_session* session, const char* cause) {
  return guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(farandole::capi::usable_to_end(session));
    if (!cause || *cause == '\0')
      return Status(
          farandole::Code::InvalidArgument,
          "fdl_shutdown_because: there is no cause (NULL or empty); fdl_shutdown needs none");
    return session->box->shutdown(cause);
  });
}

fdl_code fdl_destroy(fdl_session* session) {
  return guarded([&] {
    if (!session)
      return Status::ok();
    const auto taken = farandole::capi::taken_back(session);
    FARANDOLE_RETURN_IF_ERROR(taken.status());
    farandole::capi::SessionBox& box = *taken.value()->box;
    return box.forked() ? Status::ok() : box.shutdown("shutdown");
  });
}

fdl_code fdl_health(const fdl_session* session) {
  return guarded([&] {
    const auto used = farandole::capi::use(session);
    return used ? used.value()->health() : used.status();
  });
}

fdl_code fdl_get_topology(const fdl_session* session, fdl_topology* topology) {
  return guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(usable(session));
    return farandole::capi::write_sized(
        farandole::capi::describe(session->box->topology()), topology, "fdl_topology");
  });
}

int fdl_rank(const fdl_session* session) {
  const bool known = guarded([&] { return usable(session); }) == FDL_OK;
  return known ? session->box->topology().rank : -1;
}

int fdl_size(const fdl_session* session) {
  const bool known = guarded([&] { return usable(session); }) == FDL_OK;
  return known ? session->box->topology().size : -1;
}

fdl_code fdl_host_of(const fdl_session* session, int rank, char* host, size_t capacity) {
  return guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(usable(session));
    return farandole::capi::host_of(session->box->members(), rank, host, capacity);
  });
}

fdl_code fdl_get_counters(const fdl_session* session, fdl_counters* counters) {
  return guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(usable(session));
    return farandole::capi::write_sized(
        farandole::capi::describe(session->box->counters()), counters, "fdl_counters");
  });
}

}  // extern "C"

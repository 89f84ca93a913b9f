#pragma once
// Whole jobs through the C interface: every rank is a thread with a session of its own, told its
// place by settings alone.

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bindings/c_api_fixture.h"
#include "tests/support/session_cluster.h"

namespace farandole::testing {

using Settings = std::vector<std::pair<std::string, std::string>>;

// Of a rank: its place, and what else is given.
inline Settings settings_of(const TestJob& job, int rank, int size, const Settings& more) {
  const Config config = job.config(rank, size);
  Settings settings{
      {"rank", std::to_string(rank)},
      {"size", std::to_string(size)},
      {"controller", config.controller},
      {"job", config.job},
      {"secret_file", config.secret_file}};
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

inline fdl_session* start(const TestJob& job, int rank, int size, const Settings& more) {
  const Settings settings = settings_of(job, rank, size, more);
  std::vector<fdl_setting> given;
  for (const auto& [key, value] : settings) given.push_back({key.c_str(), value.c_str()});
  fdl_options options = FDL_OPTIONS_INIT;
  options.settings = given.data();
  options.setting_count = given.size();
  options.ignore_environment = 1;
  fdl_session* session = nullptr;
  EXPECT_OK(fdl_init(&options, &session));
  return session;
}

// Runs `body` on one thread per rank. The body ends its session itself.
inline void run_job(
    int size, const std::function<void(fdl_session*, int)>& body, const Settings& more = {}) {
  const TestJob job;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      fdl_session* session = start(job, rank, size, more);
      ASSERT_NE(session, nullptr);
      body(session, rank);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace farandole::testing

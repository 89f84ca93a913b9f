#pragma once
// Place: between which ranks the job of a parameterized test runs, and how they communicate.

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>

#include "tests/support/session_cluster.h"

namespace farandole::testing {

struct Place {
  CommunicatorChoice communicator;
  int size;
  int hosts;  // ranks are dealt to so many pretended hosts
};

// As run_cluster.
inline void run_at(
    const Place& place,
    const std::function<void(Config&)>& adjust,
    const std::function<void(Session&, int rank)>& body) {
  run_cluster(
      place.size,
      [&](Config& config) {
        config.communicator = place.communicator;
        config.host = fmt::format("host{}", config.rank * place.hosts / place.size);
        adjust(config);
      },
      body);
}

inline std::string name_of_place(const ::testing::TestParamInfo<Place>& info) {
  constexpr std::array kNames{"Auto", "Shm", "Gloo", "Hierarchical"};
  const auto name = kNames.at(static_cast<size_t>(info.param.communicator));
  return fmt::format("{}{}on{}", name, info.param.size, info.param.hosts);
}

}  // namespace farandole::testing

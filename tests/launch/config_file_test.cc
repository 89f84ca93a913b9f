#include "controller/launch/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

std::string problem_of(std::string_view text) {
  Arguments given;
  const Status status = add_config_file(text, "j.yaml", given);
  EXPECT_EQ(status.code(), Code::InvalidArgument) << text;
  return status.message();
}

TEST(ConfigFile, ReadsTheSectionsOfHorovod) {
  Arguments given;
  const Status status = add_config_file(
      "controller: gloo\n"
      "params:\n"
      "  fusion_threshold_mb: 32\n"
      "  cache-capacity: 2048   # either way to write it\n"
      "  torus_allreduce: false\n"
      "autotune:\n"
      "  enabled: no\n"
      "timeline:\n"
      "stall_check: {enabled: false}\n"
      "library-options:\n"
      "  gloo_timeout_seconds: '60'\n"
      "logging:\n"
      "  level: INFO\n"
      "  with_timestamp: True\n",
      "j.yaml",
      given);
  ASSERT_TRUE(status) << status.message();
  EXPECT_EQ(given.value("--fusion-threshold-mb"), "32");
  EXPECT_EQ(given.value("--cache-capacity"), "2048");
  EXPECT_EQ(given.value("--gloo-timeout-seconds"), "60");
  EXPECT_EQ(given.value("--log-level"), "INFO");
  for (const char* flag :
       {"--gloo",
        "--no-torus-allreduce",
        "--no-autotune",
        "--no-stall-check",
        "--log-with-timestamp"})
    EXPECT_TRUE(given.has(flag)) << flag;
  EXPECT_EQ(given.flags.size(), 9U);
}

TEST(ConfigFile, FlagsOfTheCommandLineGoBeforeIt) {
  Arguments given;
  given.flags["--cache-capacity"] = {"--cache-capacity", "1"};
  given.flags["--no-autotune"] = {"--no-autotune", std::nullopt};
  const Status status =
      add_config_file("params: {cache_capacity: 2}\nautotune: {enabled: true}\n", "j.yaml", given);
  ASSERT_TRUE(status) << status.message();
  EXPECT_EQ(given.value("--cache-capacity"), "1");
  EXPECT_EQ(given.flags.size(), 2U);
}

TEST(ConfigFile, WhatAsksForNothingIsNotRefused) {
  Arguments given;
  const Status status = add_config_file(
      "params:\n"
      "  hierarchical_allreduce: false\n"
      "  hierarchical-allgather: no\n"
      "  torus_allreduce: no\n"
      "autotune:\n"
      "  log_file: tuned.txt\n"
      "  warmup_samples: 5\n"
      "  enabled: false\n"
      "library_options:\n"
      "  mpi_threads_disable: false\n",
      "j.yaml",
      given);
  ASSERT_TRUE(status) << status.message();
  EXPECT_TRUE(given.has("--no-autotune"));
  EXPECT_TRUE(given.has("--no-torus-allreduce"));
  EXPECT_TRUE(given.has("--no-hierarchical-allreduce"));
  EXPECT_TRUE(given.has("--no-hierarchical-allgather"));
  EXPECT_EQ(given.flags.size(), 4U);
}

TEST(ConfigFile, AnEmptyOneAsksForNothing) {
  Arguments given;
  EXPECT_TRUE(add_config_file("", "j.yaml", given));
  EXPECT_TRUE(add_config_file("# nothing\n", "j.yaml", given));
  EXPECT_TRUE(given.flags.empty());
}

TEST(ConfigFile, RefusesByNameAndLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"params:\n  cache_capacty: 1\n",
       "j.yaml:2: unknown key \"cache_capacty\" in params; did you mean cache_capacity? "
       "known: fusion_threshold_mb, cache_capacity, hierarchical_allreduce, "
       "hierarchical_allgather, torus_allreduce"},
      {"\nparms: {}\n",
       "j.yaml:2: unknown section \"parms\"; known: controller, params, autotune, timeline, "
       "stall_check, "
       "library_options, logging"},
      {"num-proc: 2\n",
       "j.yaml:1: unknown section \"num-proc\"; --num-proc stands on the command line; known: "
       "controller, "
       "params, autotune, timeline, stall_check, library_options, logging"},
      {"autotune:\n  cycles: 1\n", "j.yaml:2: unknown key \"cycles\" in autotune; known: enabled"},
      {"[1, 2]",
       "j.yaml holds no sections; lines like \"params:\" are wanted, with keys below them"},
      {"logging: 3\n",
       "j.yaml:1: logging holds no keys; known: level, with_timestamp, hide_timestamp"},
      {"logging:\n  level:\n    - info\n", "j.yaml:2: level needs one value behind it"},
      {"logging:\n  level: ''\n", "j.yaml:2: level needs a value"},
      {"logging:\n  level: info\n  level: info\n", "j.yaml:3: level is given twice"},
      {"autotune:\n  enabled: perhaps\n",
       "j.yaml:2: enabled \"perhaps\" is not valid: true or false is wanted"},
      {"autotune:\n  enabled: true\n",
       "j.yaml:2: enabled: nothing is tuned by itself yet; leave it out, or set "
       "--fusion-threshold-mb and --cache-capacity by hand"},
      {"params:\n\n  cycle_time_ms: 5\n",
       "j.yaml:3: cycle_time_ms: there is no cycle to set: tensors are agreed upon as they come; "
       "leave it out"},
      {"autotune:\n  log_file: tuned.txt\n  enabled: true\n",
       "j.yaml:3: enabled: nothing is tuned by itself yet; leave it out, or set "
       "--fusion-threshold-mb and --cache-capacity by hand"},
      {"logging:\n  with_timestamp: false\n",
       "j.yaml:2: with_timestamp: messages of the log always have the time; leave it out"},
      {"controller: mpi\n",
       "j.yaml:1: controller: there is no MPI here; leave it out: the launcher starts the ranks by "
       "itself"},
      {"controller: x\n", "j.yaml:1: controller \"x\" is not valid: gloo is wanted"},
      {"a: 1\n---\nb: 2\n", "j.yaml holds several documents; one is wanted"},
      {"params:\n  \x01: 1\n", "j.yaml:2: a control character; text is wanted"},
      {"params:\n  cache_capacity: [1\n",
       "j.yaml:3: this is no YAML: end of sequence flow not found"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(problem_of(text), expected) << text;
}

TEST(ConfigFile, IsBounded) {
  EXPECT_EQ(
      problem_of(std::string(65537, '#')),
      "j.yaml has more than 65536 bytes; a smaller file is wanted");
}

}  // namespace
}  // namespace farandole::launch

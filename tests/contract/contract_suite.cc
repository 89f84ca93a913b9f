#include "tests/contract/contract_suite.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "gtest/gtest.h"

#include "tests/contract/abort_suite.h"
#include "tests/contract/adasum_suite.h"
#include "tests/contract/barrier_check.h"
#include "tests/contract/exercise.h"
#include "tests/contract/group.h"
#include "tests/contract/suite_test.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;

// Cases run back to back in one go, without any other meeting of the ranks between them, so that
// an operation which disturbs its successor is found.
constexpr size_t kBatch = 24;

void run_batch(Group& group, std::vector<Exercise>& batch) {
  const Status status = group.run([&](int rank) {
    for (const Exercise& exercise : batch) {
      const Status done = group.at(rank).run(exercise.op_of(rank), 0);
      if (!done)
        return Status(done.code(), exercise.what().to_string() + ": " + done.message());
    }
    return Status::ok();
  });
  ASSERT_TRUE(status.is_ok()) << status.to_string();
  for (const Exercise& exercise : batch) {
    const auto wrong = exercise.judge();
    ASSERT_FALSE(wrong) << *wrong;
  }
}

void run_cases(const Backend& backend, int size, const std::vector<Case>& cases) {
  Group group(backend, size, backend.config);
  ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
  const bool takes_segments = group.at(0).traits().takes_segments;
  const auto chunk = static_cast<size_t>(backend.config.shm_slot_bytes);
  std::vector<Exercise> batch;
  for (size_t i = 0; i < cases.size(); ++i) {
    batch.emplace_back(cases[i], size, chunk, takes_segments, i);
    if (batch.size() == kBatch || i + 1 == cases.size()) {
      run_batch(group, batch);
      if (::testing::Test::HasFatalFailure())
        return;
      batch.clear();
    }
  }
}

// The same values, cut into segments in many ways: equal bits.
void compare_segmentations(const Backend& backend, int size) {
  Group group(backend, size, backend.config);
  ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
  constexpr size_t kCount = 7001;
  for (const DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::Bfloat16}) {
    Bytes want;
    for (const size_t piece : {kCount, size_t{1}, size_t{100}, size_t{1024}, size_t{3333}}) {
      std::vector<Bytes> in, out(static_cast<size_t>(size), Bytes(kCount * size_of(dtype)));
      for (int rank = 0; rank < size; ++rank)
        in.push_back(make_values(dtype, ReduceOp::Sum, kCount, static_cast<uint64_t>(rank)));
      const Status status = group.run([&](int rank) {
        const auto r = static_cast<size_t>(rank);
        std::vector<Segment> segments;
        for (size_t first = 0; first < kCount; first += piece)
          segments.push_back(
              {in[r].data() + first * size_of(dtype),
               out[r].data() + first * size_of(dtype),
               std::min(piece, kCount - first)});
        CollectiveOp op;
        op.reduce = ReduceOp::Average;
        op.dtype = dtype;
        op.segments = segments;
        return group.at(rank).run(op, 0);
      });
      ASSERT_TRUE(status.is_ok()) << status.to_string();
      if (want.empty())
        want = out[0];
      for (const Bytes& result : out)
        ASSERT_EQ(result, want) << name_of(dtype) << " in pieces of " << piece;
    }
  }
}

void hold_at_barriers(const Backend& backend, int size) {
  Group group(backend, size, backend.config);
  ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
  const auto wrong = left_early(group, 30 * size);
  EXPECT_FALSE(wrong) << *wrong;
}

}  // namespace

Config Backend::contract_config() {
  Config config;
  config.shm_slot_bytes = 4096;
  config.start_timeout = 20s;
  config.data_timeout = 20s;
  return config;
}

bool join_contract(Backend given) {
  const auto backend = std::make_shared<const Backend>(std::move(given));
  for (const int size : backend->sizes) {
    const bool full = std::count(backend->full_sizes.begin(), backend->full_sizes.end(), size) != 0;
    for (int k = 0; k < kCollectiveKindCount; ++k) {
      const auto kind = static_cast<CollectiveKind>(k);
      const std::string test = std::string(name_of(kind)) + "_" + std::to_string(size);
      const auto everything = [=] { run_cases(*backend, size, all_cases(kind)); };
      if (full)
        register_suite_test(backend->name + "Contract", "every_" + test, everything);
      register_suite_test(backend->name + "ContractFull", test, everything);
    }
    if (!full)
      register_suite_test(backend->name + "Contract", "pairwise_" + std::to_string(size), [=] {
        run_cases(*backend, size, pairwise_cases());
      });
    register_suite_test(backend->name + "Contract", "barrier_holds_" + std::to_string(size), [=] {
      hold_at_barriers(*backend, size);
    });
    join_adasum_contract(backend, size);
    if (backend->same_bits_however_segmented)
      register_suite_test(backend->name + "Contract", "segmentation_" + std::to_string(size), [=] {
        compare_segmentations(*backend, size);
      });
  }
  join_abort_contract(backend);
  return true;
}

}  // namespace farandole::testing

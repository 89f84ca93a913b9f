#pragma once
// What the tests of process sets and of joins share: jobs of several ranks in one process, over
// each communicator.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <string>
#include <vector>

#include "tests/support/cluster_place.h"

namespace farandole::sets {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::name_of_place;
using testing::Place;
using testing::run_cluster;
using enum CollectiveKind;

inline TimePoint soon() {
  return steady_now() + 60s;
}

inline Status end(Session& session, Result<std::vector<TicketPtr>> tickets) {
  if (!tickets)
    return tickets.status();
  EXPECT_TRUE(session.wait_until(*tickets.value()[0], soon()));
  return tickets.value()[0]->status();
}

// The outcome's value.
inline Result<int64_t> change(Session& session, Signature signature) {
  Request request;
  request.signature = std::move(signature);
  Result<std::vector<TicketPtr>> tickets = session.submit({std::move(request)});
  const TicketPtr ticket = tickets ? tickets.value()[0] : nullptr;
  FARANDOLE_RETURN_IF_ERROR(end(session, std::move(tickets)));
  return ticket->outcome().value;
}

inline Result<int64_t> add(Session& session, std::vector<int64_t> ranks) {
  return change(session, {.kind = AddProcessSet, .operand = std::move(ranks)});
}
inline Result<int64_t> remove(Session& session, int64_t id) {
  return change(session, {.kind = RemoveProcessSet, .operand = {id}});
}
inline Result<int64_t> join(Session& session, uint32_t process_set = 0) {
  return change(session, {.kind = Join, .process_set = process_set});
}

struct Reduced {
  ReduceOp op = ReduceOp::Sum;
  double prescale = 1.0;
  double postscale = 1.0;
};

inline Request request_of(std::string name, uint32_t process_set, std::vector<float>& values) {
  Request r;
  r.name = std::move(name);
  r.signature.process_set = process_set;
  r.signature.shape = {static_cast<int64_t>(values.size())};
  r.in = r.out = values.data();
  return r;
}

inline Status allreduce(
    Session& session,
    std::string name,
    uint32_t process_set,
    std::vector<float>& values,
    Reduced how = {}) {
  Request r = request_of(std::move(name), process_set, values);
  r.signature.reduce = how.op;
  r.signature.prescale = how.prescale;
  r.signature.postscale = how.postscale;
  return end(session, session.submit({std::move(r)}));
}

inline Status barrier(Session& session, uint32_t process_set) {
  Request r;
  r.signature.kind = Barrier;
  r.signature.process_set = process_set;
  return end(session, session.submit({std::move(r)}));
}

class Sets : public ::testing::TestWithParam<Place> {
 protected:
  static void run(const std::function<void(Session&, int)>& body) {
    testing::run_at(
        GetParam(), [](Config& config) { config.process_sets = "1,3"; }, body);
  }
};

// The places of a parameterized suite.
inline const auto kEverywhere = ::testing::Values(
    Place{CommunicatorChoice::Auto, 4, 1},
    Place{CommunicatorChoice::Gloo, 4, 1},
    Place{CommunicatorChoice::Auto, 4, 2});

}  // namespace farandole::sets

#include "tests/search/formation.h"

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "controller/protocol/membership.h"
#include "controller/protocol/ranks.h"
#include "core/base/format.h"
#include "tests/search/scenario.h"
#include "tests/search/state_access.h"

namespace farandole::search {
namespace {

using control::Actions;
using control::Membership;
using control::StateAccess;
using control::StateText;
using control::Worker;

constexpr TimePoint kStart{std::chrono::seconds(1000)};
constexpr TimePoint kDeadline = kStart + std::chrono::seconds(30);
constexpr int kLosses = 2;
const std::vector<control::Setting> kSettings = {{"FARANDOLE_FUSION_BYTES", "1"}};
const std::vector<control::Setting> kOtherSettings = {{"FARANDOLE_FUSION_BYTES", "2"}};

control::Limits limits() {
  control::Limits out;
  out.size = kRanks;
  return out;
}

// A rank's present process.
struct Joiner {
  std::shared_ptr<const Worker> worker;  // null: not connected
  bool said = false;                     // its join
  int tries = 0;
  std::string answer;  // what it was told in the end
};

struct State {
  Membership membership;
  PerRank<Joiner> ranks;
  bool other_used = false;  // somebody has joined with another setting
  int losses = 0;
  std::string outcome;  // the same for all, once there is one
};

class Search {
 public:
  FormationFound run() {
    State start{
        Membership(
            {.limits = limits(),
             .settings = kSettings,
             .job = Scenario::kJob,
             .incarnation = 1,
             .start = kStart,
             .deadline = kDeadline}),
        {}};
    start.ranks[0] = {.worker = make_worker(0, 1), .tries = 1};
    explore(start);
    return std::move(found_);
  }

 private:
  static std::string text(const State& state) {
    StateText out;
    StateAccess::write(out, state.membership);
    for (const Joiner& joiner : state.ranks)
      out << (joiner.worker != nullptr) << joiner.said << joiner.tries
          << std::string_view(joiner.answer);
    out << state.other_used << state.losses << std::string_view(state.outcome);
    return out.bytes();
  }

  void explore(const State& state) {
    if (!found_.wrong.empty() || !known_.insert(text(state)).second)
      return;
    ++found_.states;
    const uint64_t before = found_.transitions;
    for (int rank = 0; rank < kRanks; ++rank) {
      const Joiner& joiner = state.ranks[static_cast<size_t>(rank)];
      if (joiner.worker == nullptr && joiner.answer.empty())
        step(state, fmt::format("rank {} connects", rank), [&](State& s) { connect(s, rank); });
      if (joiner.worker != nullptr && !joiner.said && joiner.answer.empty()) {
        step(state, fmt::format("rank {} joins", rank), [&](State& s) { join(s, rank, false); });
        if (!state.other_used && rank != 0)
          step(state, fmt::format("rank {} joins with another setting", rank), [&](State& s) {
            join(s, rank, true);
          });
      }
      if (joiner.worker != nullptr && rank != 0 && state.outcome.empty() &&
          state.losses < kLosses) {
        step(state, fmt::format("rank {} is lost", rank), [&](State& s) { lose(s, rank); });
      }
    }
    if (state.outcome.empty())
      step(state, "the time is over", [&](State& s) { end_time(s); });
    if (found_.transitions == before) {
      ++found_.ends;
      for (int rank = 0; rank < kRanks; ++rank)
        if (state.ranks[static_cast<size_t>(rank)].answer != state.outcome)
          fail(fmt::format("I2: rank {} is not told: {}", rank, state.outcome));
    }
  }

  template <typename Change>
  void step(const State& from, std::string name, Change change) {
    if (!found_.wrong.empty())
      return;
    ++found_.transitions;
    trace_.push_back(std::move(name));
    State to = from;
    change(to);
    explore(to);
    trace_.pop_back();
  }

  void fail(const std::string& what) {
    if (found_.wrong.empty())
      found_.wrong = fmt::format("{}\n  {}", what, fmt::join(trace_, "\n  "));
  }

  static std::vector<int> missing(const State& state) {
    std::vector<int> out;
    for (int rank = 0; rank < kRanks; ++rank)
      if (!state.ranks[static_cast<size_t>(rank)].said)
        out.push_back(rank);
    return out;
  }

  static std::shared_ptr<const Worker> make_worker(int rank, int life) {
    const uint64_t incarnation = 100 * static_cast<uint64_t>(life) + Scenario::incarnation(rank);
    return std::make_shared<const Worker>(
        control::WorkerOptions{limits(), rank, Scenario::kJob, incarnation});
  }

  // Who comes late hears what the others were told.
  void connect(State& state, int rank) {
    Joiner& joiner = state.ranks[static_cast<size_t>(rank)];
    joiner.worker = make_worker(rank, ++joiner.tries);
    take(state, state.membership.on_connected(rank), state.outcome);
  }

  void join(State& state, int rank, bool other) {
    Joiner& joiner = state.ranks[static_cast<size_t>(rank)];
    auto worker = StateAccess::copy(*joiner.worker);
    const Actions said =
        worker->join({rank, "host", joiner.tries, ""}, other ? kOtherSettings : kSettings);
    joiner.worker = std::move(worker);
    joiner.said = true;
    state.other_used = state.other_used || other;
    const control::Bytes& bytes = std::get<control::SendTo>(said.at(0)).bytes;
    std::string expected;
    if (other)
      expected = "Mismatch";
    else if (missing(state).empty())
      expected = members_text(state);
    take(state, state.membership.on_frame(rank, bytes), expected);
  }

  void lose(State& state, int rank) {
    Joiner& joiner = state.ranks[static_cast<size_t>(rank)];
    joiner.worker.reset();
    joiner.said = false;
    ++state.losses;
    state.membership.on_lost(rank);
    if (state.membership.missing() != missing(state))
      fail("I2: a rank that was lost counts as joined");
  }

  void end_time(State& state) {
    const std::string wanted = "Timeout " + control::rank_list(missing(state));
    if (!state.membership.tick(kDeadline - std::chrono::milliseconds(1)).empty())
      fail("I5: the time is over too early");
    take(state, state.membership.tick(kDeadline), wanted);
  }

  static std::string members_text(const State& state) {
    std::string out = "formed";
    for (const Joiner& joiner : state.ranks) out += fmt::format(" {}", joiner.tries);
    return out;
  }

  // `expected`: how formation must end now, or nothing.
  void take(State& state, const Actions& actions, const std::string& expected) {
    std::string outcome;
    for (const control::Action& action : actions) {
      if (const auto* send = std::get_if<control::SendTo>(&action)) {
        Joiner& joiner = state.ranks[static_cast<size_t>(send->rank)];
        if (joiner.worker == nullptr)
          continue;
        auto worker = StateAccess::copy(*joiner.worker);
        const Actions told = worker->on_frame(send->bytes);
        joiner.worker = std::move(worker);
        joiner.answer = told.empty() ? "nothing" : answer_text(told[0]);
      } else {
        const std::string own = answer_text(action);
        outcome = own.empty() ? outcome : own;
      }
    }
    if (state.outcome.empty())
      state.outcome = outcome;
    if (expected.empty() != state.outcome.empty() || !matches(state.outcome, expected))
      fail(
          fmt::format("I2: formation ends with \"{}\" instead of \"{}\"", state.outcome, expected));
    if (state.outcome.empty())
      return;
    for (int rank = 0; rank < kRanks; ++rank) {
      const Joiner& joiner = state.ranks[static_cast<size_t>(rank)];
      if (joiner.worker != nullptr && joiner.answer != state.outcome)
        fail(fmt::format(
            "I2: rank {} is told \"{}\", and not \"{}\"", rank, joiner.answer, state.outcome));
    }
  }

  // A timeout names who is missing, a mismatch is one: the rest of the texts is theirs.
  static bool matches(const std::string& outcome, const std::string& expected) {
    const auto space = expected.find(' ');
    return outcome.starts_with(expected.substr(0, space)) &&
           (space == std::string::npos ||
            outcome.find(expected.substr(space + 1)) != std::string::npos);
  }

  static std::string answer_text(const control::Action& action) {
    if (const auto* not_formed = std::get_if<control::NotFormed>(&action))
      return not_formed->why.to_string();
    const auto* formed = std::get_if<control::Formed>(&action);
    if (formed == nullptr)
      return "";
    std::string out = formed->epoch == 1 ? "formed" : "formed in a wrong epoch";
    for (const Member& member : formed->members) out += fmt::format(" {}", member.pid);
    return out;
  }

  FormationFound found_;
  std::set<std::string> known_;
  std::vector<std::string> trace_;
};

}  // namespace

FormationFound search_formation() {
  return Search().run();
}

}  // namespace farandole::search

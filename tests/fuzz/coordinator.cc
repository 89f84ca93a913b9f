// A coordinator with two honest ranks and one that holds the secret but says what it likes. Blame
// goes to that one, the honest ranks are told the same and never lied to, and nothing grows.

#include "controller/protocol/coordinator.h"

#include <set>

#include "tests/fuzz/generate.h"
#include "tests/fuzz/target.h"
#include "tests/protocol/cluster.h"

namespace farandole::fuzz {
namespace {

using namespace control;

using TensorKey = std::pair<uint32_t, std::string>;
const std::map<uint32_t, std::vector<int>> kProcessSets = {{1, {0, 1}}, {2, {1, 2}}};

bool is_member(uint32_t process_set, int rank) {
  if (process_set == 0)
    return true;
  const auto set = kProcessSets.find(process_set);
  return set != kProcessSets.end() && std::ranges::count(set->second, rank) > 0;
}

// What an honest rank has asked for, and how much of the answers has been looked at.
struct Honest {
  std::set<TensorKey> in_flight;
  std::set<uint64_t> requests;
  size_t agreements = 0;
  size_t failures = 0;
  size_t replies = 0;
  bool left = false;   // it, or the coordinator's rank: agreements are its own affair now
  bool ended = false;  // by the verdict
};

class Play {
 public:
  explicit Play(Input& in)
      : in_(in),
        hostile_(1 + static_cast<int>(in.below(2))),
        limits_(limits(in)),
        cluster_({limits_, kProcessSets}) {}

  void run() {
    if (in_.flag())
      form_honestly();
    else
      form_with_lies();
    for (int steps = 0; steps < 64 && !in_.empty(); ++steps) step();
    finish();
  }

 private:
  static Limits limits(Input& in) {
    Limits limits = tight_limits();
    limits.cache_capacity = in.below(4);
    return limits;
  }

  Coordinator& coordinator() { return cluster_.coordinator(); }
  Honest& honest(int rank) { return honest_[static_cast<size_t>(rank)]; }
  int honest_rank() { return in_.flag() ? 0 : 3 - hostile_; }

  // --- the hostile rank

  void lie(Bytes bytes) { cluster_.up(hostile_).push_back(std::move(bytes)); }

  Envelope envelope() {
    Envelope out{
        .epoch = formed() ? 1U : 0U,
        .job = kJob,
        .incarnation = 1000U + static_cast<uint64_t>(hostile_),
        .seq = ++said_};
    if (in_.byte() < 250)
      return out;
    out.epoch = in_.byte();
    out.seq = in_.number<uint64_t>();
    out.incarnation = in_.byte();
    return out;
  }

  void say_anything() {
    const Message message = in_.byte() < 224 ? message_up(in_) : message_down(in_);
    if (const auto* report = std::get_if<Report>(&message))
      accused_.insert(report->failure.rank);
    Bytes bytes = encode(envelope(), message);
    if (in_.below(8) == 0)
      spoil_or_accuse(bytes);
    lie(std::move(bytes));
  }

  // Spoiled bytes may happen to be another accusation.
  void spoil_or_accuse(Bytes& bytes) {
    spoil(in_, bytes);
    const Result<Frame> frame = decode(bytes, limits_);
    if (!frame)
      return;
    if (const auto* report = std::get_if<Report>(&frame.value().body))
      accused_.insert(report->failure.rank);
  }

  // What an honest rank in its place would say, so that the play goes on.
  void say_what_is_due() {
    std::vector<Announcement> items = announcements(hostile_, {});
    if (in_.flag() && !wanted_.empty())
      items = {in_.one_of(wanted_)};
    lie(encode(envelope(), Announce{std::move(items), {}}));
  }

  void form_honestly() {
    cluster_.form();
    said_ = 1;
  }

  void form_with_lies() {
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank) {
      Actions join = cluster_.worker(rank).join({rank, "host" + std::to_string(rank), 100, ""}, {});
      if (rank != hostile_) {
        cluster_.act(rank, std::move(join));
        continue;
      }
      for (size_t lies = in_.below(3); lies > 0; --lies) say_anything();
      if (in_.byte() < 224) {
        restamp(std::get<SendTo>(join.front()).bytes, envelope());
        lie(std::move(std::get<SendTo>(join.front()).bytes));
      }
    }
    cluster_.settle();
    check_all();
  }

  bool formed() { return cluster_.seen(0).formed; }

  // --- the honest ranks

  std::vector<Announcement> announcements(int rank, const std::set<TensorKey>& in_flight) {
    std::vector<Announcement> items;
    std::set<TensorKey> taken = in_flight;
    for (size_t n = 1 + in_.below(2); n > 0; --n) {
      Announcement item{tensor_name(in_), lawful_signature(in_)};
      if (item.name.empty() || item.name.size() > limits_.max_name_bytes)
        item.name = "d";
      if (!is_member(item.signature.process_set, rank))
        item.signature.process_set = 0;
      if (taken.size() < limits_.max_pending &&
          taken.emplace(item.signature.process_set, item.name).second)
        items.push_back(std::move(item));
    }
    return items;
  }

  void announce(int rank) {
    Honest& mine = honest(rank);
    if (mine.ended)
      return;
    std::vector<Announcement> items = announcements(rank, mine.in_flight);
    if (in_.flag() && !wanted_.empty()) {
      const Announcement& other = in_.one_of(wanted_);
      const TensorKey key{other.signature.process_set, other.name};
      if (is_member(key.first, rank) && !mine.in_flight.contains(key) &&
          mine.in_flight.size() < limits_.max_pending)
        items = {other};
    }
    for (const Announcement& item : items) {
      mine.in_flight.emplace(item.signature.process_set, item.name);
      if (wanted_.size() < 16)
        wanted_.push_back(item);
    }
    cluster_.announce(rank, std::move(items));
  }

  void use_store(int rank) {
    Worker& worker = cluster_.worker(rank);
    const uint64_t request = ++request_;
    const std::string key = in_.flag() ? "a" : "b";
    honest(rank).requests.insert(request);
    if (in_.flag())
      return cluster_.act(rank, worker.store_set(request, key, in_.bytes(16)));
    cluster_.act(rank, worker.store_get(request, key));
    if (in_.below(4) != 0)
      return;
    check(rank);  // it may have been answered already
    if (honest(rank).requests.erase(request) > 0)
      cluster_.act(rank, worker.store_cancel(request));
  }

  void step() {
    if (!formed()) {
      say_anything();
      cluster_.settle();
      return check_all();
    }
    const int rank = honest_rank();
    switch (in_.below(14)) {
      case 0:
      case 1:
        announce(rank);
        break;
      case 2:
      case 3:
        say_what_is_due();
        break;
      case 4:
        cluster_.flush();
        break;
      case 5:
        use_store(rank);
        break;
      case 6:
        if (in_.byte() < 40)
          cluster_.act(rank, cluster_.worker(rank).leave());
        break;
      case 7:
        coordinator().on_backlog(in_.below(4));
        cluster_.act(coordinator().tick(kStart + ControlPlane::kConfirm));
        break;
      case 8:
        deliver(rank);
        break;
      case 9:
        deliver(hostile_);
        break;
      default:
        say_anything();
        deliver(hostile_);
    }
    check_all();
  }

  void deliver(int rank) {
    if (cluster_.up_waiting(rank))
      cluster_.step_up(rank);
    check_all();
    if (cluster_.down_waiting(rank))
      cluster_.step_down(rank);
  }

  // --- what is promised

  void check_all() {
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
      if (rank != hostile_)
        check(rank);
    if (!formed())
      return;
    for (const CloseRank& close : cluster_.closed)
      require(close.rank == hostile_, "only the hostile rank's connection is closed");
    require(coordinator().pending() <= kRanks * limits_.max_pending, "pending tensors are bounded");
    require(coordinator().cached() <= limits_.cache_capacity, "the cache is bounded");
    if (coordinator().failed())
      require(coordinator().flush().empty(), "nothing is agreed upon after a failure");
  }

  void check(int rank) {
    if (const auto& why = cluster_.seen(rank).not_formed)
      require(
          why->culprit() == hostile_ || why->code() == Code::Mismatch,
          "a group that does not form blames who kept it from forming");
    check_failures(rank);
    check_agreements(rank);
    check_replies(rank);
  }

  void check_failures(int rank) {
    Honest& mine = honest(rank);
    const auto& failures = cluster_.seen(rank).failures;
    for (; mine.failures < failures.size(); ++mine.failures) {
      const PeerFailure& failure = failures[mine.failures];
      if (failure.left) {
        mine.left = mine.left || failure.rank == rank || failure.rank == 0;
        continue;
      }
      require(!mine.ended, "there is one verdict");
      require(
          failure.rank == hostile_ || accused_.contains(failure.rank),
          "only the hostile rank, or whom it accused, is blamed");
      if (verdict_)
        require(*verdict_ == failure, "all are told the same verdict");
      verdict_ = failure;
      mine.ended = true;
      mine.in_flight.clear();
    }
  }

  void check_agreements(int rank) {
    Honest& mine = honest(rank);
    const auto& agreements = cluster_.seen(rank).agreements;
    for (; mine.agreements < agreements.size(); ++mine.agreements) {
      const Agreement& round = agreements[mine.agreements];
      for (const ReadyOp& op : round.ready) {
        const bool answers = mine.in_flight.erase({op.process_set, op.name}) > 0;
        require(
            answers || !is_member(op.process_set, rank),
            "only what all members announced is agreed upon");
      }
      for (const Rejection& rejection : round.rejected) {
        require(!rejection.why.is_ok(), "a rejection says why");
        mine.in_flight.erase({rejection.process_set, rejection.name});
      }
      if (mine.left)
        continue;
      require(round.round == mine.agreements + 1, "rounds have no gaps");
      if (rounds_.size() < round.round)
        rounds_.push_back(round);
      require(rounds_[mine.agreements] == round, "all are told the same rounds");
    }
  }

  void check_replies(int rank) {
    const auto& replies = cluster_.seen(rank).replies;
    for (; honest(rank).replies < replies.size(); ++honest(rank).replies)
      require(
          honest(rank).requests.erase(replies[honest(rank).replies].request) == 1,
          "a store request is answered once");
  }

  // The hostile rank goes, and everything that needs it must come to an end.
  void finish() {
    if (!formed())
      return;
    coordinator().on_backlog(0);
    for (bool moved = true; moved;) {
      moved = false;
      for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
        while (cluster_.up_waiting(rank) || cluster_.down_waiting(rank)) {
          deliver(rank);
          check_all();
          moved = true;
        }
      cluster_.flush();
    }
    cluster_.act(coordinator().on_lost(hostile_, "closed"));
    cluster_.up(hostile_).clear();
    cluster_.settle();
    check_all();
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
      for (const TensorKey& key : honest(rank).in_flight)
        require(
            rank == hostile_ || !is_member(key.first, hostile_),
            "what needs the rank that has gone is answered");
  }

  Input& in_;
  const int hostile_;
  const Limits limits_;
  Cluster cluster_;
  uint64_t said_ = 0;
  uint64_t request_ = 0;
  std::set<int> accused_;
  std::vector<Announcement> wanted_;  // announced by somebody honest
  std::vector<Agreement> rounds_;
  std::optional<PeerFailure> verdict_;
  Honest honest_[kRanks];
};

}  // namespace

void coordinator(Input in) {
  Play(in).run();
}

}  // namespace farandole::fuzz

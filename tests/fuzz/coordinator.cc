// A coordinator with two honest ranks and one that holds the secret but says what it likes. Blame
// goes to that one, the honest ranks are told the same and never lied to, and nothing grows.

#include "tests/fuzz/coordinator_promises.h"
#include "tests/fuzz/generate.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace control;

class Play : Promises {
 public:
  explicit Play(Input& in) : Promises(in), in_(in), patience_(in.byte()), is_silent_(in.flag()) {}

  void run() {
    if (in_.flag())
      form_honestly();
    else
      form_with_lies();
    for (int steps = 0; steps < 64 && !in_.empty(); ++steps) step();
    finish();
  }

 private:
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
    lied_ = true;
    out.epoch = in_.byte();
    out.seq = in_.number<uint64_t>();
    out.incarnation = in_.byte();
    return out;
  }

  void say_anything() {
    lied_ = true;
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
    hear_as_hostile();
    if (cluster_.seen(hostile_).formed)
      announce_as_hostile(wishes(hostile_));
  }

  void hear_as_hostile() {
    Honest& mine = honest(hostile_);
    const auto& agreements = cluster_.seen(hostile_).agreements;
    for (; mine.agreements < agreements.size(); ++mine.agreements) {
      for (const ReadyOp& op : agreements[mine.agreements].ready) mine.ready(op);
      for (const Rejection& rejection : agreements[mine.agreements].rejected)
        mine.rejected(rejection);
    }
  }

  void announce_as_hostile(std::vector<Announcement> items) {
    Actions actions = cluster_.worker(hostile_).announce(std::move(items));
    for (Action& action : actions)
      if (SendTo* send = std::get_if<SendTo>(&action)) {
        restamp(send->bytes, envelope());
        lie(std::move(send->bytes));
      }
  }

  void say_any_join() {
    lied_ = true;
    Join join = any_join(in_);
    if (in_.byte() < 192)
      join.member.rank = hostile_;
    if (in_.flag())
      join.size = kRanks;
    if (in_.byte() < 64)
      join.settings = kSettings;
    lie(encode(envelope(), join));
  }

  void form_honestly() {
    cluster_.form();
    said_ = 1;
  }

  void form_with_lies() {
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank) {
      Actions join =
          cluster_.worker(rank).join({rank, "host" + std::to_string(rank), 100, ""}, kSettings);
      if (rank != hostile_) {
        cluster_.act(rank, std::move(join));
        continue;
      }
      for (size_t lies = in_.below(3); lies > 0; --lies)
        in_.flag() ? say_anything() : say_any_join();
      if (in_.byte() < 224) {
        restamp(std::get<SendTo>(join.front()).bytes, envelope());
        lie(std::move(std::get<SendTo>(join.front()).bytes));
      }
    }
    cluster_.settle();
    if (!formed() && in_.flag())
      run_out_of_time(in_.flag());
    check_all();
  }

  // --- the honest ranks

  Announcement announcement(int rank) {
    const size_t what = in_.below(8);
    Announcement item = what == 0   ? change_of_sets(in_)
                        : what == 1 ? message_of(in_, rank)
                                    : Announcement{tensor_name(in_), lawful_signature(in_)};
    Signature& s = item.signature;
    if (s.kind != CollectiveKind::Join &&
        (item.name.empty() || item.name.size() > limits_.max_name_bytes))
      item.name = "d";
    if (!honest(rank).knows(s.process_set, rank))
      s.process_set = 0;
    return item;
  }

  // Often what another has announced, so that there are agreements.
  std::vector<Announcement> wishes(int rank) {
    Honest& mine = honest(rank);
    std::vector<Announcement> items;
    for (size_t n = 1 + in_.below(2); n > 0; --n) {
      const bool again = in_.byte() < 160 && !wanted_.empty();
      const Announcement item = again ? in_.one_of(wanted_) : announcement(rank);
      std::optional<Announcement> part = part_of(item, rank);
      if (!part || !mine.may_submit(*part, rank, limits_.max_pending))
        continue;
      mine.submits(*part);
      if (wanted_.size() < 16)
        wanted_.push_back(item);
      items.push_back(std::move(*part));
    }
    return items;
  }

  void announce(int rank) {
    if (!honest(rank).ended)
      cluster_.announce(rank, wishes(rank));
  }

  // All announce one tensor, but who has joined.
  void agree() {
    hear_as_hostile();
    if (wanted_.empty())
      return announce(0);
    const Announcement wanted = in_.byte() < 64 ? announcement(0) : in_.one_of(wanted_);
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank) {
      const std::optional<Announcement> part = part_of(wanted, rank);
      if (!part || honest(rank).ended || !cluster_.seen(rank).formed ||
          !honest(rank).may_submit(*part, rank, limits_.max_pending))
        continue;
      Announcement item = *part;
      honest(rank).submits(item);
      if (in_.byte() < 40)
        vary(item.signature);
      rank == hostile_ ? agree_as_hostile(item) : cluster_.announce(rank, {item});
    }
    deliver_all();
  }

  // As ranks may differ, or may not.
  void vary(Signature& s) {
    if (s.kind == CollectiveKind::Allgather && !s.shape.empty())
      s.shape[0] = in_.between(0, 4);
    else if (s.kind == CollectiveKind::Message)
      s.device.type = DeviceType::Cuda;
  }

  // In its own words at times: in full what has an id, or with rows whose sum nothing can hold.
  void agree_as_hostile(Announcement item) {
    if (in_.byte() < 40)
      exaggerate(in_, item.signature);
    if (in_.byte() >= 64)
      return announce_as_hostile({std::move(item)});
    lie(encode(envelope(), Announce{{std::move(item)}, {}, 0}));
  }

  void join(int rank) {
    const Announcement item{
        {}, {.kind = CollectiveKind::Join, .process_set = static_cast<uint32_t>(in_.below(3))}};
    if (honest(rank).ended || !cluster_.seen(rank).formed ||
        !honest(rank).may_submit(item, rank, limits_.max_pending))
      return;
    honest(rank).submits(item);
    rank == hostile_ ? announce_as_hostile({item}) : cluster_.announce(rank, {item});
  }

  // Each rank means by one name a tensor or a group of some size. Where all of it comes, it is
  // answered: alike or not, nobody waits for what cannot be.
  void mean_unlike() {
    hear_as_hostile();
    coordinator().on_backlog(0);
    const std::string name = in_.flag() ? "a" : "grad/1";
    const Signature signature = lawful_signature(in_);
    bool whole = true;
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
      whole = submit(rank, name, static_cast<uint32_t>(in_.below(4)), signature) && whole;
    deliver_all();
    if (whole && !lied_)
      check_answered({signature.process_set, name});
  }

  bool submit(int rank, const std::string& name, uint32_t count, const Signature& signature) {
    std::vector<Announcement> items;
    for (std::string& member : names_of(name, count))
      items.push_back({std::move(member), signature});
    if (honest(rank).ended || !cluster_.seen(rank).formed ||
        !honest(rank).submits_all(items, rank, limits_.max_pending))
      return false;
    if (rank == hostile_)
      lie(encode(envelope(), Announce{std::move(items), {}, 0}));
    else
      cluster_.announce(rank, std::move(items));
    return true;
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
    if (honest(rank).requests.erase(request) == 0)
      return;
    ++taken_back_;
    cluster_.act(rank, worker.store_cancel(request));
  }

  void step() {
    if (!formed()) {
      say_anything();
      cluster_.settle();
      return check_all();
    }
    const int rank = honest_rank();
    const uint8_t what = in_.byte();
    switch (what < 250 ? what % 19 : 19) {
      case 16:
      case 17:
        agree();
        break;
      case 18:
        join(in_.flag() ? hostile_ : rank);
        break;
      case 19:
        mean_unlike();
        break;
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
        wait(rank);
        break;
      case 14:
        cluster_.act(rank, cluster_.worker(rank).finished());
        break;
      case 15:
        if (in_.byte() < 16 && !honest(rank).left)  // one that has finished ends for itself
          cluster_.act(rank, cluster_.worker(rank).report({.rank = hostile_, .cause = "stuck"}));
        break;
      case 8:
        deliver(rank);
        break;
      case 9:
        deliver(hostile_);
        break;
      default:
        in_.byte() < patience_ ? say_what_is_due() : say_anything();
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

  // One by one, so that what is told is looked at in its order.
  void deliver_all() {
    for (bool moved = true; moved;) {
      moved = false;
      for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
        while (cluster_.up_waiting(rank) || cluster_.down_waiting(rank)) {
          deliver(rank);
          check_all();
          moved = true;
        }
      cluster_.flush();
      for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
        moved = moved || cluster_.down_waiting(rank);
    }
  }

  // Time passes, who waits is told of, and who is asked answers.
  void wait(int rank) {
    cluster_.now += std::chrono::milliseconds(500) * in_.below(4);
    cluster_.act(coordinator().tick(cluster_.now));
    std::vector<uint64_t>& asked = cluster_.seen(rank).questions;
    if (!asked.empty() && in_.flag()) {
      cluster_.act(rank, cluster_.worker(rank).answer(asked.back(), "here"));
      asked.clear();
    }
    check_reports();
  }

  // The hostile rank goes, and everything that needs it must come to an end.
  void finish() {
    if (!formed())
      return;
    coordinator().on_backlog(0);
    deliver_all();
    cluster_.act(
        is_silent_ ? coordinator().on_silent(hostile_, "silent")
                   : coordinator().on_lost(hostile_, "closed"));
    cluster_.up(hostile_).clear();
    deliver_all();
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
      for (const auto& [key, signature] : honest(rank).in_flight)
        require(
            rank == hostile_ || !honest(rank).knows(key.first, hostile_),
            "what needs the rank that has gone is answered");
  }

  Input& in_;
  const uint8_t patience_;  // how rarely it lies
  const bool is_silent_;    // at the end
  bool lied_ = false;       // the hostile one, which may have announced anything
  uint64_t request_ = 0;
  std::vector<Announcement> wanted_;  // announced by somebody honest
};

}  // namespace

void coordinator(Input in) {
  Play(in).run();
}

}  // namespace farandole::fuzz

// A rank whose coordinator holds the secret but says what it likes: the rank blames it once at
// most, answers all that its own engine asked, says nothing that is malformed, and nothing grows.

#include "controller/protocol/worker.h"

#include <limits>
#include <set>

#include "core/layout.h"
#include "core/way.h"
#include "tests/fuzz/generate.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace control;

constexpr int kRank = 1;
constexpr int kMembers[] = {0, 1, 2};
constexpr uint64_t kJob = 5;

class Play {
 public:
  explicit Play(Input& in)
      : in_(in),
        limits_(tight_limits()),
        worker_(WorkerOptions{.limits = limits_, .rank = kRank, .job = kJob, .incarnation = 1}) {}

  void run() {
    take(worker_.join({kRank, "host", 100, ""}, {}));
    if (in_.byte() < 224)
      welcome();
    for (int steps = 0; steps < 64 && !in_.empty(); ++steps) step();
    take(worker_.on_lost("closed"));
    require(requests_.empty(), "every store request is answered");
  }

 private:
  void welcome() {
    Welcome message{.epoch = 1, .members = {}};
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
      message.members.push_back({rank, "host", 100, ""});
    hear(encode(envelope(), message));
  }

  Envelope envelope() {
    Envelope out{.epoch = worker_.epoch(), .job = kJob, .incarnation = 2, .seq = ++said_};
    if (in_.byte() < 250)
      return out;
    out.epoch = in_.byte();
    out.incarnation = in_.byte();
    out.seq = in_.number<uint64_t>();
    return out;
  }

  void hear(const Bytes& bytes) { take(worker_.on_frame(bytes)); }

  void say_anything() {
    Message message = in_.byte() < 240 ? message_down(in_) : message_up(in_);
    if (Round* round = std::get_if<Round>(&message); round != nullptr && in_.byte() < 224)
      round->number = rounds_ + 1;
    Bytes bytes = encode(envelope(), message);
    if (in_.below(12) == 0)
      spoil(in_, bytes);
    hear(bytes);
  }

  // A round such as an honest coordinator sends it, of what is in flight.
  void agree() {
    Round round{.number = rounds_ + 1};
    for (const auto& [key, signature] : in_flight_) {
      if (in_.flag())
        continue;
      const auto known = ids_.find(key);
      const bool named = known == ids_.end() || in_.below(8) == 0;
      const uint32_t id = !named ? known->second : in_.below(4) == 0 ? 0 : ++id_;
      round.ready.push_back(id);
      if (!named && in_.flag())
        continue;
      Detail detail{.id = id, .named = named, .process_set = 0, .name = {}};
      if (named) {
        detail.process_set = key.first;
        detail.name = key.second;
        ids_[key] = id;
      }
      detail.extents = extents(signature);
      round.details.push_back(std::move(detail));
    }
    if (in_.byte() < 224)
      for (; evicted_ + limits_.cache_capacity < id_; ++evicted_) evict(round, evicted_ + 1);
    hear(encode(envelope(), round));
  }

  void evict(Round& round, uint32_t id) {
    round.evicted.push_back(id);
    std::erase_if(ids_, [id](const auto& entry) { return entry.second == id; });
  }

  // Such as fit, any, or such as fit but for their sizes, whose product does not exist.
  std::vector<int64_t> extents(const Signature& s) {
    const uint8_t way = in_.byte();
    if (way >= 192 && way < 248)
      return any_extents();
    std::vector<int64_t> extents = fitting_extents(s);
    if (way >= 248 && !extents.empty())
      extents.back() = std::numeric_limits<int64_t>::max() / 4;
    return extents;
  }

  std::vector<int64_t> any_extents() {
    std::vector<int64_t> extents(in_.below(kRanks * kRanks + 1));
    for (int64_t& rows : extents) rows = in_.between(0, 4);
    return extents;
  }

  std::vector<int64_t> fitting_extents(const Signature& s) {
    const bool gather = gathers(s.kind);
    if (s.kind == CollectiveKind::Message) {
      std::vector<int64_t> extents{static_cast<int64_t>(s.dtype), 0};
      extents.insert(extents.end(), s.shape.begin(), s.shape.end());
      return extents;
    }
    if (s.kind == CollectiveKind::Scatter && !s.shape.empty() && in_.flag()) {
      std::vector<int64_t> extents{static_cast<int64_t>(s.dtype), 0};
      const auto even = std::vector<int64_t>(kRanks, s.shape[0] / int64_t{kRanks});
      const std::vector<int64_t>& rows = s.splits.size() == kRanks ? s.splits : even;
      extents.insert(extents.end(), rows.begin(), rows.end());
      extents.insert(extents.end(), s.shape.begin() + 1, s.shape.end());
      return extents;
    }
    if ((!gather && s.kind != CollectiveKind::Alltoall) || s.shape.empty())
      return {};
    std::vector<int64_t> extents(gather ? kRanks : kRanks * kRanks);
    for (int64_t& rows : extents) rows = in_.between(0, 4);
    if (gather)
      extents[kRank] = s.shape[0];
    for (size_t to = 0; !gather && to < kRanks; ++to)
      extents[kRank * kRanks + to] =
          s.splits.size() == kRanks ? s.splits[to] : s.shape[0] / int64_t{kRanks};
    return extents;
  }

  void ask_again() { hear(encode(envelope(), Resend{{id_, id_ > 1 ? id_ - 1 : 1}})); }

  void announce() {
    std::vector<Announcement> items;
    for (size_t n = 1 + in_.below(3); n > 0; --n) {
      const size_t what = in_.below(8);
      Announcement item = what == 0   ? change_of_sets(in_)
                          : what == 1 ? part_of(message_of(in_, kRank), kRank).value()
                                      : Announcement{tensor_name(in_), lawful_signature(in_)};
      if (has_root(item.signature.kind) && item.name == "b")
        item.signature.root = kRank;
      // What a session would not let pass.
      const bool joins = item.signature.kind == CollectiveKind::Join;
      const bool goes = item.signature.kind == CollectiveKind::Message;
      if (item.name.empty() != joins || tells_way(item.name) != goes ||
          item.name.size() > limits_.max_name_bytes || ended_)
        continue;
      const TensorKey key{item.signature.process_set, item.name};
      if (in_flight_.size() == limits_.max_pending || !may_claim(in_flight_, key))
        continue;
      in_flight_.emplace(key, item.signature);
      items.push_back(std::move(item));
    }
    take(worker_.announce(std::move(items)));
  }

  void use_store() {
    const uint64_t request = ++request_;
    const std::string key = in_.flag() ? "a" : in_.text(4);
    if (in_.below(8) == 0) {
      const uint64_t other = in_.below(8);
      requests_.erase(other);
      take(worker_.store_cancel(other));
    }
    requests_.insert(request);
    if (in_.flag())
      return take(worker_.store_set(
          request, key, in_.byte() < 250 ? in_.bytes(70) : Bytes(limits_.max_frame_bytes)));
    take(worker_.store_get(request, key));
    if (in_.below(4) == 0 && requests_.erase(request) > 0)
      take(worker_.store_cancel(request));
  }

  // Where it is; more than may be said is cut.
  void answer() {
    std::string text = in_.text(40);
    if (text.size() == 40)
      text.resize(kMaxStackBytes + 1, 'x');
    // It fits every frame that can be configured; those of this play are smaller.
    most_said_ = kMaxStackBytes + 1024;
    take(worker_.answer(std::exchange(asked_, 0), std::move(text)));
    most_said_ = limits_.max_frame_bytes;
  }

  void step() {
    switch (in_.below(16)) {
      case 0:
      case 1:
        return announce();
      case 2:
      case 3:
        return agree();
      case 4:
        return use_store();
      case 5:
        return in_.byte() < 128 ? take(worker_.report({.rank = 2, .cause = "stuck"})) : announce();
      case 6:
        return in_.byte() < 64 ? take(worker_.leave()) : say_anything();
      case 7:
        return in_.byte() < 8 ? take(worker_.on_lost("closed")) : say_anything();
      case 8:
        return in_.byte() < 8 ? take(worker_.on_silent("silent")) : say_anything();
      case 9:
        if (asked_ > 0 && in_.flag())
          return answer();
        return take(worker_.finished());
      case 10:
        return ask_again();
      case 11:
        return agree();
      case 12:
        return announce();
      case 13:
        if (in_.byte() < 64)
          hear(encode(envelope(), Failure{{.rank = in_.flag() ? 0 : kRank, .left = true}}));
        return;
      default:
        return say_anything();
    }
  }

  void take(Actions actions) {
    for (Action& action : actions) std::visit([this](auto& item) { on(item); }, action);
    require(worker_.cached() <= limits_.cache_capacity, "the cache is bounded");
  }

  void on(SendTo& send) {
    require(send.rank == 0, "a rank talks to the coordinator");
    Limits limits = limits_;
    limits.max_frame_bytes = most_said_;
    require(decode(send.bytes, limits).has_value(), "a rank says nothing malformed");
  }

  void on(Deliver& deliver) {
    require(!ended_, "nothing is agreed upon after the verdict");
    require(deliver.agreement.round > rounds_, "rounds go up");
    rounds_ = deliver.agreement.round;
    for (const ReadyOp& op : deliver.agreement.ready) {
      if (op.stand_in && check_stand_in(op.stand_in->signature, kMembers).is_ok())
        lay_out_where_it_fits(op.stand_in->signature, op.extents);
      const auto mine = in_flight_.find({op.process_set, op.name});
      if (mine == in_flight_.end())
        continue;
      if (is_carried(mine->second.kind))
        lay_out_where_it_fits(mine->second, op.extents);
      in_flight_.erase(mine);
    }
    for (const Rejection& rejection : deliver.agreement.rejected)
      in_flight_.erase({rejection.process_set, rejection.name});
  }

  // As the executor does with what its coordinator told, of its own or to stand in for.
  static void lay_out_where_it_fits(const Signature& s, const std::vector<int64_t>& extents) {
    if (!check_extents(s, extents, kRank, kRanks, s.root))
      return;
    const Layout layout = lay_out(s, extents, kRank, kRanks, s.root);
    for (const int64_t n : layout.result_shape) require(n >= 0, "a result has a size");
    require(layout.received.empty() || layout.received.size() == kRanks, "all have sent");
  }

  void on(Fail& fail) {
    require(!ended_ || fail.failure.left, "there is one verdict");
    ended_ = ended_ || !fail.failure.left;
    if (ended_)
      in_flight_.clear();
  }

  void on(StoreReply& reply) {
    require(requests_.erase(reply.request) == 1, "a store request is answered once");
  }

  void on(CloseRank& close) { require(close.rank == 0, "only the coordinator's is closed"); }

  void on(Formed& formed) {
    require(formed.members.size() == kRanks && formed.epoch != 0, "a group is complete");
  }

  void on(Testify& testify) {
    require(asked_ == 0 && testify.number != 0, "one question at a time");
    asked_ = testify.number;
  }

  void on(TellStalls&) { require(false, "only a coordinator knows who waits"); }

  void on(NotFormed& not_formed) {
    require(!not_formed.why.is_ok(), "a group that does not form says why");
    ended_ = true;
  }

  Input& in_;
  const Limits limits_;
  Worker worker_;
  uint64_t said_ = 0;
  uint64_t rounds_ = 0;
  uint64_t request_ = 0;
  uint64_t asked_ = 0;  // what it has not answered
  size_t most_said_ = limits_.max_frame_bytes;
  uint32_t id_ = 0;       // the last that was given
  uint32_t evicted_ = 0;  // the last that was taken back
  std::map<TensorKey, uint32_t> ids_;
  bool ended_ = false;
  InFlight in_flight_;
  std::set<uint64_t> requests_;
};

}  // namespace

void worker(Input in) {
  Play(in).run();
}

}  // namespace farandole::fuzz

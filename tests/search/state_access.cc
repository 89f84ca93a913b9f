#include "tests/search/state_access.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>
#include <vector>

namespace farandole::control {
namespace {

void write(StateText& to, const Key& key) {
  to << key.process_set << key.name;
}

void write(StateText& to, const std::vector<int64_t>& values) {
  to << values.size();
  for (const int64_t value : values) to << value;
}

void write(StateText& to, const Signature& s) {
  to << s.kind << s.reduce << s.dtype << s.device.type << s.device.index << s.process_set << s.root
     << std::bit_cast<int64_t>(s.prescale) << std::bit_cast<int64_t>(s.postscale);
  write(to, s.shape);
  write(to, s.splits);
  write(to, s.operand);
}

void write(StateText& to, const Status& status) {
  to << status.code() << status.culprit() << std::string_view(status.message());
}

void write(StateText& to, const std::vector<Member>& members) {
  to << members.size();
  for (const Member& member : members)
    to << member.rank << std::string_view(member.host) << member.pid
       << std::string_view(member.address);
}

// Rejections of one round concern a tensor each, and a second one of the same changes nothing: the
// order in which they stand makes no difference.
void settle_order(std::vector<Rejection>& rejected) {
  const auto key = [](const Rejection& item) {
    return std::tuple(item.process_set, item.name, item.why.message());
  };
  std::ranges::sort(rejected, {}, key);
  rejected.erase(std::unique(rejected.begin(), rejected.end()), rejected.end());
}

template <typename Map>
std::vector<typename Map::const_pointer> sorted(const Map& map) {
  std::vector<typename Map::const_pointer> out;
  for (const auto& item : map) out.push_back(&item);
  std::ranges::sort(out, [](const auto* a, const auto* b) { return a->first < b->first; });
  return out;
}

}  // namespace

StateText& StateText::message(const Message& value) {
  const Bytes bytes = encode({}, value);
  return *this << std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// A member that is added to one of these classes belongs into copy() and write(), too.
#if defined(__x86_64__) && defined(__GLIBCXX__) && !defined(_GLIBCXX_DEBUG)
static_assert(sizeof(Signature) == 112);
static_assert(sizeof(Member) == 80);
static_assert(sizeof(Link) == 88);
static_assert(sizeof(Worker) == 552);
static_assert(sizeof(StoreTable) == 128);
static_assert(sizeof(Membership) == 272);
static_assert(sizeof(ProcessSets) == 112);
static_assert(sizeof(Readiness) == 632);
static_assert(sizeof(Coordinator) == 1440);
#endif

std::unique_ptr<Worker> StateAccess::copy(const Worker& from) {
  auto to = std::make_unique<Worker>(from.options_);
  to->state_ = from.state_;
  to->link_ = from.link_;
  to->epoch_ = from.epoch_;
  to->round_ = from.round_;
  to->members_ = from.members_;
  to->table_ = from.table_;
  const auto row = [&](const Worker::Row* of) { return &*to->table_.find(of->first); };
  for (const auto& [id, of] : from.by_id_) to->by_id_.emplace(id, row(of));
  for (const auto& [id, of] : from.resendable_) to->resendable_.emplace(id, row(of));
  to->store_waiting_ = from.store_waiting_;
  to->store_bytes_ = from.store_bytes_;
  to->store_keys_ = from.store_keys_;
  to->asked_ = from.asked_;
  to->reported_ = from.reported_;
  to->leaving_ = from.leaving_;
  to->left_ = from.left_;
  to->orphaned_ = from.orphaned_;
  to->ended_ = from.ended_;
  return to;
}

std::unique_ptr<Coordinator> StateAccess::copy(const Coordinator& from) {
  auto to = std::make_unique<Coordinator>(from.options_, Group{0, from.members_, from.links_});
  to->gone_ = from.gone_;
  to->finished_ = from.finished_;
  copy(from.readiness_, to->readiness_);
  to->store_ = from.store_;
  to->backlog_ = from.backlog_;
  to->accusations_ = from.accusations_;
  to->confirmed_ = from.confirmed_;
  to->look_ = from.look_;
  to->doubted_ = from.doubted_;
  to->inquiries_ = from.inquiries_;
  to->gave_up_zero_ = from.gave_up_zero_;
  to->resends_ = from.resends_;
  to->deferred_ = from.deferred_;
  to->round_ = from.round_;
  to->failed_ = from.failed_;
  return to;
}

void StateAccess::copy(const Readiness& from, Readiness& to) {
  to.now_ = from.now_;
  to.sets_ = from.sets_;
  to.slots_ = from.slots_;
  for (auto& [key, slot] : to.slots_) slot.key = &key;
  const auto slot = [&](const Readiness::Slot* of) { return &to.slots_.at(*of->key); };
  for (const auto& [id, of] : from.by_id_) to.by_id_.emplace(id, slot(of));
  for (const auto& [set, of] : from.joins_) to.joins_.emplace(set, slot(of));
  for (const auto& [group, firsts] : from.firsts_)
    for (const Readiness::Slot* of : firsts) to.firsts_[group].push_back(slot(of));
  to.torn_ = from.torn_;
  for (const Readiness::Slot* of : from.idle_) {
    Readiness::Slot* own = slot(of);
    own->idle = to.idle_.insert(to.idle_.end(), own);
  }
  to.active_ = from.active_;
  to.in_flight_ = from.in_flight_;
  to.answered_ = from.answered_;
  to.refused_ = from.refused_;
  to.pending_ = from.pending_;
  to.last_id_ = from.last_id_;
  to.rounds_ = from.rounds_;
  to.used_ = from.used_;
  to.urgent_ = from.urgent_;
  to.ready_bytes_ = from.ready_bytes_;
}

void StateAccess::write(StateText& to, const Link& link) {
  to << link.job_ << link.own_ << link.peer_ << link.peer_known_ << link.epoch_
     << link.before_.has_value() << link.before_.value_or(0);
}

void StateAccess::write(StateText& to, const Worker& w) {
  to << w.state_;
  write(to, w.link_);
  to << w.epoch_;
  control::write(to, w.members_);
  to << w.table_.size();
  for (const auto* row : sorted(w.table_)) {
    control::write(to, row->first);
    const Worker::Entry& entry = row->second;
    control::write(to, entry.signature);
    to << entry.announced << entry.in_flight << entry.sent_id << entry.id;
    control::write(to, entry.extents);
  }
  for (const auto* ids : {&w.by_id_, &w.resendable_}) {
    to << ids->size();
    for (const auto* item : sorted(*ids)) {
      to << item->first;
      control::write(to, item->second->first);
    }
  }
  to << w.store_waiting_.size();
  for (const auto& [request, waiting] : w.store_waiting_)
    to << request << std::string_view(waiting.key) << waiting.bytes << waiting.is_set;
  to << w.store_bytes_ << w.store_keys_ << w.asked_ << w.reported_;
  to << w.leaving_ << w.left_;
  control::write(to, w.orphaned_);
  control::write(to, w.ended_);
}

void StateAccess::write(StateText& to, const Coordinator& c) {
  control::write(to, c.members_);
  for (const Link& link : c.links_) write(to, link);
  for (const bool gone : c.gone_) to << gone;
  for (const bool finished : c.finished_) to << finished;
  write(to, c.readiness_);
  write(to, c.store_);
  to << c.backlog_ << c.confirmed_.has_value();
  if (c.confirmed_) {
    to << c.confirmed_->time_since_epoch().count() << c.accusations_.first();
    for (const auto& [accuser, failure] : c.accusations_.all()) {
      to << accuser;
      to.message(Report{failure});
    }
  }
  to << c.gave_up_zero_.size();
  for (const auto& [rank, cause] : c.gave_up_zero_) to << rank << std::string_view(cause);
  // Nobody looks for stalls in a search: when what was announced makes no difference.
  to << c.look_.has_value() << c.inquiries_.deadline().has_value();
  for (const uint32_t owed : c.resends_) to << owed;
  for (const auto& deferred : c.deferred_) {
    to << deferred.size();
    for (const Announcement& item : deferred) to.message(Announce{.full = {item}});
  }
  to << c.failed_;
}

void StateAccess::write(StateText& to, const ProcessSets& s) {
  to << s.last_id_ << s.sets_.size();
  for (const auto& [id, members] : s.sets_) {
    to << id << members.size();
    for (const int member : members) to << member;
  }
  to << s.broken_.size();
  for (const auto& [set, why] : s.broken_) {
    to << set;
    control::write(to, why);
  }
}

void StateAccess::write(StateText& to, const Readiness& r) {
  write(to, r.sets_);
  to << r.slots_.size();
  for (const auto& [key, slot] : r.slots_) {
    control::write(to, key);
    to << slot.id;
    control::write(to, slot.agreed);
    control::write(to, slot.extents);
    to << slot.has_memory << slot.ends.size();  // which follow from the name
    for (const bool announced : slot.announced) to << announced;
    to << slot.count << (key.name.empty() ? slot.last : -1) << slot.full.size();
    for (const auto& [place, signature] : slot.full) {
      to << place;
      control::write(to, signature);
    }
  }
  to << r.by_id_.size();
  for (const auto* item : sorted(r.by_id_)) {
    to << item->first;
    control::write(to, *item->second->key);
  }
  to << r.idle_.size();
  for (const Readiness::Slot* slot : r.idle_) control::write(to, *slot->key);
  for (const size_t count : r.in_flight_) to << count;
  for (const size_t count : r.answered_) to << count;
  to << r.pending_ << r.last_id_ << r.rounds_.size();
  for (Round round : r.rounds_) {
    settle_order(round.rejected);
    to.message(round);
  }
  to << r.refused_ << r.used_ << r.urgent_ << r.ready_bytes_;
}

void StateAccess::write(StateText& to, const StoreTable& s) {
  for (const StoreTable::Usage& usage : s.usage_) {
    to << usage.bytes << usage.keys << usage.waits.size();
    for (const auto& [request, key] : usage.waits) to << request << std::string_view(key);
  }
  to << s.values_.size();
  for (const auto& [key, value] : s.values_)
    to << std::string_view(key)
       << std::string_view(reinterpret_cast<const char*>(value.data()), value.size());
  to << s.waiting_.size();
  for (const auto& [key, waiters] : s.waiting_) {
    to << std::string_view(key) << waiters.size();
    for (const StoreTable::Waiter& waiter : waiters) to << waiter.rank << waiter.request;
  }
}

void StateAccess::write(StateText& to, const Membership& m) {
  for (const Link& link : m.links_) write(to, link);
  for (const bool connected : m.connected_) to << connected;
  for (const std::optional<Member>& member : m.joined_) {
    to << member.has_value();
    if (member)
      to << member->rank << member->pid << std::string_view(member->host)
         << std::string_view(member->address);
  }
  to << m.count_ << m.ended_;
  control::write(to, m.refused_);
}

}  // namespace farandole::control

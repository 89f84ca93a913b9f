#include "controller/protocol/worker.h"

#include <algorithm>
#include <utility>

#include "controller/protocol/mutation.h"
#include "core/base/format.h"
#include "core/request_check.h"

namespace farandole::control {
namespace {

// Bytes of an announced tensor in a message besides its name and dimensions, rounded up.
constexpr size_t kAnnouncementBytes = 160;

size_t wire_bytes(const Announcement& item) {
  const Signature& s = item.signature;
  return kAnnouncementBytes + item.name.size() +
         (s.shape.size() + s.splits.size() + s.operand.size()) * sizeof(int64_t);
}

}  // namespace

Worker::Worker(const WorkerOptions& options)
    : options_(options), link_(options_.job, options_.incarnation) {}

Action Worker::send(const Message& message) {
  return SendTo{0, encode(link_.next(), message)};
}

Actions Worker::join(Member self, std::vector<Setting> settings) {
  const auto size = static_cast<uint32_t>(options_.limits.size);
  return {send(Join{std::move(self), size, std::move(settings)})};
}

Actions Worker::on_frame(std::span<const uint8_t> bytes) {
  if ((state_ == State::Ended && !FARANDOLE_MUTATE(ListenAfterTheEnd)) || state_ == State::Closed)
    return {};
  Result<Frame> frame = decode(bytes, options_.limits);
  if (!frame)
    return malformed(frame.status().message());
  if (!link_.accept(frame.value().envelope))
    return {};
  Message& message = frame.value().body;
  const bool forming =
      std::holds_alternative<Welcome>(message) || std::holds_alternative<Refuse>(message);
  if (forming != (state_ == State::Joining))
    return malformed("a message at the wrong time");
  return std::visit([this](auto& body) { return on(body); }, message);
}

Actions Worker::on(Welcome& message) {
  state_ = State::Active;
  epoch_ = message.epoch;
  link_.enter(epoch_);
  members_ = std::move(message.members);
  return {Formed{epoch_, members_}};
}

Actions Worker::on(Refuse& message) {
  state_ = State::Ended;
  ended_ = message.why;
  return {NotFormed{std::move(message.why)}};
}

Actions Worker::announce(std::vector<Announcement> announcements) {
  if (over())
    return reject_locally(std::move(announcements));
  if (state_ != State::Active)
    return {};
  std::vector<Announcement> full;
  std::vector<uint32_t> cached;
  for (Announcement& item : announcements) {
    auto [it, fresh] = table_.try_emplace(Key{item.signature.process_set, item.name});
    Entry& entry = it->second;
    if (entry.id != 0 && !entry.in_flight && entry.announced &&
        (entry.signature == item.signature || FARANDOLE_MUTATE(IdForAnySignature))) {
      entry.sent_id = entry.id;
      cached.push_back(entry.id);
    } else {
      resendable_.erase(entry.sent_id);
      entry.sent_id = 0;
      entry.signature = item.signature;
      entry.announced = true;
      full.push_back(std::move(item));
    }
    entry.in_flight = true;
  }
  return send_announcements(std::move(full), std::move(cached));
}

Actions Worker::send_announcements(
    std::vector<Announcement> full, std::vector<uint32_t> cached, uint32_t resends) {
  Actions actions;
  for (size_t at = 0; at < cached.size(); at += kMaxEntries) {
    const auto from = cached.begin() + static_cast<ptrdiff_t>(at);
    const size_t count = std::min(kMaxEntries, cached.size() - at);
    actions.push_back(send(Announce{{}, {from, from + static_cast<ptrdiff_t>(count)}}));
  }
  Announce message;
  size_t used = 0;
  for (Announcement& item : full) {
    const size_t bytes = wire_bytes(item);
    if (!message.full.empty() && (used + bytes > options_.limits.max_frame_bytes - kMessageBytes ||
                                  message.full.size() == kMaxEntries)) {
      actions.push_back(send(message));
      message.full.clear();
      used = 0;
    }
    used += bytes;
    message.full.push_back(std::move(item));
  }
  message.resends = resends;
  if (!message.full.empty() || resends > 0)
    actions.push_back(send(message));
  return actions;
}

Actions Worker::reject_locally(std::vector<Announcement> announcements) {
  Agreement agreement{.epoch = epoch_, .round = ++round_};
  for (Announcement& item : announcements) {
    const Signature& s = item.signature;
    Status why = error(orphaned_.code(), "{}: {}", describe(s.kind, item.name), orphaned_.message())
                     .blame(orphaned_.culprit());
    agreement.rejected.push_back({std::move(item.name), s.process_set, std::move(why)});
  }
  return {Deliver{std::move(agreement)}};
}

Actions Worker::on(Round& message) {
  if (state_ != State::Active)
    return {};
  if (message.number != round_ + 1 && !FARANDOLE_MUTATE(AcceptGaps))
    return malformed(fmt::format("round {} after round {}", message.number, round_));
  round_ = message.number;
  Agreement agreement{.epoch = epoch_, .round = round_};
  if (Status status = take_ready(message, agreement); !status.is_ok())
    return malformed(status.message());
  if (FARANDOLE_MUTATE(OrderOfOwnRank) && options_.rank == 1)
    std::ranges::reverse(agreement.ready);
  take_rejected(message, agreement);
  for (const uint32_t id : message.evicted) forget(id);
  if (by_id_.size() > options_.limits.cache_capacity)
    return malformed("more ids than the cache has");
  return {Deliver{std::move(agreement)}};
}

Status Worker::take_ready(Round& round, Agreement& agreement) {
  agreement.ready.reserve(round.ready.size());
  auto detail = round.details.begin();
  for (const uint32_t id : round.ready) {
    const bool told = detail != round.details.end() && detail->id == id;
    FARANDOLE_RETURN_IF_ERROR(told ? take_detail(*detail++, agreement) : take_known(id, agreement));
  }
  if (detail != round.details.end())
    return {Code::InvalidArgument, "details of tensors that are not ready"};
  return Status::ok();
}

Status Worker::take_known(uint32_t id, Agreement& agreement) {
  const auto it = by_id_.find(id);
  if (it == by_id_.end())
    return error(Code::InvalidArgument, "id {}, which nothing has", id);
  Row& row = *it->second;
  agreement.ready.push_back({row.first.name, row.first.process_set, row.second.extents, {}});
  settle(row);
  return Status::ok();
}

Status Worker::take_detail(Detail& detail, Agreement& agreement) {
  if (!detail.named) {
    const auto it = by_id_.find(detail.id);
    if (it != by_id_.end())
      it->second->second.extents = std::move(detail.extents);
    return take_known(detail.id, agreement);
  }
  Row& row = *table_.try_emplace(Key{detail.process_set, detail.name}).first;
  agreement.ready.push_back(
      {std::move(detail.name), detail.process_set, detail.extents, std::move(detail.stand_in)});
  drop_id(row);
  if (detail.id != 0 && !by_id_.emplace(detail.id, &row).second)
    return error(Code::InvalidArgument, "id {} for two tensors", detail.id);
  row.second.id = detail.id;
  row.second.extents = std::move(detail.extents);
  settle(row);
  return Status::ok();
}

void Worker::take_rejected(Round& round, Agreement& agreement) {
  for (Rejection& rejection : round.rejected) {
    const auto it = table_.find(Key{rejection.process_set, rejection.name});
    if (it != table_.end()) {
      if (!FARANDOLE_MUTATE(KeepRejectedId))
        drop_id(*it);
      settle(*it);
    }
  }
  agreement.rejected = std::move(round.rejected);
}

// The row's tensor has been answered.
void Worker::settle(Row& row) {
  Entry& entry = row.second;
  if (entry.sent_id != 0)
    resendable_.erase(entry.sent_id);
  entry.sent_id = 0;
  entry.in_flight = false;
  erase_idle(row);
}

void Worker::erase_idle(Row& row) {
  if (row.second.id != 0 || row.second.in_flight)
    return;
  const Key key = row.first;
  table_.erase(key);
}

void Worker::drop_id(Row& row) {
  by_id_.erase(row.second.id);
  row.second.id = 0;
}

void Worker::forget(uint32_t id) {
  const auto it = by_id_.find(id);
  if (it == by_id_.end())
    return;
  Row& row = *it->second;
  drop_id(row);
  if (row.second.in_flight && row.second.sent_id == id)
    resendable_.emplace(id, &row);
  erase_idle(row);
}

// The request may come before or after the round that tells of the eviction.
Worker::Row* Worker::sent_under(uint32_t id) {
  if (const auto it = resendable_.find(id); it != resendable_.end())
    return it->second;
  const auto it = by_id_.find(id);
  return it != by_id_.end() && it->second->second.sent_id == id ? it->second : nullptr;
}

Actions Worker::on(Resend& message) {
  if (state_ != State::Active || FARANDOLE_MUTATE(IgnoreResend))
    return {};
  std::vector<Announcement> full;
  for (const uint32_t id : message.ids) {
    Row* row = sent_under(id);
    if (row == nullptr)
      continue;  // answered meanwhile
    row->second.sent_id = 0;
    full.push_back({row->first.name, row->second.signature});
    resendable_.erase(id);
  }
  return send_announcements(std::move(full), {}, 1);
}

Actions Worker::on(Failure& message) {
  PeerFailure& failure = message.failure;
  if (!failure.left)
    return end(std::move(failure));
  if (failure.rank == options_.rank || failure.rank == 0)
    return orphan(std::move(failure));
  return {Fail{std::move(failure)}};
}

// Nothing is agreed upon any more: what is in flight is rejected here.
Actions Worker::orphan(PeerFailure failure) {
  const bool already = over();
  if (!already)
    state_ = State::Orphaned;
  left_ = left_ || failure.rank == options_.rank;
  Actions actions;
  if (!already && failure.rank == options_.rank)
    orphaned_ = {Code::Aborted, "ended by this rank's shutdown"};
  else if (!already)
    orphaned_ = error(
                    Code::PeerLost,
                    "rank {} (host {}) left the job{}: {}",
                    failure.rank,
                    printable(failure.host),
                    failure.rank == 0 ? " and was its coordinator" : "",
                    printable_within(failure.cause, kMaxCauseBytes))
                    .blame(failure.rank);
  actions.push_back(Fail{std::move(failure)});
  std::vector<Announcement> in_flight;
  for (auto& [key, entry] : table_)
    if (entry.in_flight && !FARANDOLE_MUTATE(ForgetInFlight))
      in_flight.push_back({key.name, std::move(entry.signature)});
  std::ranges::sort(in_flight, {}, [](const Announcement& item) {
    return std::pair(item.signature.process_set, item.name);
  });
  table_.clear();
  by_id_.clear();
  resendable_.clear();
  if (!in_flight.empty()) {
    Actions rejections = reject_locally(std::move(in_flight));
    std::move(rejections.begin(), rejections.end(), std::back_inserter(actions));
  }
  return actions;
}

Actions Worker::report(PeerFailure failure) {
  failure.left = false;
  if (state_ == State::Finished || state_ == State::Closed)
    return end(std::move(failure));
  if (!may_send() || std::exchange(reported_, true))
    return {};
  return {send(Report{std::move(failure)})};
}

Actions Worker::leave(std::string cause) {
  if (leaving_)
    return {};
  if (may_send()) {
    leaving_ = true;
    return {send(Leave{std::move(cause)})};
  }
  // The coordinator has been told all that it needs to know, and may have gone.
  if (state_ == State::Finished || state_ == State::Closed)
    return {farewell()};
  return {};
}

Actions Worker::finished() {
  if (state_ != State::Orphaned)
    return {};
  state_ = State::Finished;
  ended_ = orphaned_;
  Actions actions{send(Finished{})};
  answer_waiting(ended_, actions);
  return actions;
}

// The acknowledgement of this rank's own goodbye, where the coordinator can give none.
Action Worker::farewell() {
  leaving_ = left_ = true;
  const auto place = static_cast<size_t>(options_.rank);
  return Fail{
      {.rank = options_.rank, .host = members_[place].host, .cause = "shutdown", .left = true}};
}

Actions Worker::on_lost(const std::string& cause) {
  if (state_ == State::Ended || state_ == State::Closed)
    return {};
  const std::string host = members_.empty() ? std::string() : members_.front().host;
  if (state_ == State::Joining) {
    state_ = State::Ended;
    ended_ = error(Code::PeerLost, "rank 0 was lost while the group formed: {}", cause).blame(0);
    return {NotFormed{ended_}};
  }
  // The coordinator's rank stays until all have finished.
  if (state_ != State::Finished)
    return end({.rank = 0, .host = host, .cause = cause});
  state_ = State::Closed;
  Actions actions;
  if (leaving_ && !left_)
    actions.push_back(farewell());
  return actions;
}

Actions Worker::on_silent(const std::string& cause) {
  Actions actions;
  if ((may_send() || state_ == State::Joining) && !FARANDOLE_MUTATE(GoWithoutAWord))
    actions.push_back(send(Report{{.rank = 0, .cause = cause}}));
  Actions lost = on_lost(cause);
  std::move(lost.begin(), lost.end(), std::back_inserter(actions));
  return actions;
}

Actions Worker::end(PeerFailure failure) {
  state_ = State::Ended;
  const std::string who =
      failure.rank < 0 ? std::string("the job")
                       : fmt::format("rank {} (host {})", failure.rank, printable(failure.host));
  ended_ = error(failure.code, "{}: {}", who, printable_within(failure.cause, kMaxCauseBytes))
               .blame(failure.rank);
  table_.clear();
  by_id_.clear();
  resendable_.clear();
  Actions actions;
  actions.push_back(Fail{std::move(failure)});
  answer_waiting(ended_, actions);
  return actions;
}

Actions Worker::malformed(const std::string& what) {
  const std::string cause = "broke the protocol: it sent " + what;
  Actions actions = on_lost(cause);
  if (actions.empty())
    return actions;
  actions.push_back(CloseRank{0, cause});
  return actions;
}

}  // namespace farandole::control

#include "controller/protocol/coordinator.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "controller/protocol/mutation.h"
#include "core/base/format.h"

namespace farandole::control {
namespace {

// Rounds that rank 0 still has to do, from which on small rounds are held back.
constexpr size_t kBusyRounds = 2;

void append(Actions& to, Actions more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, Group group)
    : options_(std::move(options)),
      members_(std::move(group.members)),
      links_(std::move(group.links)),
      gone_(options_.limits.size),
      finished_(options_.limits.size),
      readiness_(options_.limits, options_.process_sets, options_.hear),
      resends_(options_.limits.size),
      deferred_(options_.limits.size),
      store_(options_.limits),
      inquiries_(options_.limits.size, options_.stalls.patience()) {}

Action Coordinator::send(int rank, const Message& message) {
  return SendTo{rank, encode(links_[static_cast<size_t>(rank)].next(), message)};
}

// Encodes once for all.
void Coordinator::broadcast(const Message& message, const std::vector<bool>& skip, Actions& to) {
  const Bytes bytes = encode({}, message);
  for (size_t rank = 0; rank < links_.size(); ++rank) {
    if (skip[rank])
      continue;
    SendTo send{static_cast<int>(rank), bytes};
    restamp(send.bytes, links_[rank].next());
    to.emplace_back(std::move(send));
  }
}

Actions Coordinator::fail(PeerFailure failure, int unreachable) {
  failed_ = true;
  accusations_.clear();
  confirmed_.reset();
  failure.left = false;
  failure.host = failure.rank < 0 ? "" : members_[static_cast<size_t>(failure.rank)].host;
  std::vector<bool> skip = finished_;
  if (unreachable >= 0)
    skip[static_cast<size_t>(unreachable)] = true;
  if (FARANDOLE_MUTATE(TellOneRankOfTheVerdict))
    std::fill(skip.begin() + 1, skip.end(), true);
  Actions actions;
  if (FARANDOLE_MUTATE(OneMoreRoundForOne) && readiness_.anything()) {
    actions = tell();
    actions.resize(1);
  }
  // What was waited for may be why.
  if (std::optional<StallReport> report = inquiries_.take())
    actions.push_back(TellStalls{std::move(*report)});
  broadcast(Failure{std::move(failure)}, skip, actions);
  return actions;
}

Actions Coordinator::blame(int rank, const std::string& cause) {
  Actions actions = fail({.rank = rank, .cause = "broke the protocol: it " + cause}, -1);
  actions.push_back(CloseRank{rank, cause});
  return actions;
}

Actions Coordinator::on_frame(int rank, std::span<const uint8_t> bytes, TimePoint now) {
  if (failed_)
    return {};
  Result<Frame> frame = decode(bytes, options_.limits);
  if (!frame)
    return blame(rank, "sent a malformed message: " + frame.status().message());
  if (!links_.at(static_cast<size_t>(rank)).accept(frame.value().envelope))
    return {};
  if (finished(rank))
    return blame(rank, "went on to speak after its last word");
  Message& message = frame.value().body;
  if (Report* report = std::get_if<Report>(&message))
    return accuse(rank, std::move(report->failure), now);
  if (Answer* answer = std::get_if<Answer>(&message))
    return testify(rank, std::move(*answer), now);
  readiness_.at(now);
  Actions actions = std::visit([&](auto& body) { return on(rank, body); }, message);
  watch(now);
  return actions;
}

Actions Coordinator::on(int rank, Announce& message) {
  if (left(rank) || left(0))
    return {};
  Actions actions;
  const auto tell_a_crowd = [&] {
    if (readiness_.crowded())
      append(actions, tell());
  };
  for (Announcement& item : message.full) {
    if (Status status = announce(rank, std::move(item)); !status.is_ok()) {
      append(actions, blame(rank, status.message()));
      return actions;
    }
    tell_a_crowd();
  }
  if (Status status = resent(rank, message.resends); !status.is_ok()) {
    append(actions, blame(rank, status.message()));
    return actions;
  }
  tell_a_crowd();
  Resend resend;
  for (const uint32_t id : message.cached) {
    const Result<Readiness::Known> known = readiness_.announce_cached(rank, id);
    if (!known) {
      append(actions, blame(rank, known.status().message()));
      return actions;
    }
    tell_a_crowd();
    if (known.value() == Readiness::Known::Forgotten)
      resend.ids.push_back(id);
  }
  if (!resend.ids.empty()) {
    ++resends_[static_cast<size_t>(rank)];
    actions.push_back(send(rank, resend));
  }
  return actions;
}

Status Coordinator::announce(int rank, Announcement item) {
  const bool joins =
      item.signature.kind == CollectiveKind::Join && !FARANDOLE_MUTATE(JoinOvertakes);
  const bool removes = item.signature.kind == CollectiveKind::RemoveProcessSet &&
                       !FARANDOLE_MUTATE(RemovalOvertakes);
  if (resends_[static_cast<size_t>(rank)] == 0 || !(joins || removes))
    return readiness_.announce(rank, std::move(item));
  std::vector<Announcement>& deferred = deferred_[static_cast<size_t>(rank)];
  if (deferred.size() == options_.limits.max_pending)
    return error(
        Code::PeerLost,
        "announced more than {} tensors at once (FARANDOLE_MAX_PENDING)",
        options_.limits.max_pending);
  deferred.push_back(std::move(item));
  return Status::ok();
}

// What `rank` was asked for in full has come; now its joins and removals count.
Status Coordinator::resent(int rank, uint32_t resends) {
  uint32_t& owed = resends_[static_cast<size_t>(rank)];
  if (resends > owed)
    return {Code::PeerLost, "answered what it was not asked"};
  owed -= resends;
  if (owed > 0)
    return Status::ok();
  for (Announcement& item : std::exchange(deferred_[static_cast<size_t>(rank)], {}))
    FARANDOLE_RETURN_IF_ERROR(readiness_.announce(rank, std::move(item)));
  return Status::ok();
}

Actions Coordinator::on(int rank, Leave& message) {
  if (left(rank))
    return {};
  // Whatever was ready before is agreed upon with the leaving rank, which carries it out.
  Actions actions = FARANDOLE_MUTATE(AcknowledgeBeforeReady) ? Actions{} : tell();
  gone_[static_cast<size_t>(rank)] = !FARANDOLE_MUTATE(ForgetWhoLeft);
  const Member& member = members_[static_cast<size_t>(rank)];
  const std::string cause = message.cause.empty() ? "shutdown" : std::move(message.cause);
  PeerFailure failure{.rank = rank, .host = member.host, .cause = cause, .left = true};
  broadcast(Failure{std::move(failure)}, finished_, actions);
  readiness_.leave(
      rank,
      error(
          Code::PeerLost,
          "rank {} (host {}) left the job: {}",
          rank,
          printable(member.host),
          printable_within(cause, kMaxCauseBytes))
          .blame(rank));
  if (!left(0))
    append(actions, tell());
  return actions;
}

Actions Coordinator::on(int rank, Finished&) {
  if (!left(rank) && !left(0))
    return blame(rank, "said that it had finished, but nobody had left");
  finished_[static_cast<size_t>(rank)] = true;
  store_.forget(rank);
  return {};
}

bool Coordinator::concluded() const {
  return failed_ || std::ranges::all_of(finished_, std::identity());
}

Actions Coordinator::on(int rank, StoreSet& message) {
  return answer(rank, store_.set(rank, std::move(message)));
}

Actions Coordinator::on(int rank, StoreGet& message) {
  return answer(rank, store_.get(rank, std::move(message)));
}

Actions Coordinator::on(int rank, StoreCancel& message) {
  store_.cancel(rank, message.request);
  return {};
}

Actions Coordinator::answer(int rank, Result<StoreAnswers> answers) {
  if (!answers)
    return blame(rank, answers.status().message());
  Actions actions;
  for (StoreAnswer& answer : answers.value()) {
    if (answer.status.is_ok())
      actions.push_back(send(answer.rank, StoreValue{answer.request, std::move(answer.value)}));
    else
      actions.push_back(send(answer.rank, StoreError{answer.request, std::move(answer.status)}));
  }
  return actions;
}

Actions Coordinator::accuse(int accuser, PeerFailure failure, TimePoint now) {
  if (failure.rank == 0 && failure.code == Code::PeerLost)
    gave_up_zero_.try_emplace(accuser, failure.cause);
  if (FARANDOLE_MUTATE(BelieveAccusations))
    return fail(std::move(failure));
  if (accusations_.empty())
    confirmed_ = now + ControlPlane::kConfirm;
  accusations_.add(accuser, std::move(failure));
  return {};
}

std::optional<TimePoint> Coordinator::deadline() const noexcept {
  if (failed_)
    return std::nullopt;
  std::optional<TimePoint> next = inquiries_.deadline();
  const auto consider = [&next](TimePoint when) { next = std::min(next.value_or(when), when); };
  if (confirmed_)
    consider(*confirmed_);
  if (look_)
    consider(*look_);
  return next;
}

Actions Coordinator::tick(TimePoint now) {
  if (failed_)
    return {};
  if (confirmed_ && now >= *confirmed_ && !FARANDOLE_MUTATE(SkipConfirmDeadline))
    return fail(accusations_.verdict());
  Actions actions = look(now);
  if (!failed_)
    append(actions, tell_stalls(now));
  return actions;
}

Actions Coordinator::on_lost(int rank, const std::string& cause) {
  return lose(rank, cause, rank);
}

Actions Coordinator::lose(int rank, const std::string& cause, int unreachable) {
  if (failed_ && !FARANDOLE_MUTATE(ReplaceTheVerdict))
    return {};
  if (finished(rank) && !FARANDOLE_MUTATE(BlameWhoLeft))
    return {};
  const auto gave_up = gave_up_zero_.find(rank);
  if (gave_up != gave_up_zero_.end())
    return fail({.rank = 0, .cause = gave_up->second}, unreachable);
  const char* when = left(rank) ? ", before it had finished what was agreed upon" : "";
  if (FARANDOLE_MUTATE(BlameAnother))
    rank = (rank + 1) % static_cast<int>(links_.size());
  return fail({.rank = rank, .cause = cause + when}, unreachable);
}

Actions Coordinator::on_silent(int rank, const std::string& cause) {
  Actions actions = lose(rank, cause, FARANDOLE_MUTATE(TellNoSilentRank) ? rank : -1);
  actions.push_back(CloseRank{rank, cause});
  return actions;
}

Actions Coordinator::flush() {
  if (failed_ || left(0) || !readiness_.anything())
    return {};
  const bool busy = backlog_ >= kBusyRounds || FARANDOLE_MUTATE(HoldBackForever);
  if (busy && !readiness_.urgent() && readiness_.ready_bytes() < options_.limits.fusion_bytes)
    return {};
  return tell();
}

Actions Coordinator::tell() {
  Actions actions;
  for (Round& round : readiness_.take()) {
    round.number = ++round_;
    broadcast(round, gone_, actions);
    if (FARANDOLE_MUTATE(RejectToOneRank) && !round.rejected.empty())
      actions.resize(1);
  }
  return actions;
}

Dropped Coordinator::dropped() const {
  Dropped sum;
  for (const Link& link : links_) {
    sum.job += link.dropped().job;
    sum.epoch += link.dropped().epoch;
    sum.incarnation += link.dropped().incarnation;
    sum.seq += link.dropped().seq;
  }
  return sum;
}

}  // namespace farandole::control

#include "core/session.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <utility>

#include "core/base/abandon.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/patience.h"
#include "core/base/refusal.h"
#include "core/engine.h"
#include "core/group_maker.h"
#include "core/group_table.h"
#include "core/request_check.h"
#include "core/submission.h"

namespace farandole {

// Owns everything, in the order in which it depends on one another.
class Session::Impl final : public ControlSink {
 public:
  explicit Impl(SessionParts parts)
      : parts_(std::move(parts)),
        emitter_(*counters_, parts_.observers, &timeline_),
        names_(static_cast<size_t>(parts_.config.max_pending)),
        completion_(names_, emitter_) {}

  Status start();
  Result<std::vector<TicketPtr>> submit(std::vector<Request> requests);
  bool wait_until(Ticket& ticket, TimePoint deadline) {
    const LogScope scope(label());
    const GroupTable::GroupPtr group = groups_.serving(ticket.process_set(), ticket.way());
    return group && group->included() ? group->lane->help_until(ticket, deadline)
                                      : ticket.wait_until(deadline);
  }
  std::vector<uint32_t> process_sets() const { return groups_.ids(); }
  Result<std::vector<int>> ranks_of(uint32_t process_set) const {
    const GroupTable::GroupPtr group = groups_.find(process_set);
    return group ? Result<std::vector<int>>(group->members) : groups_.missing(process_set);
  }
  std::string next_name(CollectiveKind kind, uint32_t process_set, Way way) const {
    return groups_.next_name(kind, process_set, way);
  }
  Status health() const {
    if (stopping_)
      return after_shutdown();
    return engine_ ? engine_->health() : Status::ok();
  }
  Counters::Values counters() const { return counters_->read(); }
  std::shared_ptr<const Counters> shared_counters() const { return counters_; }
  Timeline& timeline() { return timeline_; }
  Status shutdown(const std::string& cause);
  bool in_own_process() const { return getpid() == pid_; }
  // After shutdown() or a start that failed: a thread did not end, and may touch all this at any
  // time.
  bool stuck() const { return stuck_; }

  const Topology& topology() const { return topology_; }
  const Config& config() const { return parts_.config; }
  const std::vector<Member>& members() const { return parts_.control->members(); }

  void on_agreement(Agreement agreement) override {
    inbox_->push(message::Agreed{std::move(agreement)});
  }
  void on_failure(PeerFailure failure) override {
    inbox_->push(message::Failed{std::move(failure)});
  }
  void on_announced(const Announced& announced, uint64_t& mark) noexcept override {
    emitter_.announced(announced, mark);
  }

 private:
  LogLabel label() const { return parts_.log ? parts_.log->label() : nullptr; }
  Status check(Request& request) const;
  Device* device(DeviceId id) const;
  Status make_groups();
  void make_engine();
  bool drain_until(TimePoint deadline) const;
  void on_broken(message::Broken broken) noexcept;
  bool posted(Message& message) noexcept;
  Status not_posted(const Request& request) const noexcept;
  void give_up(bool collectives_ended);

  const pid_t pid_ = getpid();
  SessionParts parts_;
  const std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  Timeline timeline_;
  Emitter emitter_;
  NameRegistry names_;
  Completion completion_;
  Topology topology_;
  GroupMaker maker_;
  GroupTable groups_;
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<Inbox> inbox_;
  std::atomic<bool> stopping_{false};
  bool stuck_ = false;
  Mutex shutdown_mutex_;
  bool stopped_ FARANDOLE_GUARDED_BY(shutdown_mutex_) = false;
};

Status Session::Impl::make_groups() {
  maker_.parts = &parts_;
  maker_.completion = &completion_;
  maker_.emitter = &emitter_;
  maker_.device = device({});
  maker_.broken = [this](Bucket bucket, Status why) {
    on_broken({std::move(bucket), std::move(why)});
  };
  maker_.rank = topology_.rank;
  return maker_.make_first(groups_);
}

bool Session::Impl::drain_until(TimePoint deadline) const {
  bool drained = true;
  for (const GroupTable::GroupPtr& group : groups_.all())
    drained = (!group->included() || group->lane->drain_until(deadline)) && drained;
  return drained;
}

void Session::Impl::on_broken(message::Broken broken) noexcept {
  Message message = std::move(broken);
  if (posted(message))
    return;
  // Nobody is left to hear the verdict once the session was given up.
  auto& [bucket, why] = std::get<message::Broken>(message);
  for (ReadyTensor& tensor : bucket)
    completion_.settle(std::move(tensor.op), Completion::copy_of(why));
}

// Whether the engine gets the message; it is as it was where not: after shutdown, without memory.
bool Session::Impl::posted(Message& message) noexcept {
  try {
    return inbox_->push(std::move(message));
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Session::Impl::make_engine() {
  Engine::Parts parts;
  parts.control = parts_.control.get();
  parts.completion = &completion_;
  parts.emitter = &emitter_;
  parts.post = [this](Message message) { inbox_->push(std::move(message)); };
  parts.fusion_bytes = static_cast<size_t>(parts_.config.fusion_bytes);
  parts.rank = topology_.rank;
  parts.groups = &groups_;
  parts.make_group = [this](uint32_t id, std::vector<int> members) {
    return maker_.make(id, std::move(members));
  };
  engine_ = std::make_unique<Engine>(std::move(parts));
}

Status Session::Impl::start() {
  const LogScope scope(label());
  // The place in the job is known before the group forms; hosts are known after. Agreements need
  // submissions, and those need a started session, so the order is safe.
  topology_.rank = static_cast<int>(parts_.config.rank);
  topology_.size = static_cast<int>(parts_.config.size);
  FARANDOLE_RETURN_IF_ERROR(make_groups());
  FARANDOLE_FAILPOINT("session.start");
  make_engine();
  inbox_ =
      std::make_shared<Inbox>(*parts_.loop, [this](Message m) { engine_->handle(std::move(m)); });
  const Status started = parts_.control->start(*this);
  FARANDOLE_FAILPOINT("session.started");
  if (started.is_ok())
    topology_ = topology_of(topology_.rank, parts_.control->members());
  else  // what reached the inbox on the loop must not outlive the engine
    stuck_ = !parts_.control->stop(steady_now()) || !inbox_->close(steady_now() + patience::kLoop);
  return started;
}

Device* Session::Impl::device(DeviceId id) const {
  for (const std::shared_ptr<Device>& device : parts_.devices) {
    if (device->id() == id)
      return device.get();
  }
  return nullptr;
}

Status Session::Impl::check(Request& request) const {
  Signature& s = request.signature;
  const GroupTable::GroupPtr group = groups_.find(s.process_set);
  const RequestLimits limits{
      .max_name_bytes = parts_.config.max_name_bytes,
      .max_dims = parts_.config.max_dims,
      .members = group ? static_cast<int>(group->members.size()) : 1,
      .ranks = group ? group->members : std::span<const int>(),
      .size = topology_.size,
      .rank = topology_.rank};
  FARANDOLE_RETURN_IF_ERROR(check_request(request, limits));
  if (!group || !group->included()) {
    const Status why = group ? group->excludes(topology_.rank) : groups_.missing(s.process_set);
    return error(why.code(), "{}: {}", describe(s.kind, request.name), why.message());
  }
  complete_request(request, limits);
  const DeviceId id = request.signature.device;
  if (device(id) == nullptr)
    return error(
        Code::Unsupported,
        "{}: nothing here communicates memory of {}:{}; move the tensor to the CPU",
        describe(request.signature.kind, request.name),
        name_of(id.type),
        id.index);
  return Status::ok();
}

Result<std::vector<TicketPtr>> Session::Impl::submit(std::vector<Request> requests) {
  const LogScope scope(label());
  if (!in_own_process())
    return error(
        Code::Aborted,
        "this is a forked child (pid {}) of the process that started the session (pid {}); "
        "communicate from the parent, or start a session of its own",
        getpid(),
        pid_);
  FARANDOLE_FAILPOINT("session.submit");
  groups_.name(requests);
  if (stopping_)
    return after_shutdown();
  for (Request& request : requests) FARANDOLE_RETURN_IF_ERROR(check(request));
  for (const Request& request : requests) {
    const Status health = engine_->health(request.signature.process_set);
    if (!health.is_ok())
      return Status(
                 health.code(),
                 describe(request.signature.kind, request.name) + ": " + health.message())
          .blame(health.culprit());
  }
  if (requests.empty() && !engine_->health().is_ok())
    return engine_->health();
  if (requests.empty())
    return std::vector<TicketPtr>();
  // All memory is taken before the names are, so that nothing fails between them and their tickets.
  std::vector<TicketPtr> tickets(requests.size());
  for (size_t i = 0; i < requests.size(); ++i)
    tickets[i] = maker_.make_ticket(requests[i].signature, groups_);
  message::Submit submit;
  submit.ops.reserve(requests.size());
  FARANDOLE_RETURN_IF_ERROR(names_.claim(requests));
  const TimePoint now = emitter_.now();
  for (size_t i = 0; i < requests.size(); ++i)
    submit.ops.push_back(entered(std::move(requests[i]), tickets[i], now, emitter_));
  Message message = std::move(submit);
  if (!posted(message))
    for (PendingOp& op : std::get<message::Submit>(message).ops) {
      Status why = not_posted(op.request);
      completion_.settle(std::move(op), std::move(why));
    }
  return tickets;
}

Status Session::Impl::not_posted(const Request& request) const noexcept {
  if (!stopping_)
    return Completion::no_memory();
  try {
    return error(
        Code::Aborted,
        "{}: the session was shut down while this was submitted",
        describe(request.signature.kind, request.name));
  } catch (const std::bad_alloc&) {
    return Completion::no_memory();
  }
}

Status Session::Impl::shutdown(const std::string& cause) {
  const LogScope scope(label());
  MutexLock lock(shutdown_mutex_);
  if (std::exchange(stopped_, true))
    return Status::ok();
  const TimePoint deadline = steady_now() + parts_.config.shutdown_timeout;
  stuck_ = true;  // what throws on the way, for want of memory say, leaves threads that run
  FARANDOLE_FAILPOINT("session.shutdown");
  stopping_ = true;
  if (engine_->health().is_ok() || engine_->health().code() == Code::PeerLost)
    parts_.control->leave(cause);
  // Until the goodbye is acknowledged agreements may still come that include this rank, and the
  // others rely on its part in them.
  const bool acknowledged = engine_->wait_left(deadline);
  FARANDOLE_FAILPOINT("session.left");
  const bool drained = drain_until(deadline);
  if (!acknowledged || !drained)
    FARANDOLE_LOG(
        Warning, "shutdown did not finish in time; other ranks may report this one as lost");
  inbox_->push(message::Close{{Code::Aborted, "ended by this rank's shutdown"}, drained});
  const TimePoint last = steady_now() + parts_.abort_limit;
  // The lane's last words reach the engine as messages, too.
  FARANDOLE_FAILPOINT("session.stop");
  const bool ended = inbox_->drain_until(last) && drain_until(last);
  const bool heard = ended && inbox_->drain_until(last);
  const bool answered = parts_.control->stop(deadline);
  const bool closed = inbox_->close(steady_now() + (answered ? patience::kLoop : Duration(0)));
  stuck_ = !heard || !answered || !closed;
  if (stuck_)
    give_up(ended && heard);
  timeline_.stop();
  return Status::ok();
}

// Says who blocks what; all that a thread may still use is left to the end of the process.
void Session::Impl::give_up(bool collectives_ended) {
  const std::string running = names_.in_flight();
  const std::string what =
      collectives_ended ? std::string("its thread of the engine or of heartbeats did not end")
                        : fmt::format(
                              "{} did not end within {:g} s of its abort",
                              running.empty() ? "a callback" : running,
                              std::chrono::duration<double>(parts_.abort_limit).count());
  FARANDOLE_LOG(
      Error,
      "rank {}: {}; its threads and memory stay until this process ends",
      topology_.rank,
      what);
  for (const GroupTable::GroupPtr& group : groups_.all())
    if (group->included())
      group->lane->give_up();
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Session::~Session() {
  if (!impl_->in_own_process()) {
    // The threads that this object would join exist in the parent only.
    abandon(impl_);
    return;
  }
  try {
    static_cast<void>(shutdown());
  } catch (const std::exception& defect) {
    FARANDOLE_LOG(Error, "shutdown: {}; its threads and memory stay", defect.what());
  }
  if (impl_->stuck())
    abandon(impl_);
}

Result<std::unique_ptr<Session>> Session::start(SessionParts parts) {
  auto impl = std::make_unique<Impl>(std::move(parts));
  const Status status = impl->start();
  if (!status.is_ok()) {
    if (impl->stuck())
      abandon(impl);
    return status;
  }
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

const Topology& Session::topology() const noexcept {
  return impl_->topology();
}
const Config& Session::config() const noexcept {
  return impl_->config();
}
const std::vector<Member>& Session::members() const noexcept {
  return impl_->members();
}
Result<std::vector<TicketPtr>> Session::submit(std::vector<Request> requests) {
  return impl_->submit(std::move(requests));
}
bool Session::wait_until(Ticket& ticket, TimePoint deadline) {
  return impl_->wait_until(ticket, deadline);
}
std::vector<uint32_t> Session::process_sets() const {
  return impl_->process_sets();
}
Result<std::vector<int>> Session::ranks_of(uint32_t process_set) const {
  return impl_->ranks_of(process_set);
}
std::string Session::next_name(CollectiveKind kind, uint32_t process_set, Way way) {
  return impl_->next_name(kind, process_set, way);
}
Status Session::health() const {
  return impl_->health();
}
Counters::Values Session::counters() const noexcept {
  return impl_->counters();
}
std::shared_ptr<const Counters> Session::shared_counters() const noexcept {
  return impl_->shared_counters();
}
Status Session::after_shutdown() {
  return {Code::Aborted, "the session is shut down; start a new one"};
}
Timeline& Session::timeline() noexcept {
  return impl_->timeline();
}
Status Session::shutdown(const std::string& cause) {
  return impl_->in_own_process() ? impl_->shutdown(cause) : Status::ok();
}

}  // namespace farandole

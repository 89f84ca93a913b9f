#include "tests/sim/world.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""s;

// Far more than any job of these plans needs.
constexpr uint64_t kMostEvents = 3'000'000;

}  // namespace

World::World(const Plan& plan, const RunOptions& options)
    : plan_(plan),
      traced_(options.traced),
      line_(options.line),
      monitors_(options.monitors(plan, findings_)) {
  const auto size = static_cast<size_t>(plan.size);
  network_ = std::make_unique<Network>(
      scheduler_,
      mix(plan.seed ^ 0x4E7),
      size,
      NetworkOptions{{plan.delay_least, plan.delay_most, plan.retry}, plan.capacity});
  std::vector<Process*> raw;
  for (size_t rank = 0; rank < size; ++rank) {
    processes_.push_back(
        std::make_unique<Process>(scheduler_, mix(plan.seed ^ (0x9000 + rank)), plan.slowness));
    raw.push_back(processes_.back().get());
  }
  data_ = std::make_unique<DataPlane>(*network_, raw, plan.data_timeout);
  for (int rank = 0; rank < plan.size; ++rank) ranks_.push_back(make_rank(rank, 0));
}

std::unique_ptr<Rank> World::make_rank(int rank, uint64_t life) {
  return std::make_unique<Rank>(Rank::Parts{
      .plan = &plan_,
      .rank = rank,
      .life = life,
      .process = &process(rank),
      .network = network_.get(),
      .data = data_.get(),
      .monitors = &monitors_,
      .trace = [this](int who, const std::string& text) { say(who, text); },
      .violated = [this](std::string text) { findings_.add(std::move(text)); },
      .exit = [this](int who) { end_process(who, false); }});
}

// Whatever still points to the old process finds it dead.
void World::respawn(int rank) {
  const auto place = static_cast<size_t>(rank);
  const uint64_t life = ++lives_;
  graveyard_.emplace_back(std::move(processes_[place]), std::move(ranks_[place]));
  processes_[place] = std::make_unique<Process>(
      scheduler_, mix(plan_.seed ^ (0x9000 + place + 1000 * life)), plan_.slowness);
  data_->replace(rank, processes_[place].get());
  ranks_[place] = make_rank(rank, life);
  ranks_[place]->start();
}

void World::start_twin(const Fault& fault) {
  twins_.push_back(std::make_unique<Twin>(Twin::Parts{
      .scheduler = &scheduler_,
      .network = network_.get(),
      .seed = mix(plan_.seed ^ (0x72111 + twins_.size())),
      .rank = fault.rank,
      .manner = static_cast<Twin::Manner>(fault.actions % 3),
      .length = fault.length,
      .beats = plan_.heartbeat_interval,
      .job = Rank::kJob,
      .trace = [this, rank = fault.rank](const std::string& text) { say(rank, "--- " + text); }}));
  twins_.back()->start();
}

// Objects hold one another through what waits in the loops.
World::~World() {
  for (size_t i = 0; i < processes_.size(); ++i)
    graveyard_.emplace_back(std::move(processes_[i]), std::move(ranks_[i]));
  for (const auto& [process, rank] : graveyard_) process->kill();
  for (const auto& [process, rank] : graveyard_) rank->dismantle();
  for (const auto& [process, rank] : graveyard_) process->dismantle();
  for (const auto& twin : twins_) twin->dismantle();
  scheduler_.clear();
}

void World::say(int rank, const std::string& text) {
  uint64_t hash = static_cast<uint64_t>((scheduler_.now() - start_).count());
  for (const char c : text) hash = hash * 31 + static_cast<uint8_t>(c);
  digest_ = mix(digest_ ^ hash ^ static_cast<uint64_t>(rank));
  if (!traced_)
    return;
  std::string line = fmt::format(
      "{:>10.3f} ms  rank {}: {}",
      std::chrono::duration<double, std::milli>(scheduler_.now() - start_).count(),
      rank,
      text);
  if (line_)
    line_(line);
  else
    trace_.push_back(std::move(line));
}

void World::run() {
  for (int rank = 0; rank < plan_.size; ++rank) {
    const Habit& habit = plan_.habits[static_cast<size_t>(rank)];
    if (habit.never)
      process(rank).kill();
    else
      process(rank).later(
          habit.start, [this, rank] { ranks_[static_cast<size_t>(rank)]->start(); });
  }
  for (const Fault& fault : plan_.faults)
    scheduler_.at(start_ + fault.at, [this, &fault] { inject(fault); });
  // Everything ends within this once no more faults come: formation, the program with what it
  // waits for, silence, shutdown and the last words.
  const TimePoint bound = start_ + plan_.calm() + plan_.start_timeout +
                          5 * plan_.heartbeat_timeout + 3 * plan_.shutdown_timeout +
                          2 * plan_.data_timeout + 20s;
  while (findings_.empty() && !all_ended() && scheduler_.step(bound)) {
    for (const auto& rank : ranks_) rank->look_at_tables();
    for (const auto& monitor : monitors_) monitor->on_time(scheduler_.now());
    if (scheduler_.events() > kMostEvents)
      findings_.add("I5: the job goes round in circles");
  }
  if (findings_.empty())
    check_end();
}

bool World::all_ended() const {
  return std::ranges::all_of(processes_, [](const auto& process) { return process->dead(); }) &&
         std::ranges::all_of(twins_, &Twin::ended);
}

// I5: nobody waits any more; and where nothing went wrong, the group formed (I10), and nobody was
// late. A process that connected in the place of one that never came, and said nothing, is told no
// less than others; but of several in one place the newest has it.
void World::check_end() {
  const bool only_twins = std::ranges::all_of(
      plan_.faults, [](const Fault& fault) { return fault.kind == Fault::Kind::Twin; });
  const auto is_alone = [this](const Twin& twin) {
    return std::ranges::count(twins_, twin.rank(), [](const auto& t) { return t->rank(); }) == 1;
  };
  for (const auto& twin : twins_)
    if (only_twins && twin->was_left_in_the_dark() && is_alone(*twin) &&
        plan_.habits[static_cast<size_t>(twin->rank())].never)
      findings_.add("I5: a connection that was silent is closed without a word");
  const auto harmless = [](const Fault& fault) { return fault.kind == Fault::Kind::Stale; };
  const auto odd = [](const Habit& h) {
    return h.never || h.other_settings || h.other_job || h.other_size;
  };
  const bool quiet =
      std::ranges::all_of(plan_.faults, harmless) && std::ranges::none_of(plan_.habits, odd);
  for (int rank = 0; rank < plan_.size; ++rank) {
    if (!process(rank).dead())
      findings_.add(fmt::format(
          "I5: rank {} has not ended in time; waits for:{}",
          rank,
          ranks_[static_cast<size_t>(rank)]->unsettled()));
    if (quiet && !ranks_[static_cast<size_t>(rank)]->formed())
      findings_.add(fmt::format("I10: for rank {} the group has not formed", rank));
    if (quiet && ranks_[static_cast<size_t>(rank)]->late())
      findings_.add(fmt::format("I5: rank {} could not say goodbye in time", rank));
  }
}

void World::inject(const Fault& fault) {
  if (process(fault.rank).dead() && fault.kind != Fault::Kind::Twin)
    return;
  ++injected_[static_cast<size_t>(fault.kind)];
  say(fault.rank, fmt::format("--- {}", to_string(fault)));
  for (const auto& monitor : monitors_) monitor->on_fault(fault);
  apply(fault);
}

void World::apply(const Fault& fault) {
  Process& victim = process(fault.rank);
  switch (fault.kind) {
    case Fault::Kind::Kill:
      return strike_dead(fault.rank, false);
    case Fault::Kind::Doom:
      return victim.doom(fault.actions, [this, rank = fault.rank] { strike_dead(rank, false); });
    case Fault::Kind::Leave:
      return ranks_[static_cast<size_t>(fault.rank)]->leave();
    case Fault::Kind::Vanish:
      for (int other = 0; other < plan_.size; ++other) {
        network_->path(fault.rank, other).block();
        network_->path(other, fault.rank).block();
      }
      return strike_dead(fault.rank, true);
    case Fault::Kind::LateEnd:
      for (int other = 0; other < plan_.size; ++other)
        if (other != fault.rank)
          block(fault.rank, other, fault.length);
      return strike_dead(fault.rank, true);
    case Fault::Kind::Stop:
      victim.stop();
      return scheduler_.after(fault.length, [this, rank = fault.rank] {
        say(rank, "goes on");
        process(rank).resume();
      });
    case Fault::Kind::Cut:
      block(fault.other, fault.rank, fault.length);
      [[fallthrough]];
    case Fault::Kind::Block:
      return block(fault.rank, fault.other, fault.length);
    case Fault::Kind::Isolate:
      return isolate(fault);
    case Fault::Kind::Reset:
      return network_->reset_between(fault.rank, fault.other);
    case Fault::Kind::HalfReset:
      return network_->reset_end(fault.rank, fault.other, fault.actions % 2 == 1);
    case Fault::Kind::DataReset:
      if (ranks_[static_cast<size_t>(fault.rank)]->formed() &&
          ranks_[static_cast<size_t>(fault.other)]->formed())
        data_->reset_between(fault.rank, fault.other);
      return;
    case Fault::Kind::Twin:
      return start_twin(fault);
    case Fault::Kind::Jump:
      return victim.jump(fault.length);
    case Fault::Kind::Stale:
      return victim.inject_stale(fault.actions);
    case Fault::Kind::Respawn:
      strike_dead(fault.rank, false);
      if (!ranks_[static_cast<size_t>(fault.rank)]->formed())
        scheduler_.after(fault.length, [this, rank = fault.rank] { respawn(rank); });
      return;
  }
}

void World::block(int from, int to, Duration length) {
  network_->path(from, to).block();
  scheduler_.after(length, [this, from, to] { network_->path(from, to).unblock(); });
}

void World::isolate(const Fault& fault) {
  const Isolation how = isolation_of(fault);
  for (int inside = 0; inside < plan_.size; ++inside)
    for (int outside = 0; outside < plan_.size; ++outside) {
      if (!plan_.share_host(inside, fault.rank) || plan_.share_host(outside, fault.rank))
        continue;
      if (how != Isolation::Out)
        block(outside, inside, fault.length);
      if (how != Isolation::In)
        block(inside, outside, fault.length);
    }
}

void World::strike_dead(int rank, bool quiet) {
  for (const auto& monitor : monitors_) monitor->on_death(rank, scheduler_.now());
  end_process(rank, quiet);
}

// Quiet: the kernels of other hosts hear of it late or never, and those of its own are gone, too.
void World::end_process(int rank, bool quiet) {
  if (process(rank).dead())
    return;
  process(rank).kill();
  say(rank, "has ended");
  network_->close_all(rank, process(rank));
  data_->end(rank, rank);
  for (int other = 0; other < plan_.size && !quiet; ++other)
    if (other != rank && !process(other).dead() && plan_.share_host(other, rank))
      ranks_[static_cast<size_t>(other)]->on_process_end(*ranks_[static_cast<size_t>(rank)]);
}

}  // namespace farandole::sim

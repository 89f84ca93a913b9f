#include "collectives/shm/sync.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <ctime>

#include "core/base/failpoint.h"
#include "core/base/timespec.h"

namespace farandole::shm {
namespace {

using std::chrono_literals::operator""ms;

constexpr int kYields = 20;
// Between two looks at the clock.
constexpr int kSpinsPerLook = 32;
// The patience is spent in so many parts: each looks whether anything has moved, and whether it was
// this process that stood still (stopped by a signal, or with its whole machine).
constexpr int kPatienceParts = 4;

inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

long futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* timeout) {
  // Not FUTEX_PRIVATE_FLAG: the word is shared between processes.
  return FARANDOLE_FAIL_CALL(
      "sync.futex",
      ::syscall(
          SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, timeout, nullptr, 0));
}

void ring(BellLine& bell) noexcept {
  bell.rings.fetch_add(1, std::memory_order_seq_cst);
  futex(bell.rings, FUTEX_WAKE, INT_MAX, nullptr);
}

void sleep_until_rung(BellLine& bell, uint32_t seen, Duration at_most) noexcept {
  const timespec timeout = to_timespec(at_most);
  futex(bell.rings, FUTEX_WAIT, seen, &timeout);
}

}  // namespace

WaitPolicy WaitPolicy::choose(double cores, int64_t ranks, Duration spin_time) {
  if (static_cast<double>(ranks) <= cores)
    return {spin_time, 0};
  return {Duration(0), kYields};
}

FlagBarrier::FlagBarrier(
    std::span<RankLines> lines, uint32_t own, WaitPolicy policy, Duration patience)
    : lines_(lines), own_(own), policy_(policy), patience_(std::max<Duration>(patience, 1ms)) {}

bool FlagBarrier::has_arrived(uint32_t member, std::memory_order order) const noexcept {
  // Flags are the low half of step counts that differ by little, so they may wrap.
  const uint32_t flag = lines_[member].flag.step.load(order);
  return static_cast<int32_t>(flag - static_cast<uint32_t>(step_)) >= 0;
}

// Either the sleeper's last look sees this flag, or this look sees the sleeper: both sides write
// their word before reading the other's, all in one total order.
void FlagBarrier::raise_flag() {
  ++step_;
  lines_[own_].flag.step.store(static_cast<uint32_t>(step_), std::memory_order_seq_cst);
  for (uint32_t member = 0; member < lines_.size(); ++member) {
    if (lines_[member].bell.awaited.load(std::memory_order_seq_cst) == own_ + 1)
      ring(lines_[member].bell);
  }
}

FlagBarrier::Outcome FlagBarrier::pass() {
  FARANDOLE_FAILPOINT("sync.pass");
  raise_flag();
  for (uint32_t i = 1; i < lines_.size(); ++i) {
    const auto member = static_cast<uint32_t>((own_ + i) % lines_.size());
    if (has_arrived(member, std::memory_order_acquire) || stay_awake(member))
      continue;
    const Outcome outcome = sleep(member);
    if (outcome != Outcome::Passed)
      return outcome;
  }
  return interrupted() ? Outcome::Interrupted : Outcome::Passed;
}

bool FlagBarrier::stay_awake(uint32_t member) {
  if (policy_.spin.count() > 0) {
    const TimePoint end = steady_now() + policy_.spin;
    do {
      for (int i = 0; i < kSpinsPerLook; ++i) {
        if (has_arrived(member, std::memory_order_acquire))
          return true;
        relax();
      }
    } while (steady_now() < end && !interrupted());
  }
  for (int i = 0; i < policy_.yields && (i > 0 || yields_.pays()); ++i) {
    if (has_arrived(member, std::memory_order_acquire))
      return true;
    if (!yields_.yield())
      break;
  }
  return has_arrived(member, std::memory_order_acquire);
}

FlagBarrier::Outcome FlagBarrier::sleep(uint32_t member) {
  BellLine& bell = lines_[own_].bell;
  bell.awaited.store(member + 1, std::memory_order_seq_cst);
  const Duration part = patience_ / kPatienceParts;
  int parts_left = kPatienceParts;
  uint64_t moved = flags_sum();
  TimePoint end = steady_now() + part;
  Outcome outcome = Outcome::Passed;
  for (;;) {
    const uint32_t seen = bell.rings.load(std::memory_order_seq_cst);
    if (interrupted_.load(std::memory_order_seq_cst)) {
      outcome = Outcome::Interrupted;
      break;
    }
    if (has_arrived(member, std::memory_order_seq_cst))
      break;
    const TimePoint now = steady_now();
    if (now >= end) {
      const uint64_t sum = flags_sum();
      const bool stood_still_ourselves = now - end > part;
      parts_left = sum != moved || stood_still_ourselves ? kPatienceParts : parts_left - 1;
      if (parts_left == 0) {
        outcome = Outcome::TimedOut;
        break;
      }
      moved = sum;
      end = now + part;
    }
    sleep_until_rung(bell, seen, end - now);
  }
  bell.awaited.store(0, std::memory_order_relaxed);
  return outcome;
}

void FlagBarrier::interrupt() noexcept {
  interrupted_.store(true, std::memory_order_seq_cst);
  ring(lines_[own_].bell);
}

std::vector<uint32_t> FlagBarrier::missing() const {
  std::vector<uint32_t> members;
  for (uint32_t member = 0; member < lines_.size(); ++member) {
    if (!has_arrived(member, std::memory_order_acquire))
      members.push_back(member);
  }
  return members;
}

uint64_t FlagBarrier::flags_sum() const noexcept {
  uint64_t sum = 0;
  for (const RankLines& lines : lines_) sum += lines.flag.step.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace farandole::shm

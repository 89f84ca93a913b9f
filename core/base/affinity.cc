#include "core/base/affinity.h"

#include <sched.h>

#include <cerrno>
#include <memory>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole {
namespace {

constexpr int kMostProcessors = 1 << 20;

// A set for so many processors: more than cpu_set_t has room for.
class Mask {
 public:
  explicit Mask(int processors)
      : processors_(processors), bytes_(CPU_ALLOC_SIZE(processors)), set_(CPU_ALLOC(processors)) {
    CPU_ZERO_S(bytes_, set_.get());
  }

  explicit Mask(const CpuSet& cpus) : Mask(*cpus.rbegin() + 1) {
    for (const int cpu : cpus) CPU_SET_S(cpu, bytes_, set_.get());
  }

  cpu_set_t* get() { return set_.get(); }
  size_t bytes() const { return bytes_; }
  CpuSet cpus() const {
    CpuSet found;
    for (int cpu = 0; cpu < processors_; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes_, set_.get()))
        found.insert(cpu);
    }
    return found;
  }

 private:
  struct Free {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
  };
  int processors_;
  size_t bytes_;
  std::unique_ptr<cpu_set_t, Free> set_;
};

bool is_possible(const CpuSet& cpus) {
  return !cpus.empty() && *cpus.begin() >= 0 && *cpus.rbegin() < kMostProcessors;
}

}  // namespace

Result<CpuSet> own_affinity() {
  int why = 0;
  // The kernel refuses a set that is smaller than its own.
  for (int processors = CPU_SETSIZE; processors <= kMostProcessors; processors *= 4) {
    Mask mask(processors);
    if (sched_getaffinity(0, mask.bytes(), mask.get()) == 0)
      return mask.cpus();
    why = errno;
    if (why != EINVAL)
      break;
  }
  return system_error("sched_getaffinity", why);
}

int bind_to(const CpuSet& cpus) {
  if (!is_possible(cpus))
    return EINVAL;
  Mask mask(cpus);
  const int failed = FARANDOLE_FAIL_CALL(
      "affinity.bind_to.sched_setaffinity", sched_setaffinity(0, mask.bytes(), mask.get()));
  return failed == 0 ? 0 : errno;
}

int bind_thread(pthread_t thread, const CpuSet& cpus) {
  if (!is_possible(cpus))
    return EINVAL;
  Mask mask(cpus);
  const int why = FARANDOLE_FAIL_CALL(
      "affinity.bind_thread.pthread_setaffinity_np",
      pthread_setaffinity_np(thread, mask.bytes(), mask.get()));
  return why < 0 ? errno : why;
}

std::string cpu_list(const CpuSet& cpus) {
  std::string text;
  for (auto first = cpus.begin(); first != cpus.end();) {
    auto last = first;
    auto next = std::next(first);
    for (; next != cpus.end() && *next == *last + 1; ++next) last = next;
    text += text.empty() ? "" : ",";
    text += first == last ? fmt::format("{}", *first) : fmt::format("{}-{}", *first, *last);
    first = next;
  }
  return text;
}

}  // namespace farandole

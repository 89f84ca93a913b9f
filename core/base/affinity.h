#pragma once
// Which processors (as the kernel numbers them) a thread may run on.

#include <pthread.h>

#include <set>
#include <string>

#include "core/base/status.h"

namespace farandole {

using CpuSet = std::set<int>;

// Those of the calling thread, which its control group has bounded already. Fails: System.
Result<CpuSet> own_affinity();

// Binds the calling thread, and what it starts from here on. 0, or the errno: EINVAL where none of
// them exists in the cpuset.
int bind_to(const CpuSet& cpus);
// The same for another thread of this process, which has not ended.
int bind_thread(pthread_t thread, const CpuSet& cpus);

// "0-3,8", as the kernel writes it; "" for none.
std::string cpu_list(const CpuSet& cpus);

}  // namespace farandole

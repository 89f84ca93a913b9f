#pragma once
// Which processors (as the kernel numbers them) a thread may run on.

#include <set>
#include <string>

#include "core/base/status.h"

namespace farandole {

using CpuSet = std::set<int>;

// Those of the calling thread, which its control group has bounded already. Fails: System.
Result<CpuSet> own_affinity();

// Binds the calling thread, and what it starts from here on. 0, or the errno: EINVAL where none of
// them may be used.
int bind_to(const CpuSet& cpus);

// "0-3,8", as the kernel writes it; "" for none.
std::string cpu_list(const CpuSet& cpus);

}  // namespace farandole

#pragma once
// core/net's IoThread in the simulator: the loop of a virtual process.

#include "core/net/io_thread.h"
#include "tests/sim/network.h"
#include "tests/sim/process.h"

namespace farandole::net {

struct IoThread::Impl {
  sim::Process* process = nullptr;
  sim::Network* network = nullptr;
};

}  // namespace farandole::net

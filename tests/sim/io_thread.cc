// IoThread, LoopTimer and Listener of core/net, over virtual processes and a virtual network: the
// control plane's own code is linked against these instead.

#include "tests/sim/io_thread.h"

#include <optional>
#include <utility>

namespace farandole::net {

IoThread::IoThread(const char*) : impl_(std::make_unique<Impl>()) {}
IoThread::~IoThread() = default;

void IoThread::post(std::function<void()> task) {
  impl_->process->post(std::move(task));
}

bool IoThread::on_loop_thread() const noexcept {
  return impl_->process->on_loop();
}

// Nobody else runs meanwhile: there is one thread.
bool IoThread::run_and_wait(std::function<void()> task, TimePoint) {
  impl_->process->as_loop(task);
  return true;
}

struct LoopTimer::Impl {
  explicit Impl(sim::Process& at) : process(at) {}

  sim::Process& process;
  std::optional<uint64_t> set;
};

LoopTimer::LoopTimer(IoThread& io) : impl_(std::make_shared<Impl>(*io.impl().process)) {}

LoopTimer::~LoopTimer() {
  cancel();
}

void LoopTimer::set(TimePoint when, std::function<void()> task) {
  cancel();
  impl_->set = impl_->process.set_timer(when, std::move(task));
}

void LoopTimer::cancel() {
  if (const auto timer = std::exchange(impl_->set, std::nullopt))
    impl_->process.cancel_timer(*timer);
}

struct Listener::Impl {
  std::shared_ptr<sim::Network::Port> port;
};

Result<std::unique_ptr<Listener>> Listener::open(IoThread& io, ListenerOptions options) {
  const Endpoint at = options.at;
  auto impl = std::make_shared<Impl>();
  impl->port = std::make_shared<sim::Network::Port>(io.impl().process, std::move(options));
  io.impl().network->listen(impl->port);
  return std::unique_ptr<Listener>(new Listener(std::move(impl), at));
}

Listener::Listener(std::shared_ptr<Impl> impl, Endpoint endpoint)
    : impl_(std::move(impl)), endpoint_(std::move(endpoint)) {}

Listener::~Listener() {
  impl_->port->open = false;
}

size_t Listener::half_open() const noexcept {
  return 0;
}

uint64_t Listener::refused() const noexcept {
  return 0;
}

}  // namespace farandole::net

#include "core/net/io_thread.h"

#include <pthread.h>

#include <future>
#include <thread>
#include <utility>

#include "core/net/asio.h"

namespace farandole::net {

struct IoThread::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  std::thread thread;
};

asio::io_context& context_of(IoThread& io) noexcept {
  return io.impl().context;
}

namespace {

// The next message often follows within microseconds, and to be woken for it costs more than to
// look: so after work the thread goes on looking for `linger`, giving way to whoever wants the
// core, before it blocks. An idle loop has long been blocked.
void run_loop(asio::io_context& context, Duration linger) {
  if (linger <= Duration::zero()) {
    context.run();
    return;
  }
  while (context.run_one() > 0) {
    for (TimePoint until = steady_now() + linger; steady_now() < until && !context.stopped();) {
      if (context.poll() > 0)
        until = steady_now() + linger;
      else
        std::this_thread::yield();
    }
  }
}

}  // namespace

IoThread::IoThread(const char* thread_name, Duration linger) : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([impl = impl_.get(), name = std::string(thread_name), linger] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    run_loop(impl->context, linger);
  });
}

IoThread::~IoThread() {
  if (fork_.in_child()) {
    impl_.release();  // NOLINT: its thread and its epoll set are the parent's
    return;
  }
  asio::post(impl_->context, [this] { impl_->context.stop(); });
  impl_->thread.join();
}

void IoThread::post(std::function<void()> task) {
  asio::post(impl_->context, std::move(task));
}

bool IoThread::on_loop_thread() const noexcept {
  return impl_->thread.get_id() == std::this_thread::get_id();
}

void IoThread::run_and_wait(const std::function<void()>& task) {
  std::promise<void> done;
  post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

struct LoopTimer::Impl {
  explicit Impl(asio::io_context& context) : timer(context) {}
  asio::steady_timer timer;
  uint64_t setting = 0;  // tells an expiry that was already queued from the latest one
};

LoopTimer::LoopTimer(IoThread& io) : impl_(std::make_shared<Impl>(context_of(io))) {}

LoopTimer::~LoopTimer() {
  cancel();
}

void LoopTimer::set(TimePoint when, std::function<void()> task) {
  const uint64_t setting = ++impl_->setting;
  impl_->timer.expires_at(when);
  impl_->timer.async_wait([impl = impl_, setting, task = std::move(task)](const ErrorCode&) {
    if (impl->setting == setting)
      task();
  });
}

void LoopTimer::cancel() {
  ++impl_->setting;
  impl_->timer.cancel();
}

}  // namespace farandole::net

#include "core/net/io_thread.h"

#include <atomic>
#include <cerrno>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include "core/base/abandon.h"
#include "core/base/bounded_thread.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/log_label.h"
#include "core/base/refusal.h"
#include "core/base/yield_habit.h"
#include "core/net/asio.h"

namespace farandole::net {

struct IoThread::Impl {
  asio::io_context context{1};
  // Asio makes its epoll set with the first object that needs one, wherever that may be; it is to
  // lack descriptors here, where somebody can be told.
  asio::steady_timer first{context};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  std::optional<BoundedThread> thread;
  std::atomic<Duration::rep> linger{0};
};

asio::io_context& context_of(IoThread& io) noexcept {
  return io.impl().context;
}

namespace {

// Of run_and_wait: whoever takes it first, the loop to run the task or the caller to call it off.
struct Turn {
  std::promise<void> done;
  std::atomic<bool> taken{false};
};

// The next message often follows within microseconds, and to be woken for it costs more than to
// look: so after work the thread goes on looking for `linger`, giving way to whoever wants the
// core, before it blocks. An idle loop has long been blocked.
void look_on(asio::io_context& context, Duration linger, YieldHabit& yields) {
  if (!yields.pays())
    return;
  for (TimePoint until = steady_now() + linger; steady_now() < until && !context.stopped();) {
    if (context.poll() > 0)
      until = steady_now() + linger;
    else if (!yields.yield())
      return;
  }
}

void run_loop(IoThread::Impl& impl) {
  YieldHabit yields;
  while (impl.context.run_one() > 0) {
    const Duration linger(impl.linger.load(std::memory_order_relaxed));
    if (linger > Duration::zero())
      look_on(impl.context, linger, yields);
  }
}

std::unique_ptr<IoThread::Impl> make_impl() {
  try {
    if (FARANDOLE_FAIL_CALL("io_thread.make.epoll_create1", 0) != 0)
      throw boost::system::system_error(errno, boost::system::system_category());
    return std::make_unique<IoThread::Impl>();
  } catch (const boost::system::system_error& refused) {
    throw Refusal(system_error("epoll", refused.code().value()));
  }
}

}  // namespace

IoThread::IoThread(const char* thread_name) : impl_(make_impl()) {
  impl_->thread.emplace(thread_name, [impl = impl_.get(), label = log_label()] {
    const LogScope scope(label);
    run_loop(*impl);
  });
}

IoThread::~IoThread() {
  if (fork_.in_child()) {
    abandon(impl_);  // its thread and its epoll set are the parent's
    return;
  }
  asio::post(impl_->context, [impl = impl_.get()] { impl->context.stop(); });
  if (impl_->thread->join_until(steady_now() + patience::kLoop))
    return;
  FARANDOLE_LOG(Error, "an io thread did not end: a task blocks it, and it stays");
  impl_->thread->abandon();
  abandon(impl_);  // the thread uses it
}

void IoThread::post(std::function<void()> task) {
  asio::post(impl_->context, std::move(task));
}

void IoThread::linger(Duration span) noexcept {
  impl_->linger.store(span.count(), std::memory_order_relaxed);
}

bool IoThread::on_loop_thread() const noexcept {
  return impl_->thread->id() == std::this_thread::get_id();
}

bool IoThread::run_and_wait(std::function<void()> task, TimePoint deadline) {
  const auto turn = std::make_shared<Turn>();
  std::future<void> done = turn->done.get_future();
  post([turn, task = std::move(task)] {
    if (turn->taken.exchange(true))
      return;
    task();
    turn->done.set_value();
  });
  if (done.wait_until(deadline) == std::future_status::ready)
    return true;
  if (!turn->taken.exchange(true))
    return false;
  // It began meanwhile, and may have ended.
  return done.wait_until(deadline) == std::future_status::ready;
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

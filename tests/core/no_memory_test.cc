// Memory that runs out at each allocation in turn: no name, ticket or message is lost over it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include "core/base/thread.h"
#include "core/executor.h"
#include "core/inbox.h"
#include "tests/core/session_fixture.h"

namespace {

// Of this thread: allocations until they fail, while that is not negative; and whether one has.
thread_local int allowed = -1;
thread_local bool refused = false;

void* allocate(size_t bytes) {
  refused = refused || allowed == 0;
  if (allowed == 0)
    return nullptr;
  if (allowed > 0)
    --allowed;
  return std::malloc(bytes == 0 ? 1 : bytes);
}

}  // namespace

[[gnu::noinline]] void* operator new(size_t bytes) {
  if (void* memory = allocate(bytes))
    return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

namespace farandole::testing {
namespace {

// While it lives, so many allocations of this thread succeed and no other.
class Scarcity {
 public:
  explicit Scarcity(int allocations) {
    refused = false;
    allowed = allocations;
  }
  ~Scarcity() { allowed = -1; }
  Scarcity(const Scarcity&) = delete;
  Scarcity& operator=(const Scarcity&) = delete;
};

// Runs `attempt` with no memory, then with one allocation, and so on until it lacks none.
template <typename Attempt>
void with_ever_more_memory(int at_least, const Attempt& attempt) {
  int allocations = 0;
  do {
    ASSERT_LT(allocations, 1000) << "it never has enough";
    attempt(allocations++);
    if (::testing::Test::HasFailure())
      return;
  } while (refused);
  EXPECT_GT(allocations, at_least);
}

TEST(NoMemory, IsSeen) {
  bool thrown = false;
  try {
    const Scarcity scarcity(0);
    ::operator delete(::operator new(100));
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  EXPECT_TRUE(thrown && refused);
}

// Names are longer than what a string holds itself.
std::vector<Request> two_requests(std::vector<float>& values) {
  std::vector<Request> requests(2);
  for (size_t i = 0; i < 2; ++i) {
    requests[i].name = fmt::format("gradient/of/the/first/layer/{}", i);
    requests[i].signature.shape = {static_cast<int64_t>(values.size())};
    requests[i].in = values.data();
  }
  return requests;
}

TEST_F(SessionTest, WithoutMemoryASubmissionKeepsNoName) {
  start();
  std::vector<float> values{1};
  with_ever_more_memory(5, [&](int allocations) {
    std::vector<Request> requests = two_requests(values);
    std::optional<Result<std::vector<TicketPtr>>> tickets;
    try {
      const Scarcity scarcity(allocations);
      tickets = session_->submit(std::move(requests));
    } catch (const std::bad_alloc&) {
      tickets.reset();
    }
    if (tickets && !*tickets) {
      ADD_FAILURE() << allocations << ": " << tickets->status().message();
      return;
    }
    // What was taken all the same has ended. That the names are free is what the next one shows.
    for (size_t i = 0; tickets && refused && i < 2; ++i) {
      ASSERT_TRUE(tickets->value()[i]->settled()) << allocations;
      EXPECT_EQ(tickets->value()[i]->status().code(), Code::System);
    }
    const Counters::Values counters = session_->counters();
    EXPECT_EQ(counters.submitted, counters.settled_failed + (refused ? 0 : 2)) << allocations;
  });
}

// What an executor needs besides its bucket.
struct Workshop {
  Counters counters;
  Emitter emitter{counters, {}};
  NameRegistry names{10};
  Completion completion{names, emitter};
  HostMemory device;
  Bucket broken;
  Status why;

  Executor::Parts parts() {
    return {
        .connect = [](std::shared_ptr<const Interrupt>) -> Result<std::unique_ptr<Communicator>> {
          auto run = [](const CollectiveOp&) { return Status::ok(); };
          return std::unique_ptr<Communicator>(std::make_unique<FakeCommunicator>(run, false));
        },
        .broken =
            [this](Bucket bucket, Status status) {
              broken = std::move(bucket);
              why = std::move(status);
            },
        .device = &device,
        .completion = &completion,
        .emitter = &emitter,
        .index = 0,
        .members = {0, 1}};
  }
};

TEST(NoMemory, ABucketIsSettledOrGivenBack) {
  std::vector<float> values{1, 2};
  with_ever_more_memory(5, [&](int allocations) {
    Workshop workshop;
    Executor executor(workshop.parts());
    std::vector<TicketPtr> tickets;
    Bucket bucket;
    for (Request& request : two_requests(values)) {
      tickets.push_back(std::make_shared<Ticket>());
      bucket.push_back({{std::move(request), tickets.back()}, {}});
    }
    bool settled = false;
    {
      const Scarcity scarcity(allocations);
      settled = executor.execute(std::move(bucket));
    }
    EXPECT_EQ(settled, !refused) << allocations;
    for (const TicketPtr& ticket : tickets) EXPECT_EQ(ticket->settled(), settled) << allocations;
    EXPECT_EQ(workshop.broken.size(), settled ? 0U : 2U) << allocations;
    EXPECT_EQ(workshop.why.code(), settled ? Code::Ok : Code::System) << allocations;
  });
}

// A loop that has no memory when it is told so, and late.
class PoorLoop final : public EventLoop {
 public:
  void post(std::function<void()> task) override {
    if (const auto other = std::exchange(meanwhile, nullptr))
      other();
    if (poor)
      throw std::bad_alloc();
    tasks_.push_back(std::move(task));
  }
  bool on_loop_thread() const noexcept override { return false; }
  void run() {
    for (auto& task : std::exchange(tasks_, {})) task();
  }

  bool poor = true;
  std::function<void()> meanwhile;  // what another thread does while the next task is posted

 private:
  std::vector<std::function<void()>> tasks_;
};

TEST(NoMemory, AMessageThatCannotBePostedIsAsItWas) {
  PoorLoop loop;
  std::vector<uint64_t> handled;
  auto inbox = std::make_shared<Inbox>(loop, [&](Message message) {
    handled.push_back(std::get<message::Agreed>(message).agreement.round);
  });
  Message first = message::Agreed{{.round = 1}};
  EXPECT_THROW(inbox->push(std::move(first)), std::bad_alloc);
  EXPECT_EQ(std::get<message::Agreed>(first).agreement.round, 1U);
  loop.poor = false;
  EXPECT_TRUE(inbox->push(message::Agreed{{.round = 2}}));
  EXPECT_TRUE(inbox->push(std::move(first)));
  loop.run();
  EXPECT_EQ(handled, (std::vector<uint64_t>{2, 1}));
}

// What another thread has pushed meanwhile relies on its own wake-up.
TEST(NoMemory, AMessageThatCannotBePostedTakesNoOtherWithIt) {
  PoorLoop loop;
  std::vector<uint64_t> handled;
  auto inbox = std::make_shared<Inbox>(loop, [&](Message message) {
    handled.push_back(std::get<message::Agreed>(message).agreement.round);
  });
  loop.meanwhile = [&] {
    loop.poor = false;
    EXPECT_TRUE(inbox->push(message::Agreed{{.round = 2}}));
    loop.poor = true;
  };
  Message first = message::Agreed{{.round = 1}};
  EXPECT_THROW(inbox->push(std::move(first)), std::bad_alloc);
  EXPECT_EQ(std::get<message::Agreed>(first).agreement.round, 1U);
  loop.run();
  EXPECT_EQ(handled, std::vector<uint64_t>{2});
}

// The next one may lie where it lay, and be of another kind.
TEST(NoMemory, AMessageThatWasHandledMeanwhileIsNotTakenBack) {
  PoorLoop loop;
  std::vector<size_t> handled;
  auto inbox =
      std::make_shared<Inbox>(loop, [&](Message message) { handled.push_back(message.index()); });
  loop.meanwhile = [&] {
    loop.poor = false;
    EXPECT_TRUE(inbox->push(message::BucketDone{}));
    loop.run();
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(inbox->push(message::BucketDone{}));
    loop.poor = true;
  };
  EXPECT_TRUE(inbox->push(message::Agreed{{.round = 1}}));
  loop.run();
  ASSERT_EQ(handled.size(), 1002U);
  EXPECT_EQ(handled.front(), Message(message::Agreed{}).index());
}

// A message that is pushed while another one is handled needs no more than its place.
TEST(NoMemory, AMessageWithoutAPlaceIsAsItWas) {
  PoorLoop loop;
  loop.poor = false;
  size_t handled = 0;
  size_t refusals = 0;
  std::shared_ptr<Inbox> inbox;
  const auto push_many = [&] {
    for (uint64_t round = 1; round <= 1000; ++round) {
      Message next = message::Agreed{{.round = round}};
      try {
        const Scarcity scarcity(0);
        inbox->push(std::move(next));
      } catch (const std::bad_alloc&) {
        ++refusals;
        EXPECT_EQ(std::get<message::Agreed>(next).agreement.round, round);
      }
    }
  };
  inbox = std::make_shared<Inbox>(loop, [&](Message) {
    if (handled++ == 0)
      push_many();
  });
  EXPECT_TRUE(inbox->push(message::BucketDone{}));
  loop.run();
  EXPECT_GT(refusals, 0);
  EXPECT_EQ(handled, 1001U - refusals);
}

// A thread that starts is known; one that does not was never there.
TEST(NoMemory, AThreadStartsOrItDoesNot) {
  StartedThreads started;
  int bodies = 0;
  with_ever_more_memory(2, [&](int allocations) {
    std::thread thread;
    try {
      const Scarcity scarcity(allocations);
      thread = start_thread("poor", [&bodies] { ++bodies; });
    } catch (const std::bad_alloc&) {
      EXPECT_TRUE(refused);
    }
    if (thread.joinable())
      thread.join();
    EXPECT_EQ(started.bind(own_affinity().value()), 0);
  });
  EXPECT_EQ(bodies, 1);
}

// The loop gets the exception once those behind have been handled; the inbox is neither locked nor
// busy for ever.
TEST(NoMemory, AHandlerThatThrowsLeavesTheInboxUsable) {
  PoorLoop loop;
  loop.poor = false;
  std::vector<uint64_t> handled;
  auto inbox = std::make_shared<Inbox>(loop, [&](Message message) {
    const uint64_t round = std::get<message::Agreed>(message).agreement.round;
    if (round == 1)
      throw std::bad_alloc();
    handled.push_back(round);
  });
  for (const uint64_t round : {1, 2}) EXPECT_TRUE(inbox->push(message::Agreed{{.round = round}}));
  EXPECT_THROW(loop.run(), std::bad_alloc);
  EXPECT_EQ(handled, std::vector<uint64_t>{2});
  loop.run();  // what was posted for the one behind
  EXPECT_TRUE(inbox->push(message::Agreed{{.round = 3}}));
  loop.run();
  EXPECT_EQ(handled, (std::vector<uint64_t>{2, 3}));
  EXPECT_TRUE(inbox->close(soon()));
}

}  // namespace
}  // namespace farandole::testing

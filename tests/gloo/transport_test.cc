// The mesh itself: matching of sends and receives, bounds, ends.
#include <gloo/common/error.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <thread>

#include "collectives/gloo/transport/frame.h"
#include "collectives/gloo/transport/mesh_failed.h"
#include "tests/gloo/group.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;
using gloo_transport::encode;
using gloo_transport::Frame;
using gloo_transport::MeshFailed;
using gloo_transport::Opcode;

std::vector<uint8_t> pattern(size_t bytes, uint8_t seed) {
  std::vector<uint8_t> data(bytes);
  for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<uint8_t>(i * 7 + i / 251 + seed);
  return data;
}

auto buffer(Group& group, int rank, std::vector<uint8_t>& memory) {
  return group.context(rank)->createUnboundBuffer(memory.data(), memory.size());
}

void expect_ok(const std::vector<Status>& ended) {
  for (const Status& status : ended) EXPECT_EQ(status.to_string(), "Ok");
}

TEST(Frame, SurvivesTheWire) {
  const Frame frame{Opcode::Write, 0x0123456789abcdef, 1ull << 40, 77};
  Frame back;
  ASSERT_TRUE(decode(encode(frame).data(), back));
  EXPECT_EQ(back, frame);
}

TEST(Frame, RefusesWhatIsNone) {
  const auto good = encode({Opcode::Credit, 1, 2, 3});
  Frame frame;
  for (const size_t at : {0, 1, 2, 3, 5, 6, 7}) {
    auto bad = good;
    bad[at] ^= 1;
    EXPECT_FALSE(decode(bad.data(), frame)) << at;
  }
  for (const uint8_t opcode : {0, 9, 255}) {
    auto bad = good;
    bad[4] = opcode;
    EXPECT_FALSE(decode(bad.data(), frame)) << int{opcode};
  }
}

TEST(Transport, MovesAnySizeWhoeverIsFirst) {
  Group group(2);
  for (const size_t bytes : {0u, 1u, 16384u, 16385u, 1u << 20, 9u << 20}) {
    const auto sent = pattern(bytes, 3);
    for (const bool receive_first : {false, true}) {
      std::vector<uint8_t> received(bytes);
      expect_ok(group.run([&](int rank) {
        std::vector<uint8_t> mine = sent;
        auto out = buffer(group, rank, mine);
        auto in = group.context(rank)->createUnboundBuffer(
            rank == 0 ? received.data() : mine.data(), bytes);
        if (rank == 0) {
          if (receive_first)
            in->recv(1, 5);
          out->send(1, 6);
          if (!receive_first)
            in->recv(1, 5);
        } else {
          out->send(0, 5);
          in->recv(0, 6);
        }
        int from = -1;
        EXPECT_TRUE(in->waitRecv(&from, gloo::transport::kUnsetTimeout));
        EXPECT_EQ(from, 1 - rank);
        EXPECT_TRUE(out->waitSend());
        group.mesh(rank).flush();
        return group.mesh(rank).status();
      }));
      EXPECT_EQ(received, sent) << bytes;
    }
  }
}

// Far more than the eager window, received in the order opposite to sending.
TEST(Transport, EarlyMessagesAreBoundedAndWaitForTheirReceive) {
  constexpr size_t kMessages = 3000, kBytes = 1000;
  Group group(2);
  auto sent = pattern(kMessages * kBytes, 1);
  std::vector<uint8_t> received(sent.size());
  expect_ok(group.run([&](int rank) {
    auto& memory = rank == 0 ? sent : received;
    auto all = buffer(group, rank, memory);
    for (size_t i = 0; i < kMessages; ++i) {
      const size_t slot = rank == 0 ? i : kMessages - 1 - i;
      if (rank == 0)
        all->send(1, slot, slot * kBytes, kBytes);
      else
        all->recv(0, slot, slot * kBytes, kBytes);
    }
    for (size_t i = 0; i < kMessages; ++i)
      EXPECT_TRUE(rank == 0 ? all->waitSend() : all->waitRecv());
    return group.mesh(rank).status();
  }));
  EXPECT_EQ(received, sent);
}

TEST(Transport, OneSlotKeepsItsOrderAcrossSizes) {
  const std::vector<size_t> sizes{10, 100000, 20, 16384, 300000, 0, 30};
  const size_t total = std::accumulate(sizes.begin(), sizes.end(), size_t{0});
  Group group(2);
  auto sent = pattern(total, 9);
  std::vector<uint8_t> received(total);
  expect_ok(group.run([&](int rank) {
    auto& memory = rank == 0 ? sent : received;
    auto all = buffer(group, rank, memory);
    size_t offset = 0;
    for (const size_t bytes : sizes) {
      rank == 0 ? all->send(1, 4, offset, bytes) : all->recv(0, 4, offset, bytes);
      offset += bytes;
    }
    for (size_t i = 0; i < sizes.size(); ++i)
      EXPECT_TRUE(rank == 0 ? all->waitSend() : all->waitRecv());
    return group.mesh(rank).status();
  }));
  EXPECT_EQ(received, sent);
}

// Rank 0 takes the messages of three others as they come, small (eager) and large (offered).
TEST(Transport, ReceivesFromAnySource) {
  constexpr int kRounds = 20;
  Group group(4);
  for (const size_t bytes : {8u, 100000u}) {
    expect_ok(group.run([&](int rank) {
      std::vector<uint8_t> memory = pattern(bytes, static_cast<uint8_t>(rank));
      auto mine = buffer(group, rank, memory);
      std::vector<int> counts(4);
      for (int i = 0; i < (rank == 0 ? 3 * kRounds : kRounds); ++i) {
        if (rank != 0) {
          mine->send(0, 2);
          EXPECT_TRUE(mine->waitSend());
          continue;
        }
        int from = -1;
        mine->recv(std::vector<int>{1, 2, 3}, 2);
        EXPECT_TRUE(mine->waitRecv(&from, gloo::transport::kUnsetTimeout));
        ++counts[static_cast<size_t>(from)];
        EXPECT_EQ(memory, pattern(bytes, static_cast<uint8_t>(from)));
      }
      if (rank == 0) {
        EXPECT_EQ(counts, (std::vector<int>{0, kRounds, kRounds, kRounds}));
      }
      group.mesh(rank).flush();
      return group.mesh(rank).status();
    }));
  }
}

TEST(Transport, AnySourceTakesNothingMeantForAnother) {
  Group group(3);
  expect_ok(group.run([&](int rank) {
    std::vector<uint8_t> first = pattern(50000, 1), second = pattern(50000, 2);
    auto a = buffer(group, rank, first);
    auto b = buffer(group, rank, second);
    if (rank == 2)
      return Status::ok();
    if (rank == 1) {
      a->send(0, 2);
      b->send(0, 2);
      EXPECT_TRUE(a->waitSend());
      EXPECT_TRUE(b->waitSend());
      return group.mesh(rank).status();
    }
    first.assign(first.size(), 0);
    second.assign(second.size(), 0);
    a->recv(1, 2);
    b->recv(std::vector<int>{1, 2}, 2);
    int from = -1;
    EXPECT_TRUE(b->waitRecv(&from, gloo::transport::kUnsetTimeout));
    EXPECT_TRUE(a->waitRecv());
    EXPECT_EQ(from, 1);
    EXPECT_EQ(first, pattern(50000, 1));
    EXPECT_EQ(second, pattern(50000, 2));
    return group.mesh(rank).status();
  }));
}

TEST(Transport, DifferentSizesAreAnError) {
  Config config;
  config.data_timeout = 2s;  // ends the one that hears nothing; the other was told
  for (const size_t bytes : {10u, 100000u}) {
    Group group(2, config);
    const auto ended = group.run([&](int rank) {
      std::vector<uint8_t> memory(bytes + static_cast<size_t>(rank));
      try {
        auto mine = buffer(group, rank, memory);
        if (rank == 0)
          mine->recv(1, 3);
        else
          mine->send(0, 3);
        rank == 0 ? mine->waitRecv() : mine->waitSend();
        group.mesh(rank).wait([] { return false; });
      } catch (const MeshFailed&) {
      }
      return group.mesh(rank).status();
    });
    const bool told = ended[0].message().find("disagree on slot 0x3") != std::string::npos ||
                      ended[1].message().find("disagree on slot 0x3") != std::string::npos;
    EXPECT_TRUE(told) << ended[0].to_string() << " / " << ended[1].to_string();
  }
}

// Reading stops at a write to a buffer that is not registered yet, and goes on when it is.
TEST(Transport, RegisteredBuffersTakeWritesOnceTheyAreThere) {
  Group group(2);
  std::vector<uint8_t> sent = pattern(100000, 4), received(100000);
  expect_ok(group.run([&](int rank) {
    std::vector<uint8_t> word(1);
    auto signal = buffer(group, rank, word);
    if (rank == 0) {
      auto out = group.context(0)->getPair(1)->createSendBuffer(8, sent.data(), sent.size());
      out->send(0, sent.size(), 0);
      signal->send(1, 1);
      EXPECT_TRUE(signal->waitSend());
      out->waitSend();
      return group.mesh(rank).status();
    }
    signal->recv(0, 1);
    std::thread other([&] { signal->abortWaitRecv(); });
    EXPECT_FALSE(signal->waitRecv());
    other.join();
    auto in = group.context(1)->getPair(0)->createRecvBuffer(8, received.data(), received.size());
    EXPECT_TRUE(signal->waitRecv());
    in->waitRecv();
    return group.mesh(rank).status();
  }));
  EXPECT_EQ(received, sent);
}

TEST(Transport, RegisteredBuffers) {
  Group group(2);
  std::vector<uint8_t> sent = pattern(100000, 4), received(100010);
  expect_ok(group.run([&](int rank) {
    if (rank == 0) {
      auto out = group.context(0)->getPair(1)->createSendBuffer(8, sent.data(), sent.size());
      out->send(0, 50000, 10);
      out->send(50000, 50000, 50010);
      out->waitSend();
      out->waitSend();
    } else {
      auto in = group.context(1)->getPair(0)->createRecvBuffer(8, received.data(), received.size());
      in->waitRecv();
      in->waitRecv();
    }
    return group.mesh(rank).status();
  }));
  EXPECT_TRUE(std::equal(sent.begin(), sent.end(), received.begin() + 10));
}

TEST(Transport, AWriteBeyondTheBufferIsRefused) {
  Group group(2);
  std::vector<uint8_t> memory(100);
  const auto ended = group.run([&](int rank) {
    if (rank == 0) {
      auto out = group.context(0)->getPair(1)->createSendBuffer(8, memory.data(), memory.size());
      out->send(0, 100, 1);
      return Status::ok();
    }
    std::vector<uint8_t> mine(100);
    auto in = group.context(1)->getPair(0)->createRecvBuffer(8, mine.data(), mine.size());
    EXPECT_THROW(in->waitRecv(), MeshFailed);
    return group.mesh(rank).status();
  });
  EXPECT_EQ(
      ended[1].to_string(),
      "PeerLost: rank 10 (host h0) broke the protocol: it sent a write beyond the registered "
      "buffer");
}

TEST(Transport, AWaitCanBeCalledOff) {
  Group group(2);
  std::vector<uint8_t> memory(4);
  auto mine = buffer(group, 0, memory);
  mine->recv(1, 1);
  std::thread other([&] { mine->abortWaitRecv(); });
  EXPECT_FALSE(mine->waitRecv());
  other.join();
  EXPECT_TRUE(group.mesh(0).status().is_ok());
}

TEST(Transport, NoProgressNamesWhomItWaitedFor) {
  Config config;
  config.data_timeout = 150ms;
  Group group(3, config);
  std::vector<uint8_t> memory(4);
  auto mine = buffer(group, 0, memory);
  mine->recv(2, 1);
  EXPECT_THROW(mine->waitRecv(), MeshFailed);
  EXPECT_EQ(
      group.mesh(0).status().to_string(),
      "Timeout: nothing has moved for 0.1 s (FARANDOLE_DATA_TIMEOUT); waiting for data from rank "
      "12 (host h2)");
  EXPECT_EQ(group.mesh(0).status().culprit(), 12);
}

TEST(Transport, TheFirstReasonStays) {
  Group group(2);
  group.mesh(0).abort({Code::Aborted, "first"});
  group.mesh(0).abort({Code::PeerLost, "second"});
  EXPECT_EQ(group.mesh(0).status().to_string(), "Aborted: first");
  std::vector<uint8_t> memory(4);
  auto mine = buffer(group, 0, memory);
  EXPECT_THROW(mine->send(1, 1), MeshFailed);
}

// Rank 1 leaves with data that rank 0 has not read, and without having read what rank 0 sent: the
// data arrives; only what still needs rank 1 fails.
TEST(Transport, WhatWasHandedOverArrivesAfterTheSenderLeft) {
  Config config;
  config.shutdown_timeout = 200ms;  // rank 1's farewell passes it, because rank 0 does not read yet
  Group group(3, config);
  constexpr size_t kBytes = 1 << 20;
  std::vector<uint8_t> received(kBytes), note(100), sent = pattern(kBytes, 5);
  auto in = buffer(group, 0, received);
  auto unread = buffer(group, 0, note);
  in->recv(1, 1);
  unread->send(1, 99);
  EXPECT_TRUE(unread->waitSend());
  group.mesh(0).flush();
  std::thread leaver([&] {
    {
      auto out = buffer(group, 1, sent);
      out->send(0, 1);
      EXPECT_TRUE(out->waitSend());
    }
    group.context(1).reset();
  });
  leaver.join();
  EXPECT_TRUE(in->waitRecv());
  EXPECT_EQ(received, sent);
  // Rank 2 is still there, and rank 1 no loss to what does not need it.
  std::thread other([&] {
    std::vector<uint8_t> memory(100);
    auto out = buffer(group, 2, memory);
    out->send(0, 7);
    EXPECT_TRUE(out->waitSend());
  });
  unread->recv(2, 7);
  EXPECT_TRUE(unread->waitRecv());
  other.join();
  EXPECT_THROW((unread->recv(1, 8), unread->waitRecv()), MeshFailed);
  EXPECT_EQ(group.mesh(0).status().to_string(), "PeerLost: rank 11 (host h1) left");
  EXPECT_EQ(group.mesh(0).status().culprit(), 11);
}

TEST(Transport, WhoGivesUpSaysBecauseOfWhom) {
  Group group(3);
  std::vector<uint8_t> memory(100);
  auto in = buffer(group, 0, memory);
  in->recv(1, 1);
  group.mesh(1).abort(Status(Code::PeerLost, "heartbeat lost").blame(12));
  group.context(1).reset();
  EXPECT_THROW(in->waitRecv(), MeshFailed);
  EXPECT_EQ(
      group.mesh(0).status().to_string(),
      "PeerLost: rank 11 (host h1) gave up because rank 12 failed");
  EXPECT_EQ(group.mesh(0).status().culprit(), 12);
}

}  // namespace
}  // namespace farandole::testing

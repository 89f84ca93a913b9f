#include "controller/launch/outpost_frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

HostOrder an_order() {
  return {
      "job",
      "10.0.0.1:4000",
      "/data/jobs",
      "h1",
      {"python", "-c", "a\nb"},
      {"A=1", "B="},
      {{2, 4, 0, 2, 1, 2, "h1"}, {3, 4, 1, 2, 1, 2, "h1"}},
      std::chrono::seconds(3),
      {MachinePart::Core, MachinePart::Socket}};
}

std::string frame_of(FrameKind kind, const net::Bytes& body) {
  return encode_head(kind, body.size()) + std::string(body.begin(), body.end());
}

std::vector<Frame> frames_of(FrameReader& reader, std::string_view bytes, size_t piece) {
  std::vector<Frame> frames;
  while (!bytes.empty()) {
    reader.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    Frame frame;
    while (reader.next(frame) == FrameReader::Next::Got) frames.push_back(frame);
  }
  return frames;
}

TEST(OutpostFrames, AreTheSameHoweverTheBytesAreCut) {
  const std::string bytes = "Welcome to h1\nfarandole-outpostly\n" + greeting_line("1.2") +
                            frame_of(FrameKind::Prepared, {}) +
                            frame_of(FrameKind::Output, encode_output(3, 1, "text"));
  for (const size_t piece : {size_t{1}, size_t{7}, bytes.size()}) {
    FrameReader reader(100, false);
    const auto frames = frames_of(reader, bytes, piece);
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].kind, FrameKind::Greeting);
    EXPECT_EQ(std::string(frames[0].body.begin(), frames[0].body.end()), "1.2");
    EXPECT_EQ(frames[1].kind, FrameKind::Prepared);
    EXPECT_EQ(decode_output(frames[2].body), (NumberAndRest{3, 1, "text"}));
  }
}

TEST(OutpostFrames, WhatIsNoneStaysSo) {
  Frame frame;
  FrameReader long_one(3, true);
  long_one.feed(frame_of(FrameKind::Output, encode_texts({})));
  EXPECT_EQ(long_one.next(frame), FrameReader::Next::Wrong);
  for (const int kind : {0, static_cast<int>(FrameKind::AgentEnd) + 1}) {
    FrameReader unknown(100, true);
    unknown.feed(frame_of(static_cast<FrameKind>(kind), {}));
    EXPECT_EQ(unknown.next(frame), FrameReader::Next::Wrong) << kind;
    unknown.feed(frame_of(FrameKind::Beat, {}));
    EXPECT_EQ(unknown.next(frame), FrameReader::Next::Wrong);
  }
  FrameReader talker(100, false);
  talker.feed(std::string(70000, 'x'));
  EXPECT_EQ(talker.next(frame), FrameReader::Next::Wrong);
}

TEST(OutpostFrames, BodiesAreReadAsTheyWereWritten) {
  EXPECT_EQ(decode_order(encode_order(an_order())), an_order());
  const HostFacts facts{"h", {{"eth0", "10.0.0.1"}, {"ib0", "fd00::1"}}, "10.0.0.9", "10.0.0.1"};
  EXPECT_EQ(decode_facts(encode_facts(facts)), facts);
  const Message message{MessageKind::Exited, 3, 77, 256, 1 << 20, 5, true};
  EXPECT_EQ(decode_relayed(encode_message(message)), message);
  EXPECT_EQ(decode_number(encode_number(7, "why")), (NumberAndRest{7, 0, "why"}));
}

TEST(OutpostFrames, BodiesThatAreCutOrGoOnAreNone) {
  auto order = encode_order(an_order());
  for (size_t size = 0; size < order.size(); ++size)
    EXPECT_EQ(decode_order({order.data(), size}), std::nullopt) << size;
  order.push_back(0);
  EXPECT_EQ(decode_order(order), std::nullopt);
  EXPECT_EQ(decode_texts(net::as_bytes("\xff\xff\xff\xff")), std::nullopt);
}

TEST(OutpostFrames, AnOrderIsForAllRanksOfItsHost) {
  HostOrder order = an_order();
  order.places[1].local_rank = 0;
  EXPECT_EQ(decode_order(encode_order(order)), std::nullopt);
  order = an_order();
  order.places.pop_back();
  EXPECT_EQ(decode_order(encode_order(order)), std::nullopt);
  order = an_order();
  order.places[0].rank = 4;
  EXPECT_EQ(decode_order(encode_order(order)), std::nullopt);
  order = an_order();
  order.argv.clear();
  EXPECT_EQ(decode_order(encode_order(order)), std::nullopt);
  order = an_order();
  order.binding.bind = static_cast<MachinePart>(5);
  EXPECT_EQ(decode_order(encode_order(order)), std::nullopt);
  order = an_order();
  order.binding.map = static_cast<MachinePart>(5);
  EXPECT_EQ(decode_order(encode_order(order)), std::nullopt);
}

}  // namespace
}  // namespace farandole::launch

#include "controller/protocol/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/format.h"
#include "messages_generated.h"
#include "tests/protocol/samples.h"

namespace farandole::control {
namespace {

using testing::HasSubstr;

std::string refusal(const Bytes& bytes, const Limits& limits = sample_limits()) {
  const Result<Frame> frame = decode(bytes, limits);
  return frame ? "accepted" : frame.status().message();
}

std::string refusal(const Message& message, const Limits& limits = sample_limits()) {
  return refusal(encode(kSampleEnvelope, message), limits);
}

TEST(Messages, EveryKindSurvivesTheWire) {
  const std::vector<Message> samples = sample_messages();
  ASSERT_EQ(samples.size(), std::variant_size_v<Message>);
  for (size_t i = 0; i < samples.size(); ++i) {
    ASSERT_EQ(samples[i].index(), i);
    const Result<Frame> frame = decode(encode(kSampleEnvelope, samples[i]), sample_limits());
    ASSERT_TRUE(frame) << i << ": " << frame.status().message();
    EXPECT_EQ(frame.value(), (Frame{kSampleEnvelope, samples[i]})) << i;
  }
}

// The bytes on the wire are a format, by which ranks of one version understand each other.
// job_hash() is FNV-1a, as any other implementation has it.
TEST(Messages, BytesOfVersionSix) {
  const std::vector<std::string> hashes = {
      "7d6eda7dd5eddc8f",
      "242b155a504a6eac",
      "0d3f0e6977a7e08f",
      "899a730e3c4e7107",
      "cc12e570bbf1c092",
      "43b0f6dd4401a8b9",
      "41670e07da1dbf77",
      "75aac3fb632b17bd",
      "b95057d1cb4eca98",
      "10e77a524926e2dd",
      "94c64341af1a8c97",
      "03e9bf0d98853b26",
      "f2a078c480d980cb",
      "a02cf6d968cf71f6",
      "4f4eb4bb692e48a6",
      "87100858bd33b4e4",
      "95ed25fb801b44f9"};
  const std::vector<Message> samples = sample_messages();
  ASSERT_EQ(samples.size(), hashes.size());
  ASSERT_EQ(kProtocolVersion, 6U) << "give this test its name, and the new bytes";
  for (size_t i = 0; i < samples.size(); ++i) {
    const Bytes bytes = encode(kSampleEnvelope, samples[i]);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    EXPECT_EQ(fmt::format("{:016x}", job_hash(text)), hashes[i])
        << "message " << i << " has other bytes: but for a new field at the end of a table that "
        << "needs another kProtocolVersion (docs/protocol.md)";
  }
}

TEST(Messages, MayLieAtAnyAddress) {
  const Bytes bytes = encode(kSampleEnvelope, sample_messages()[1]);
  for (size_t shift = 1; shift < 8; ++shift) {
    Bytes moved(shift);
    moved.insert(moved.end(), bytes.begin(), bytes.end());
    EXPECT_TRUE(decode(std::span(moved).subspan(shift), sample_limits()));
  }
}

TEST(Messages, RestampChangesTheEnvelopeAlone) {
  const Message message = sample_messages()[9];
  Bytes bytes = encode({}, message);
  restamp(bytes, kSampleEnvelope);
  EXPECT_EQ(bytes, encode(kSampleEnvelope, message));
}

TEST(Messages, JobsHaveDifferentHashes) {
  EXPECT_EQ(job_hash("train-7"), job_hash("train-7"));
  EXPECT_NE(job_hash("train-7"), job_hash("train-8"));
  EXPECT_NE(job_hash(""), job_hash("a"));
}

TEST(Messages, AnotherVersionIsRefusedWithBothNamed) {
  Envelope envelope = kSampleEnvelope;
  envelope.version = 9;
  EXPECT_EQ(
      refusal(encode(envelope, Leave{})),
      "it speaks version 9 of the protocol, this rank version 6");
}

TEST(Messages, LongTextLosesItsEnd) {
  const std::string text(kMaxTextBytes + 100, 'x');
  const Bytes bytes = encode(kSampleEnvelope, Refuse{Status(Code::Timeout, text)});
  const Result<Frame> frame = decode(bytes, sample_limits());
  ASSERT_TRUE(frame);
  EXPECT_EQ(std::get<Refuse>(frame.value().body).why.message(), text.substr(0, kMaxTextBytes));
}

struct BadAnnouncement {
  const char* text;
  void (*spoil)(Announcement&);
};

void PrintTo(const BadAnnouncement& bad, std::ostream* out) {
  *out << bad.text;
}

class AnnouncementLimits : public testing::TestWithParam<BadAnnouncement> {};

TEST_P(AnnouncementLimits, AreChecked) {
  Limits limits = sample_limits();
  limits.max_name_bytes = 16;
  limits.max_dims = 3;
  Announcement item{"name", {}};
  item.signature.shape = {1, 2, 3};
  EXPECT_EQ(refusal(Announce{{item}, {}}, limits), "accepted");
  GetParam().spoil(item);
  EXPECT_EQ(refusal(Announce{{item}, {}}, limits), GetParam().text);
}

const BadAnnouncement kBadAnnouncements[] = {
    {"a name is empty", [](Announcement& a) { a.name.clear(); }},
    {"a name is too long", [](Announcement& a) { a.name.assign(17, 'x'); }},
    {"an unknown kind of operation",
     [](Announcement& a) { a.signature.kind = static_cast<CollectiveKind>(kKindCount); }},
    {"a join has a name", [](Announcement& a) { a.signature.kind = CollectiveKind::Join; }},
    {"an operand belongs to process sets, to scatter and to messages",
     [](Announcement& a) { a.signature.operand = {1}; }},
    {"an operand belongs to process sets, to scatter and to messages",
     [](Announcement& a) {
       a.signature.kind = CollectiveKind::Scatter;
       a.signature.operand = {1, 2};
     }},
    {"a message goes to no other rank of the job",
     [](Announcement& a) { a.signature.kind = CollectiveKind::Message; }},
    {"a message goes to no other rank of the job",
     [](Announcement& a) {
       a.signature.kind = CollectiveKind::Message;
       a.signature.operand = {0};
     }},
    {"a message goes to no other rank of the job",
     [](Announcement& a) {
       a.signature.kind = CollectiveKind::Message;
       a.signature.operand = {99};
     }},
    {"a name tells another way than its message goes",
     [](Announcement& a) {
       a.signature.kind = CollectiveKind::Message;
       a.signature.operand = {1};
     }},
    {"a name tells another way than its message goes",
     [](Announcement& a) {
       a.name = "name 1->0";
       a.signature.kind = CollectiveKind::Message;
       a.signature.operand = {1};
     }},
    {"a name tells another way than its message goes",
     [](Announcement& a) { a.name = "name 0->1"; }},
    {"a name tells another way than its message goes",
     [](Announcement& a) {
       a.name = "name 0->1";
       a.signature = {.kind = CollectiveKind::AddProcessSet, .operand = {0}};
     }},
    {"an operand is out of range",
     [](Announcement& a) {
       a.signature.kind = CollectiveKind::AddProcessSet;
       a.signature.operand = {-1};
     }},
    {"an operand is out of range",
     [](Announcement& a) {
       a.signature.kind = CollectiveKind::RemoveProcessSet;
       a.signature.operand = {int64_t{1} << 32};
     }},
    {"there are more operands than ranks",
     [](Announcement& a) {
       a.signature.kind = CollectiveKind::AddProcessSet;
       a.signature.operand.resize(5);
     }},
    {"process sets are agreed upon by all ranks",
     [](Announcement& a) {
       a.signature.kind = CollectiveKind::AddProcessSet;
       a.signature.process_set = 1;
     }},
    {"an unknown reduce operation",
     [](Announcement& a) { a.signature.reduce = static_cast<ReduceOp>(6); }},
    {"an unknown dtype", [](Announcement& a) { a.signature.dtype = static_cast<DType>(13); }},
    {"an unknown device",
     [](Announcement& a) { a.signature.device.type = static_cast<DeviceType>(2); }},
    {"a prescale is not finite", [](Announcement& a) { a.signature.prescale = NAN; }},
    {"a postscale is not finite", [](Announcement& a) { a.signature.postscale = INFINITY; }},
    {"a root is no rank of the job", [](Announcement& a) { a.signature.root = 4; }},
    {"a root is no rank of the job", [](Announcement& a) { a.signature.root = -1; }},
    {"a shape has too many dimensions", [](Announcement& a) { a.signature.shape.resize(4); }},
    {"a shape is negative or too large", [](Announcement& a) { a.signature.shape[1] = -1; }},
    {"a shape is negative or too large",
     [](Announcement& a) {
       a.signature.shape = {int64_t{1} << 40, int64_t{1} << 40};
     }},
    {"there are more splits than ranks", [](Announcement& a) { a.signature.splits.resize(5); }},
    {"splits are negative or too large",
     [](Announcement& a) {
       a.signature.splits = {1, -1};
     }},
    {"splits are negative or too large",
     [](Announcement& a) { a.signature.splits.assign(2, std::numeric_limits<int64_t>::max()); }},
};
INSTANTIATE_TEST_SUITE_P(Table, AnnouncementLimits, testing::ValuesIn(kBadAnnouncements));

TEST(Messages, NobodyStandsInForJustAnything) {
  Round round{.number = 1, .ready = {0}, .details = {{.id = 0, .named = true, .name = "a"}}};
  Detail& detail = round.details[0];
  detail.stand_in = StandIn{{}, 3};
  EXPECT_EQ(refusal(round), "accepted");
  for (const uint32_t contributors : {0U, 4U}) {
    detail.stand_in->contributors = contributors;
    EXPECT_EQ(refusal(round), "nobody or everybody takes part in an operation");
  }
  detail.stand_in = StandIn{{.kind = CollectiveKind::Join}, 1};
  EXPECT_EQ(refusal(round), "nobody can stand in for that");
  detail.stand_in = StandIn{{}, 1};
  detail.id = 7;
  EXPECT_EQ(refusal(round), "a tensor that somebody stands in for is cached");
}

TEST(Messages, OtherLimitsAreChecked) {
  const PeerFailure nobody{.rank = 4, .cause = "x"};
  const PeerFailure fine{.rank = 1, .cause = "x", .code = Code::Ok};
  EXPECT_EQ(refusal(Report{nobody}), "a failure blames no rank of the job");
  EXPECT_EQ(refusal(Report{fine}), "an unknown error code");
  EXPECT_EQ(refusal(Refuse{Status(static_cast<Code>(9), "x")}), "an unknown error code");
  EXPECT_EQ(refusal(Refuse{Status(Code::Timeout, "x").blame(7)}), "a culprit is no rank");
  EXPECT_EQ(refusal(StoreGet{1, ""}), "a store key is empty");
  EXPECT_EQ(refusal(StoreGet{1, std::string(kMaxTextBytes + 1, 'k')}), "a store key is too long");
  Limits small = sample_limits();
  small.store_bytes = 10;
  EXPECT_EQ(refusal(StoreSet{1, "key", Bytes(11)}, small), "a store value is too large");
  EXPECT_EQ(refusal(Welcome{1, {{0, "a", 1, ""}}}), "members are missing");
  Welcome welcome = std::get<Welcome>(sample_messages()[7]);
  std::swap(welcome.members[1], welcome.members[2]);
  EXPECT_EQ(refusal(welcome), "members are out of order");
  welcome = std::get<Welcome>(sample_messages()[7]);
  welcome.epoch = 0;
  EXPECT_EQ(refusal(welcome), "there is no epoch 0");
  welcome.members.push_back({4, "a", 1, ""});
  EXPECT_EQ(refusal(welcome), "too many members");
  EXPECT_EQ(refusal(Join{{-1, "a", 1, ""}, 4, {}}), "a rank is negative");
  EXPECT_EQ(
      refusal(Round{.number = 1, .ready = {0}, .details = {Detail{}}}),
      "a tensor has neither id nor name");
  Detail detail{.id = 1, .extents = std::vector<int64_t>(83)};
  EXPECT_EQ(refusal(Round{.number = 1, .ready = {1}, .details = {detail}}), "too many extents");
  detail.extents = {-1};
  EXPECT_EQ(
      refusal(Round{.number = 1, .ready = {1}, .details = {detail}}),
      "extents are negative or too large");
  const Announce many{{}, std::vector<uint32_t>(kMaxEntries + 1)};
  EXPECT_EQ(refusal(many), "too many ids");
  const Join settings{{1, "a", 1, ""}, 4, std::vector<Setting>(kMaxSettings + 1)};
  EXPECT_EQ(refusal(settings), "too many settings");
  small.max_frame_bytes = 64;
  EXPECT_THAT(refusal(StoreSet{1, "key", Bytes(100)}, small), HasSubstr("more than a message"));
}

// A message may not name the same bytes many times: what is read would grow without bound.
TEST(Messages, SharedBytesAreRefused) {
  flatbuffers::FlatBufferBuilder out;
  const auto name = out.CreateString(std::string(500, 'n'));
  std::vector<flatbuffers::Offset<wire::Announcement>> items;
  for (int i = 0; i < 1000; ++i) items.push_back(wire::CreateAnnouncement(out, name));
  const auto body = wire::CreateAnnounce(out, out.CreateVector(items)).Union();
  const wire::Envelope head(7, 11, 13, kProtocolVersion, 3);
  out.Finish(wire::CreateMessage(out, &head, wire::Body::Announce, body), "FDLM");
  const Bytes bytes(out.GetBufferPointer(), out.GetBufferPointer() + out.GetSize());
  EXPECT_EQ(refusal(bytes), "parts of it share bytes");
}

// What others say for people to read can drive no terminal and begins no line of its own.
TEST(Messages, TextsForPeopleComeOutPrintable) {
  const std::string evil = "lost\n2026-01-01 [rank 0] fine\x1b[2J\xff";
  const std::string tame = "lost\\x0a2026-01-01 [rank 0] fine\\x1b[2J\\xff";
  const auto read_back = [](const Message& message) {
    return decode(encode(kSampleEnvelope, message), sample_limits()).value().body;
  };
  const Message report = read_back(Report{{.rank = 1, .host = "h", .cause = evil}});
  EXPECT_EQ(std::get<Report>(report).failure.cause, tame);
  const Message refuse = read_back(Refuse{Status(Code::Mismatch, evil)});
  EXPECT_EQ(std::get<Refuse>(refuse).why.message(), tame);
  const Message longest = read_back(Refuse{Status(Code::Mismatch, std::string(4096, '\n'))});
  EXPECT_LE(std::get<Refuse>(longest).why.message().size(), kMaxTextBytes) << "to be said again";
}

// As a cause stands in each error of every rank. Whoever writes one cuts it; nobody is sent more.
TEST(Messages, CausesHaveOneLengthEverywhere) {
  const auto read_back = [](const Message& message) {
    return decode(encode(kSampleEnvelope, message), sample_limits()).value().body;
  };
  const std::string cut = std::string(kMaxCauseBytes - 3, 'x') + "…";
  for (const size_t bytes : {kMaxCauseBytes, kMaxCauseBytes + 1, size_t{1} << 20}) {
    const std::string cause(bytes, 'x');
    const std::string& shown = bytes <= kMaxCauseBytes ? cause : cut;
    EXPECT_EQ(std::get<Leave>(read_back(Leave{cause})).cause, shown);
    EXPECT_EQ(
        std::get<Report>(read_back(Report{{.rank = 1, .cause = cause}})).failure.cause, shown);
    EXPECT_EQ(printable(shown), shown) << "as other texts quote it";
  }
  const auto refused = [](size_t bytes, wire::Body type, auto make) {
    flatbuffers::FlatBufferBuilder out;
    const wire::Envelope head(7, 11, 13, kProtocolVersion, 3);
    const auto body = make(out, out.CreateString(std::string(bytes, 'x')));
    out.Finish(wire::CreateMessage(out, &head, type, body), "FDLM");
    return refusal(Bytes(out.GetBufferPointer(), out.GetBufferPointer() + out.GetSize()));
  };
  const auto leave = [](auto& out, auto cause) { return wire::CreateLeave(out, cause).Union(); };
  const auto report = [](auto& out, auto cause) {
    const auto code = static_cast<int32_t>(Code::Timeout);
    const auto failure = wire::CreatePeerFailure(out, 1, 0, cause, code);
    return wire::CreateReport(out, failure).Union();
  };
  EXPECT_EQ(refused(kMaxCauseBytes, wire::Body::Leave, leave), "accepted");
  EXPECT_EQ(refused(kMaxCauseBytes + 1, wire::Body::Leave, leave), "a cause is too long");
  EXPECT_EQ(refused(kMaxCauseBytes, wire::Body::Report, report), "accepted");
  EXPECT_EQ(refused(kMaxCauseBytes + 1, wire::Body::Report, report), "a cause is too long");
}

TEST(Messages, MissingPartsAreRefused) {
  const wire::Envelope head(7, 11, 13, kProtocolVersion, 3);
  const auto made = [&](bool with_head, wire::Body type, auto make) {
    flatbuffers::FlatBufferBuilder out;
    const auto body = make(out);
    out.Finish(wire::CreateMessage(out, with_head ? &head : nullptr, type, body), "FDLM");
    return Bytes(out.GetBufferPointer(), out.GetBufferPointer() + out.GetSize());
  };
  const auto leave = [](auto& out) { return wire::CreateLeave(out).Union(); };
  EXPECT_EQ(refusal(made(true, wire::Body::Leave, leave)), "accepted");
  EXPECT_EQ(refusal(made(false, wire::Body::Leave, leave)), "a part is missing");
  EXPECT_EQ(
      refusal(made(true, wire::Body::NONE, [](auto&) { return flatbuffers::Offset<void>(); })),
      "a part is missing");
  EXPECT_EQ(refusal(made(true, static_cast<wire::Body>(99), leave)), "an unknown kind of message");
  EXPECT_EQ(
      refusal(made(
          true, wire::Body::Report, [](auto& out) { return wire::CreateReport(out).Union(); })),
      "a part is missing");
  EXPECT_EQ(
      refusal(made(
          true, wire::Body::Refuse, [](auto& out) { return wire::CreateRefuse(out).Union(); })),
      "a part is missing");
}

}  // namespace
}  // namespace farandole::control

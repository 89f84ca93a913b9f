#pragma once
// Messages: all that ranks and coordinator say to each other, as values, and their bytes.
// On the wire: one FlatBuffer per message (messages.fbs). decode() is the only reader; whatever it
// accepts is within the limits and free to use.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "controller/protocol/limits.h"
#include "core/agreement.h"
#include "core/base/status.h"
#include "core/control_plane.h"
#include "core/request.h"

namespace farandole::control {

inline constexpr uint32_t kProtocolVersion = 6;
using Bytes = std::vector<uint8_t>;

// Who says it: stands in front of every message.
struct Envelope {
  uint32_t version = kProtocolVersion;
  uint32_t epoch = 0;        // 0: not a member yet
  uint64_t job = 0;          // job_hash()
  uint64_t incarnation = 0;  // random, of the sending process
  uint64_t seq = 0;          // strictly increasing per direction, from 1
  bool operator==(const Envelope&) const = default;
};
uint64_t job_hash(std::string_view job) noexcept;

// --- from a rank to the coordinator

struct Join {
  Member member;
  uint32_t size = 0;
  std::vector<Setting> settings;
  bool operator==(const Join&) const = default;
};

// Ready tensors: with name and signature, or by the id that they got when last agreed upon. Joins
// and changes of process sets are among the former.
struct Announce {
  std::vector<Announcement> full;
  std::vector<uint32_t> cached;
  uint32_t resends = 0;  // so many Resend are answered with this message
  bool operator==(const Announce& other) const;
};

struct Report {
  PeerFailure failure;
  bool operator==(const Report&) const = default;
};

// `cause` is what the others are told, after "left the job: "; empty: what the coordinator says of
// those that give none.
struct Leave {
  std::string cause;
  bool operator==(const Leave&) const = default;
};

struct StoreSet {
  uint64_t request = 0;
  std::string key;
  Bytes value;
  bool operator==(const StoreSet&) const = default;
};

struct StoreGet {
  uint64_t request = 0;
  std::string key;
  bool operator==(const StoreGet&) const = default;
};

// The waiter of `request` gave up.
struct StoreCancel {
  uint64_t request = 0;
  bool operator==(const StoreCancel&) const = default;
};

// The last word of a rank: it has left, or the coordinator's rank has, and all that was agreed upon
// is carried out here. Only after it may the connection close.
struct Finished {
  bool operator==(const Finished&) const = default;
};

// To an Inquiry: where the threads of this rank are, or why that cannot be said.
struct Answer {
  uint64_t number = 0;
  std::string text;
  bool operator==(const Answer&) const = default;
};

// --- from the coordinator to a rank

struct Welcome {
  uint32_t epoch = 0;
  std::vector<Member> members;  // in rank order
  bool operator==(const Welcome&) const = default;
};

// The group does not form; every rank gets the same text.
struct Refuse {
  Status why;
  bool operator==(const Refuse&) const = default;
};

// What a ready id stands for, where the receiver may not know it yet.
struct Detail {
  uint32_t id = 0;     // 0: not cached, good for this once
  bool named = false;  // process_set and name follow; else only extents changed
  uint32_t process_set = 0;
  std::string name;  // empty: a join
  std::vector<int64_t> extents;
  std::optional<StandIn> stand_in;  // as in ReadyOp; of what is not cached
  bool operator==(const Detail&) const = default;
};

// One round. `details` stand in the order of their ids in `ready`.
struct Round {
  uint64_t number = 0;
  std::vector<uint32_t> ready;
  std::vector<Detail> details;
  std::vector<Rejection> rejected;
  std::vector<uint32_t> evicted;  // forgotten after this round
  bool operator==(const Round&) const = default;
};

// The receiver announced ids that the coordinator has forgotten: announce those in full that still
// wait for an answer, and say so in any case.
struct Resend {
  std::vector<uint32_t> ids;
  bool operator==(const Resend&) const = default;
};

struct Failure {
  PeerFailure failure;
  bool operator==(const Failure&) const = default;
};

// Answers StoreSet (empty value) and StoreGet.
struct StoreValue {
  uint64_t request = 0;
  Bytes value;
  bool operator==(const StoreValue&) const = default;
};

struct StoreError {
  uint64_t request = 0;
  Status why;
  bool operator==(const StoreError&) const = default;
};

// Others wait for the receiver: it is asked where its threads are. It is asked nothing else until
// it has answered.
struct Inquiry {
  uint64_t number = 0;  // from 1 on, ascending
  bool operator==(const Inquiry&) const = default;
};

using Message = std::variant<
    Join,
    Announce,
    Report,
    Leave,
    StoreSet,
    StoreGet,
    StoreCancel,
    Welcome,
    Refuse,
    Round,
    Resend,
    Failure,
    StoreValue,
    StoreError,
    Finished,
    Answer,
    Inquiry>;

struct Frame {
  Envelope envelope;
  Message body;
  bool operator==(const Frame&) const = default;
};

Bytes encode(const Envelope& envelope, const Message& body);
// Fails: InvalidArgument saying what is wrong with the bytes. Allocates no more than a small
// multiple of them.
Result<Frame> decode(std::span<const uint8_t> bytes, const Limits& limits);
// Changes the envelope of an encoded message, so that one encoding serves many receivers.
// Requires: bytes made by encode().
void restamp(Bytes& bytes, const Envelope& envelope);
// printable() in at most `bytes` bytes, "…" included. Of its own result it changes nothing.
std::string printable_within(std::string_view text, size_t bytes);

}  // namespace farandole::control

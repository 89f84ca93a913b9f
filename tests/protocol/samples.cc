#include "tests/protocol/samples.h"

namespace farandole::control {
namespace {

Member member(int rank) {
  return {rank, "host" + std::to_string(rank), 4000 + rank, "10.0.0.1"};
}

PeerFailure failure() {
  return {.rank = 2, .host = "b", .cause = "no beat", .code = Code::Timeout, .left = true};
}

Status status() {
  return Status(Code::Mismatch, "ranks disagree").blame(1);
}

Announcement announcement() {
  Announcement out{"grad/1", {}};
  out.signature = {
      .kind = CollectiveKind::Alltoall,
      .reduce = ReduceOp::Max,
      .dtype = DType::Bfloat16,
      .device = {DeviceType::Cuda, 3},
      .process_set = 5,
      .root = 2,
      .prescale = 0.5,
      .postscale = 0.25,
      .shape = {10, 0, 7},
      .splits = {1, 2, 3, 4}};
  return out;
}

}  // namespace

Limits sample_limits() {
  Limits limits;
  limits.size = 4;
  return limits;
}

std::vector<Message> sample_messages() {
  return {
      Join{member(1), 4, {{"FARANDOLE_FUSION_BYTES", "1024"}, {"FARANDOLE_SHM_SLOTS", "4"}}},
      Announce{
          {announcement(),
           {"scalar", {}},
           {{}, {.kind = CollectiveKind::Join, .process_set = 3}},
           {"set", {.kind = CollectiveKind::AddProcessSet, .operand = {0, 2, 3}}},
           {"set", {.kind = CollectiveKind::RemoveProcessSet, .operand = {4000000000}}}},
          {1, 2, 4000000000U},
          2},
      Report{failure()},
      Leave{"its program ended without shutdown"},
      StoreSet{21, "key", {1, 2, 3}},
      StoreGet{22, "key"},
      StoreCancel{23},
      Welcome{9, {member(0), member(1), member(2), member(3)}},
      Refuse{status()},
      Round{
          .number = 17,
          .ready = {5, 0, 0, 0, 6, 7},
          .details =
              {{.id = 0, .named = true, .process_set = 2, .name = "once", .extents = {}},
               {.id = 0, .named = true, .process_set = 2, .name = {}, .extents = {3}},
               {.id = 0,
                .named = true,
                .process_set = 5,
                .name = "joined",
                .extents = {4, 0, 4},
                .stand_in = StandIn{announcement().signature, 2}},
               {.id = 6, .named = false, .process_set = 0, .name = {}, .extents = {1, 2}},
               {.id = 7, .named = true, .process_set = 0, .name = "new", .extents = {3}}},
          .rejected = {{"bad", 1, status()}},
          .evicted = {3, 4}},
      Resend{{8, 9}},
      Failure{failure()},
      StoreValue{24, {0, 255}},
      StoreError{25, status()},
      Finished{},
      Answer{26, "thread MainThread:\n  File \"a.py\", line 3\n"},
      Inquiry{27}};
}

}  // namespace farandole::control

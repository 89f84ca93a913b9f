// The handshake in both roles: who does not hold the secret gets nowhere, who changes one byte of
// what was said gets nowhere, and who holds it but says what it likes stays within the bounds.

#include <algorithm>
#include <optional>

#include "core/net/auth.h"
#include "core/net/mac.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace net;

constexpr uint8_t kHelloStart[] = {'F', 'D', 'L', 'H', 0, 74, 0, 1, 0, 1, 1, 0};

Secret secret_of(uint8_t fill) {
  return Secret(Bytes(32, fill));
}

Hello any_hello(Input& in) {
  Hello hello;
  hello.job = in.byte() < 200 ? "job" : in.text(70);
  hello.group = in.byte() < 200 ? "" : in.text(260);
  hello.role = static_cast<Role>(in.byte() < 200 ? 1 + in.below(3) : in.byte());
  hello.rank = static_cast<uint32_t>(in.below(4));
  hello.to_rank = static_cast<uint32_t>(in.below(2));
  hello.generation = static_cast<uint32_t>(in.below(3));
  hello.incarnation = in.byte();
  return hello;
}

VersionRange any_versions(Input& in) {
  if (in.byte() < 200)
    return {1, 1};
  return {in.number<uint16_t>(), in.number<uint16_t>()};
}

Handshake server(
    Verdict verdict,
    uint8_t fill,
    VersionRange versions = {1, 1},
    std::optional<Nonce> nonce = Nonce{1}) {
  ServerParams params{.secret = secret_of(fill)};
  params.generation = 2;
  params.incarnation = 77;
  params.admit = [verdict](const Hello&) { return verdict; };
  params.versions = versions;
  params.nonce = nonce;
  return Handshake::server(std::move(params));
}

Handshake client(
    Hello hello,
    uint8_t fill,
    VersionRange versions = {1, 1},
    std::optional<Nonce> nonce = Nonce{2}) {
  return Handshake::client(
      {.secret = secret_of(fill), .hello = std::move(hello), .versions = versions, .nonce = nonce});
}

void check_bounds(const Handshake& end) {
  require(end.wants() <= kMaxUnauthenticatedBytes, "no more is wanted than a stranger may send");
  require(!end.done() || end.wants() == 0, "nothing is wanted at the end");
  require(end.done() || end.status().is_ok(), "a handshake that has failed is done");
}

// Returns what was said back.
Bytes feed(Handshake& end, Input& in, ByteSpan bytes) {
  Bytes said;
  while (!bytes.empty() && !end.done()) {
    const size_t count = std::min<size_t>(1 + in.byte(), bytes.size());
    const size_t used = end.feed(bytes.first(count));
    check_bounds(end);
    require(used == count || end.done(), "bytes are left only by one that is done");
    bytes = bytes.subspan(count);
    const Bytes out = end.output();
    said.insert(said.end(), out.begin(), out.end());
  }
  return said;
}

// Somebody who says anything but holds no secret.
void meet_stranger(Input& in) {
  const bool is_server = in.flag();
  Handshake end = is_server ? server(Verdict::Admit, 1) : client({.job = "job", .group = {}}, 1);
  (void)end.output();
  Bytes said;
  if (is_server && in.byte() < 128)
    said.assign(std::begin(kHelloStart), std::end(kHelloStart));
  Bytes more = in.bytes(kMaxUnauthenticatedBytes);
  said.insert(said.end(), more.begin(), more.end());
  const Bytes answer = feed(end, in, said);
  require(answer.size() <= 90, "a stranger hears one challenge at most");
  require(!end.succeeded(), "who does not hold the secret does not succeed");
}

// A rank of the job, with a hello made by hand and the right proof.
void meet_insider(Input& in) {
  const auto verdict = static_cast<Verdict>(in.below(kVerdictCount));
  Handshake end = server(verdict, 1);
  Bytes hello(std::begin(kHelloStart), std::end(kHelloStart));
  const Bytes rest = in.bytes(kMaxUnauthenticatedBytes);
  hello.insert(hello.end(), rest.begin(), rest.end());
  if (in.flag())
    hello[10] = in.byte();  // role
  hello[4] = static_cast<uint8_t>(hello.size() >> 8);
  hello[5] = static_cast<uint8_t>(hello.size());
  Bytes transcript = hello;
  const Bytes challenge = feed(end, in, hello);
  transcript.insert(transcript.end(), challenge.begin(), challenge.end());
  Mac mac(hkdf(secret_of(1), as_bytes("farandole"), as_bytes("handshake proofs, version 1")));
  const Digest proof = mac.compute({as_bytes("farandole client"), transcript});
  (void)feed(end, in, proof);
  if (!end.succeeded())
    return;
  require(verdict == Verdict::Admit, "only who is admitted succeeds");
  require(end.hello().job.size() <= kMaxJobBytes, "a job's name is bounded");
  require(end.hello().group.size() <= kMaxGroupBytes, "a group's name is bounded");
  require(std::string_view(name_of(end.hello().role)) != "unknown", "a role is known");
}

// Changes a message on its way. False where it arrives as it was said.
bool tamper(Input& in, Bytes& message) {
  if (message.empty() || in.byte() < 160)
    return false;
  const Bytes before = message;
  if (in.below(4) == 0)
    message.resize(in.below(message.size()));
  else if (in.below(4) == 0)
    message.insert(message.begin() + static_cast<ptrdiff_t>(in.below(message.size())), in.byte());
  else
    message[in.below(message.size())] ^= in.byte();
  return message != before;
}

// A server of the job whose challenge says what it likes, with the right proof.
void meet_lying_server(Input& in) {
  const VersionRange offered = any_versions(in);
  Handshake asks = client(any_hello(in), 1, offered);
  Bytes transcript = asks.output();
  Handshake answers = server(Verdict::Admit, 1, {1, 1});
  Bytes challenge = feed(answers, in, transcript);
  if (challenge.size() != 90)
    return;
  const size_t said = challenge.size() - kDigestBytes;
  for (size_t changes = in.below(4); changes > 0; --changes)
    challenge[in.flag() ? 6 + in.below(24) : in.below(said)] = in.byte();
  Mac mac(hkdf(secret_of(1), as_bytes("farandole"), as_bytes("handshake proofs, version 1")));
  const Digest proof =
      mac.compute({as_bytes("farandole server"), transcript, ByteSpan(challenge).first(said)});
  std::copy(proof.begin(), proof.end(), challenge.begin() + static_cast<ptrdiff_t>(said));
  (void)feed(asks, in, challenge);
  const Bytes last = {in.flag() ? kAdmitted : in.byte()};
  if (asks.awaits_admission())
    (void)feed(asks, in, last);
  require(asks.done(), "a challenge and one byte are all that a server says");
  require(!asks.succeeded() || last[0] == kAdmitted, "and the byte is known");
  if (asks.succeeded())
    require(
        asks.version() >= offered.min && asks.version() <= offered.max,
        "and a version is spoken that was offered");
}

// Ends that lack what they need, or draw their own nonces.
void meet_incomplete(Input& in) {
  const Handshake no_secret_server = Handshake::server({});
  const Handshake no_secret_client = Handshake::client({});
  require(no_secret_server.done() && !no_secret_server.succeeded(), "a server needs a secret");
  require(no_secret_client.done() && !no_secret_client.succeeded(), "a client needs a secret");
  Handshake asks = client(any_hello(in), 1, {1, 1}, std::nullopt);
  Handshake answers = server(Verdict::Admit, 1, {1, 1}, std::nullopt);
  const Bytes challenge = feed(answers, in, asks.output());
  const Bytes proof = feed(asks, in, challenge);
  (void)feed(asks, in, feed(answers, in, proof));
  require(asks.feed(proof) == 0 || !asks.done(), "one that is done takes nothing");
  require(!asks.succeeded() || answers.hello().rank == asks.hello().rank, "both know who asks");
}

bool begins_with(ByteSpan bytes, ByteSpan start) {
  return bytes.size() >= start.size() && std::ranges::equal(bytes.first(start.size()), start);
}

bool within_bounds(const Hello& hello) {
  return hello.job.size() <= kMaxJobBytes && hello.group.size() <= kMaxGroupBytes &&
         std::string_view(name_of(hello.role)) != "unknown";
}

// Two ends, and somebody between them.
void meet_each_other(Input& in) {
  const auto verdict = static_cast<Verdict>(in.byte() < 160 ? 0 : in.below(kVerdictCount));
  const bool same_secret = in.byte() < 224;
  const VersionRange ours = any_versions(in), theirs = any_versions(in);
  const Hello hello = any_hello(in);
  Handshake asks = client(hello, 1, ours);
  Handshake answers = server(verdict, same_secret ? 1 : 2, theirs);
  bool touched = false;
  Bytes said = asks.output();
  for (Handshake* const hears : {&answers, &asks, &answers}) {
    const Bytes meant = said;
    const bool changed = tamper(in, said);
    // Behind the proof frames follow: a byte more is their business.
    const bool has_proof = hears->awaits_proof() && begins_with(said, meant);
    touched = touched || (changed && !has_proof);
    said = feed(*hears, in, said);
    check_bounds(*hears);
  }
  const bool touched_last = tamper(in, said);
  (void)feed(asks, in, said);
  require(!asks.not_yet() || verdict == Verdict::NotYet, "nobody waits unless told to");
  if (!touched && !touched_last && same_secret && verdict == Verdict::Admit &&
      within_bounds(hello) && ours == VersionRange{1, 1} && theirs == ours)
    require(asks.succeeded() && answers.succeeded(), "honest ends succeed");
  if (!answers.succeeded())
    return;
  require(!touched, "who has been lied to does not succeed");
  require(same_secret && verdict == Verdict::Admit, "nor who is refused");
  require(answers.hello() == hello, "both know who asks");
  require(
      asks.succeeded() == (!said.empty() && said[0] == kAdmitted), "and the client that it is in");
  if (!asks.succeeded())
    return;
  require(asks.version() == answers.version(), "and which version is spoken");
  require(asks.server_incarnation() == 77, "and who answers");
  require(std::ranges::equal(asks.keys().send.bytes(), answers.keys().receive.bytes()), "keys fit");
  require(std::ranges::equal(asks.keys().receive.bytes(), answers.keys().send.bytes()), "keys fit");
  require(
      !std::ranges::equal(asks.keys().send.bytes(), asks.keys().receive.bytes()),
      "each direction has a key of its own");
}

}  // namespace

void handshake(Input in) {
  switch (in.below(6)) {
    case 0:
      return meet_stranger(in);
    case 1:
      return meet_insider(in);
    case 4:
      return meet_lying_server(in);
    case 5:
      return meet_incomplete(in);
    default:
      return meet_each_other(in);
  }
}

}  // namespace farandole::fuzz

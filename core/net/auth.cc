#include "core/net/auth.h"

#include <algorithm>
#include <utility>

#include "core/base/format.h"

namespace farandole::net {
namespace {

constexpr uint32_t kHelloMagic = 0x46444C48;      // "FDLH"
constexpr uint32_t kChallengeMagic = 0x46444C43;  // "FDLC"
constexpr size_t kPrefixBytes = 10;               // magic, length, version range
constexpr size_t kChallengeBytes = 90;
constexpr size_t kProofBytes = kDigestBytes;
constexpr size_t kMinHelloBytes = kPrefixBytes + 1 + 1 + 4 + 4 + 4 + 8 + kNonceBytes + 1 + 1;
constexpr size_t kMaxHelloBytes = kMinHelloBytes + kMaxJobBytes + kMaxGroupBytes;
static_assert(kMaxHelloBytes + kProofBytes <= kMaxUnauthenticatedBytes);

constexpr char kServerTag[] = "farandole server";
constexpr char kClientTag[] = "farandole client";

std::string range_text(VersionRange range) {
  return range.min == range.max ? fmt::format("{}", range.min)
                                : fmt::format("{} to {}", range.min, range.max);
}

Bytes encode(const Hello& hello, VersionRange versions, const Nonce& nonce) {
  Bytes bytes;
  ByteWriter to(bytes);
  to.put(kHelloMagic);
  to.put(static_cast<uint16_t>(kMinHelloBytes + hello.job.size() + hello.group.size()));
  to.put(versions.min);
  to.put(versions.max);
  to.put(static_cast<uint8_t>(hello.role));
  to.put(uint8_t{0});
  to.put(hello.rank);
  to.put(hello.to_rank);
  to.put(hello.generation);
  to.put(hello.incarnation);
  to.put_bytes(nonce);
  to.put_text(hello.job);
  to.put_text(hello.group);
  return bytes;
}

// False where the bytes are no hello.
bool decode(ByteSpan bytes, Hello& hello) {
  ByteReader from(bytes);
  from.take(kPrefixBytes);
  const uint8_t role = from.get<uint8_t>();
  const uint8_t reserved = from.get<uint8_t>();
  hello.role = static_cast<Role>(role);
  hello.rank = from.get<uint32_t>();
  hello.to_rank = from.get<uint32_t>();
  hello.generation = from.get<uint32_t>();
  hello.incarnation = from.get<uint64_t>();
  from.take(kNonceBytes);
  hello.job = from.get_text();
  hello.group = from.get_text();
  return from.finished() && reserved == 0 && role >= static_cast<uint8_t>(Role::Control) &&
         role <= static_cast<uint8_t>(Role::Data) && hello.job.size() <= kMaxJobBytes;
}

Secret proof_key(const Secret& secret) {
  return hkdf(secret, as_bytes("farandole"), as_bytes("handshake proofs, version 1"));
}

// `own`: the job of who refuses, where that is known.
std::string refusal(Verdict verdict, const Hello& hello, const std::string& own = {}) {
  const std::string job = printable(hello.job, kMaxJobBytes);
  switch (verdict) {
    case Verdict::Job:
      return own.empty() ? fmt::format("it serves another job, not \"{}\"", job)
                         : fmt::format("it belongs to job \"{}\", this rank to \"{}\"", job, own);
    case Verdict::Role:
      return fmt::format("it takes no {} connections", name_of(hello.role));
    case Verdict::Rank:
      return fmt::format("it does not expect rank {}", hello.rank);
    case Verdict::Generation:
      if (hello.role == Role::Data)
        return fmt::format("data connections are of generation 0, not {}", hello.generation);
      return fmt::format("generation {} of the job is over", hello.generation);
    case Verdict::Group:
      return fmt::format("it knows no group \"{}\"", printable(hello.group, kMaxGroupBytes));
    case Verdict::Duplicate:
      return fmt::format("rank {} is connected already", hello.rank);
    default:
      return "it refused";
  }
}

}  // namespace

const char* name_of(Role role) noexcept {
  switch (role) {
    case Role::Control:
      return "control";
    case Role::Heartbeat:
      return "heartbeat";
    case Role::Data:
      return "data";
  }
  return "unknown";
}

Handshake::Handshake(bool is_client, Secret secret, VersionRange versions)
    : is_client_(is_client),
      step_(is_client ? Step::Challenge : Step::Hello),
      secret_(std::move(secret)),
      versions_(versions) {
  if (!secret_.empty())
    mac_.emplace(proof_key(secret_));
}

Handshake Handshake::client(ClientParams params) {
  Handshake handshake(true, std::move(params.secret), params.versions);
  handshake.hello_ = std::move(params.hello);
  handshake.begin_client(params.nonce);
  return handshake;
}

Handshake Handshake::server(ServerParams params) {
  Handshake handshake(false, std::move(params.secret), params.versions);
  handshake.server_job_ = std::move(params.job);
  handshake.server_generation_ = params.generation;
  handshake.server_incarnation_ = params.incarnation;
  handshake.admit_ = std::move(params.admit);
  if (handshake.secret_.empty()) {
    handshake.fail(Code::InvalidArgument, "a handshake needs the job's secret");
    return handshake;
  }
  if (params.nonce)
    handshake.nonce_ = *params.nonce;
  else if (const Status drawn = fill_random(handshake.nonce_); !drawn.is_ok())
    handshake.fail(drawn.code(), drawn.message());
  return handshake;
}

void Handshake::begin_client(const std::optional<Nonce>& nonce) {
  if (secret_.empty())
    return fail(Code::InvalidArgument, "a handshake needs the job's secret");
  if (hello_.job.size() > kMaxJobBytes || hello_.group.size() > kMaxGroupBytes)
    return fail(
        Code::InvalidArgument,
        fmt::format(
            "a job's name has at most {} bytes and a group's tag at most {}; these have {} and {}",
            kMaxJobBytes,
            kMaxGroupBytes,
            hello_.job.size(),
            hello_.group.size()));
  if (nonce)
    nonce_ = *nonce;
  else if (const Status drawn = fill_random(nonce_); !drawn.is_ok())
    return fail(drawn.code(), drawn.message());
  out_ = encode(hello_, versions_, nonce_);
  transcript_ = out_;
}

void Handshake::fail(Code code, std::string why) {
  step_ = Step::Done;
  status_ = Status(code, std::move(why));
}

Bytes Handshake::output() {
  return std::exchange(out_, {});
}

// Length of the message being read, as far as it is known.
size_t Handshake::target() const noexcept {
  switch (step_) {
    case Step::Hello: {
      if (in_.size() < kPrefixBytes)
        return kPrefixBytes;
      ByteReader prefix(in_);
      prefix.take(4);
      return prefix.get<uint16_t>();
    }
    case Step::Challenge:
      return kChallengeBytes;
    case Step::Proof:
      return kProofBytes;
    case Step::Admission:
      return sizeof(kAdmitted);
    case Step::Done:
      break;
  }
  return 0;
}

size_t Handshake::wants() const noexcept {
  return step_ == Step::Done ? 0 : target() - in_.size();
}

size_t Handshake::feed(ByteSpan bytes) {
  size_t used = 0;
  while (step_ != Step::Done && used < bytes.size()) {
    const size_t now = std::min(wants(), bytes.size() - used);
    in_.insert(in_.end(), bytes.begin() + used, bytes.begin() + used + now);
    used += now;
    step();
  }
  return used;
}

void Handshake::step() {
  switch (step_) {
    case Step::Hello:
      if (check_prefix() && in_.size() == target())
        on_hello();
      return;
    case Step::Challenge:
      if (!begins_with(kChallengeMagic))
        return fail(Code::InvalidArgument, "the answer is not that of a Farandole server");
      if (in_.size() == kChallengeBytes)
        on_challenge();
      return;
    case Step::Proof:
      if (in_.size() == kProofBytes)
        on_proof();
      return;
    case Step::Admission:
      return on_admission();
    case Step::Done:
      return;
  }
}

// As far as the bytes have come.
bool Handshake::begins_with(uint32_t magic) const noexcept {
  for (size_t i = 0; i < std::min<size_t>(in_.size(), 4); ++i)
    if (in_[i] != static_cast<uint8_t>(magic >> (24 - 8 * i)))
      return false;
  return true;
}

// Refuses junk at its first wrong byte, and a length before it is believed.
bool Handshake::check_prefix() {
  if (!begins_with(kHelloMagic)) {
    fail(Code::InvalidArgument, "the first bytes are not those of a Farandole handshake");
    return false;
  }
  if (in_.size() < kPrefixBytes)
    return true;
  const size_t length = target();
  if (length >= kPrefixBytes && length <= kMaxUnauthenticatedBytes - kProofBytes)
    return true;
  fail(Code::InvalidArgument, fmt::format("a hello of {} bytes is not acceptable", length));
  return false;
}

void Handshake::on_hello() {
  ByteReader prefix(in_);
  prefix.take(6);
  const VersionRange theirs{prefix.get<uint16_t>(), prefix.get<uint16_t>()};
  transcript_ = std::move(in_);
  in_.clear();
  if (theirs.min > theirs.max)
    return fail(Code::InvalidArgument, "the hello's range of versions is empty");
  version_ = std::min(theirs.max, versions_.max);
  if (version_ < std::max(theirs.min, versions_.min)) {
    version_ = 0;
    answer(Verdict::Version, theirs);
    return;
  }
  if (!decode(transcript_, hello_))
    return fail(Code::InvalidArgument, "the hello is malformed");
  answer(admit_(hello_), theirs);
}

void Handshake::answer(Verdict verdict, VersionRange theirs) {
  Bytes challenge;
  ByteWriter to(challenge);
  to.put(kChallengeMagic);
  to.put(static_cast<uint16_t>(kChallengeBytes));
  to.put(version_);
  to.put(static_cast<uint8_t>(verdict));
  to.put(uint8_t{0});
  to.put(versions_.min);
  to.put(versions_.max);
  to.put(server_generation_);
  to.put(server_incarnation_);
  to.put_bytes(nonce_);
  to.put_bytes(mac_->compute({as_bytes(kServerTag), transcript_, challenge}));
  transcript_.insert(transcript_.end(), challenge.begin(), challenge.end());
  out_ = std::move(challenge);
  step_ = Step::Proof;
  if (verdict == Verdict::Version)
    fail(
        Code::Mismatch,
        fmt::format(
            "the peer speaks protocol version {}, this rank {}",
            range_text(theirs),
            range_text(versions_)));
  not_yet_ = verdict == Verdict::NotYet;
  if (not_yet_)
    fail(Code::Mismatch, fmt::format("rank {} is ahead and was told to wait", hello_.rank));
  else if (verdict != Verdict::Admit && verdict != Verdict::Version)
    fail(
        Code::Mismatch,
        fmt::format(
            "refused a peer that calls itself rank {}: {}",
            hello_.rank,
            refusal(verdict, hello_, printable(server_job_, kMaxJobBytes))));
}

void Handshake::on_challenge() {
  ByteReader from(in_);
  from.get<uint32_t>();  // the magic, which has been looked at
  const uint16_t length = from.get<uint16_t>();
  version_ = from.get<uint16_t>();
  const uint8_t verdict = from.get<uint8_t>();
  const uint8_t reserved = from.get<uint8_t>();
  const VersionRange theirs{from.get<uint16_t>(), from.get<uint16_t>()};
  server_generation_ = from.get<uint32_t>();
  server_incarnation_ = from.get<uint64_t>();
  if (length != kChallengeBytes || reserved != 0 || verdict >= kVerdictCount)
    return fail(Code::InvalidArgument, "the answer is not that of a Farandole server");
  const ByteSpan said = ByteSpan(in_).first(kChallengeBytes - kDigestBytes);
  const Digest expected = mac_->compute({as_bytes(kServerTag), transcript_, said});
  const bool proved = equal_in_constant_time(expected, ByteSpan(in_).last(kDigestBytes));
  transcript_.insert(transcript_.end(), in_.begin(), in_.end());
  in_.clear();
  on_verdict(static_cast<Verdict>(verdict), proved, theirs);
}

void Handshake::on_verdict(Verdict verdict, bool proved, VersionRange theirs) {
  // Versions and job are named even by a peer that could not prove the secret: both are the
  // likely reason why it could not, and either way the connection ends here.
  if (verdict == Verdict::Version)
    return fail(
        Code::Mismatch,
        fmt::format(
            "this rank speaks protocol version {}, the peer {}",
            range_text(versions_),
            range_text(theirs)));
  if (!proved && verdict != Verdict::Job)
    return fail(Code::Mismatch, "the two ends do not hold the same secret");
  not_yet_ = verdict == Verdict::NotYet;
  if (not_yet_)
    return fail(
        Code::Mismatch,
        fmt::format(
            "the peer is still in generation {} of the job, this rank in {}",
            server_generation_,
            hello_.generation));
  if (verdict != Verdict::Admit)
    return fail(Code::Mismatch, refusal(verdict, hello_));
  if (version_ < versions_.min || version_ > versions_.max)
    return fail(
        Code::Mismatch,
        fmt::format(
            "this rank speaks protocol version {}, the peer chose {}",
            range_text(versions_),
            version_));
  const Digest proof = mac_->compute({as_bytes(kClientTag), transcript_});
  out_.assign(proof.begin(), proof.end());
  step_ = Step::Admission;
}

void Handshake::on_proof() {
  const Digest expected = mac_->compute({as_bytes(kClientTag), transcript_});
  if (!equal_in_constant_time(expected, in_))
    return fail(
        Code::Mismatch,
        fmt::format(
            "a peer that calls itself rank {} could not prove the job's secret", hello_.rank));
  out_.assign(1, kAdmitted);
  step_ = Step::Done;
}

void Handshake::on_admission() {
  if (in_.front() != kAdmitted)
    return fail(Code::InvalidArgument, "the server answered the proof with something else");
  step_ = Step::Done;
}

SessionKeys Handshake::keys() const {
  const Digest salt = sha256(transcript_);  // holds both nonces
  Secret to_server = hkdf(secret_, salt, as_bytes("farandole client to server"));
  Secret to_client = hkdf(secret_, salt, as_bytes("farandole server to client"));
  if (is_client_)
    return {std::move(to_server), std::move(to_client)};
  return {std::move(to_client), std::move(to_server)};
}

}  // namespace farandole::net

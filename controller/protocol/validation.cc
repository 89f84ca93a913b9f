#include "controller/protocol/validation.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "controller/protocol/ranks.h"
#include "core/base/format.h"
#include "core/request_check.h"

namespace farandole::control {
namespace {

// Different values that one message lists.
constexpr size_t kMaxValues = 4;

struct Members {
  const std::string& name;
  std::span<const int> ranks;
  std::span<const Signature> signatures;
  std::span<const int> joined;

  const Signature& first() const { return signatures.front(); }
  size_t count() const { return ranks.size() + joined.size(); }
  // Among all members.
  size_t place_of(int rank) const {
    const auto below = [rank](std::span<const int> of) {
      return std::lower_bound(of.begin(), of.end(), rank) - of.begin();
    };
    return static_cast<size_t>(below(ranks) + below(joined));
  }
  bool has_joined(int rank) const { return std::binary_search(joined.begin(), joined.end(), rank); }
};

std::string list_text(std::span<const int64_t> values) {
  return fmt::format("[{}]", fmt::join(values, ", "));
}

std::string shape_text(const Signature& s) {
  return list_text(s.shape);
}

// All but the first dimension, which may differ.
std::string tail_text(const Signature& s) {
  if (s.shape.size() < 2)
    return s.shape.empty() ? "[]" : "[*]";
  return fmt::format("[*, {}]", fmt::join(s.shape.begin() + 1, s.shape.end(), ", "));
}

std::string subject(const Members& m) {
  return describe(m.first().kind, m.name);
}

// "rank 2 has", "ranks 1 and 2 have".
std::string who_has(std::span<const int> ranks) {
  return rank_list({ranks.begin(), ranks.end()}) + (ranks.size() == 1 ? " has" : " have");
}

template <typename Text>
std::string who_has_what(const Members& m, Text text) {
  std::vector<std::pair<std::string, std::vector<int>>> groups;
  size_t others = 0;
  for (size_t i = 0; i < m.ranks.size(); ++i) {
    std::string value = text(m.signatures[i]);
    const auto same = [&](const auto& group) { return group.first == value; };
    const auto it = std::find_if(groups.begin(), groups.end(), same);
    if (it != groups.end())
      it->second.push_back(m.ranks[i]);
    else if (groups.size() < kMaxValues)
      groups.emplace_back(std::move(value), std::vector<int>{m.ranks[i]});
    else
      ++others;
  }
  std::string out;
  for (const auto& [value, ranks] : groups)
    out += fmt::format(
        "{}{} {} {}",
        out.empty() ? "" : ", ",
        rank_list(ranks),
        ranks.size() == 1 ? "has" : "have",
        value);
  if (others > 0)
    out += fmt::format(", {} more have others", others);
  return out;
}

// Ok where all members have the same text. `remedy` ends the error.
template <typename Text>
Status same(const Members& m, std::string_view what, Text text, std::string_view remedy) {
  const std::string wanted = text(m.first());
  for (const Signature& s : m.signatures)
    if (text(s) != wanted)
      return error(
          Code::Mismatch,
          "{}: ranks disagree on {}: {}; {}",
          subject(m),
          what,
          who_has_what(m, text),
          remedy);
  return Status::ok();
}

Status same_kind(const Members& m) {
  const auto text = [](const Signature& s) { return std::string(name_of(s.kind)); };
  for (const Signature& s : m.signatures)
    if (s.kind != m.first().kind)
      return error(
          Code::Mismatch,
          "\"{}\": ranks disagree on operation: {}; {}",
          printable(m.name),
          who_has_what(m, text),
          is_carried(m.first().kind) ? "give unlike operations unlike names"
                                     : "change process sets in one order on every rank");
  return Status::ok();
}

Status same_tail(const Members& m) {
  for (size_t i = 0; i < m.ranks.size(); ++i)
    if (m.signatures[i].shape.empty())
      return error(
          Code::InvalidArgument,
          "{}: rank {} has a 0-dim tensor; at least one dimension is wanted",
          subject(m),
          m.ranks[i]);
  return same(m, "shape", tail_text, "give tensors alike in all dimensions but the first");
}

// What the elements are, and where.
Status check_elements(const Members& m) {
  if (m.first().kind != CollectiveKind::Scatter)
    FARANDOLE_RETURN_IF_ERROR(same(
        m,
        "dtype",
        [](const Signature& s) { return std::string(name_of(s.dtype)); },
        "give tensors of one dtype, and compress alike, on every rank"));
  return same(
      m,
      "device",
      [](const Signature& s) { return std::string(name_of(s.device.type)); },
      kOneDevice);
}

Status check_reduction(const Members& m) {
  FARANDOLE_RETURN_IF_ERROR(same(
      m,
      "reduce op",
      [](const Signature& s) { return std::string(name_of(s.reduce)); },
      "call it with one op on every rank"));
  FARANDOLE_RETURN_IF_ERROR(same(
      m,
      "prescale",
      [](const Signature& s) { return fmt::format("{}", s.prescale); },
      "call it with one prescale factor on every rank"));
  FARANDOLE_RETURN_IF_ERROR(same(
      m,
      "postscale",
      [](const Signature& s) { return fmt::format("{}", s.postscale); },
      "call it with one postscale factor on every rank"));
  const Signature& s = m.first();
  if (!takes(s.kind, s.reduce))
    return error(
        Code::InvalidArgument, "{}: {} belongs to allreduce alone", subject(m), name_of(s.reduce));
  if (!has_meaning(s.reduce, s.dtype))
    return error(
        Code::Unsupported,
        "{}: {} has no meaning for {}",
        subject(m),
        name_of(s.reduce),
        name_of(s.dtype));
  if (!m.joined.empty() && s.reduce == ReduceOp::Product && s.prescale != 1.0)
    return error(
        Code::Mismatch,
        "{}: {} joined, and nothing that is scaled by {} leaves a product as it is; scale the "
        "tensors themselves",
        subject(m),
        who_has(m.joined),
        s.prescale);
  return Status::ok();
}

Status check_root(const Members& m) {
  FARANDOLE_RETURN_IF_ERROR(same(
      m,
      "root rank",
      [](const Signature& s) { return fmt::format("{}", s.root); },
      "call it with one root rank on every rank"));
  if (m.has_joined(m.first().root))
    return error(
        Code::Mismatch,
        "{}: its root, rank {}, {}",
        subject(m),
        m.first().root,
        ends_at_root(m.first().kind) ? "has joined and receives nothing"
                                     : "has joined and sends nothing");
  if (std::find(m.ranks.begin(), m.ranks.end(), m.first().root) == m.ranks.end())
    return error(
        Code::InvalidArgument,
        "{}: root rank {} is not in process set {}",
        subject(m),
        m.first().root,
        m.first().process_set);
  return Status::ok();
}

// Whether `rows` rows of the tensor's tail have a number of bytes that exists.
bool addressable(const Signature& s, int64_t rows) {
  int64_t bytes = static_cast<int64_t>(size_of(s.dtype));
  for (size_t d = 1; d < s.shape.size(); ++d)
    if (__builtin_mul_overflow(bytes, s.shape[d], &bytes))
      return false;
  return !__builtin_mul_overflow(bytes, rows, &bytes);
}

Status too_large(const Members& m) {
  return error(
      Code::InvalidArgument, "{}: all parts together have more than 2^63 bytes", subject(m));
}

Result<std::vector<int64_t>> gather_extents(const Members& m) {
  FARANDOLE_RETURN_IF_ERROR(same_tail(m));
  std::vector<int64_t> rows(m.count());
  int64_t total = 0;
  for (size_t i = 0; i < m.ranks.size(); ++i) {
    const Signature& s = m.signatures[i];
    rows[m.place_of(m.ranks[i])] = s.shape[0];
    if (__builtin_add_overflow(total, s.shape[0], &total))
      return too_large(m);
  }
  if (!addressable(m.first(), total))
    return too_large(m);
  return rows;
}

// Rows that the root of a scatter has for those that have joined are rows for nobody.
Status check_receivers(const Members& m, std::span<const int64_t> rows, int from) {
  for (const int gone : m.joined)
    if (rows[m.place_of(gone)] != 0)
      return error(
          Code::Mismatch,
          "{}: rank {} has joined and receives nothing, but rank {} has rows for it",
          subject(m),
          gone,
          from);
  return Status::ok();
}

Status check_splits(const Members& m, size_t place) {
  const Signature& s = m.signatures[place];
  const size_t n = m.count();
  if (s.splits.empty()) {
    if (s.shape[0] % static_cast<int64_t>(n) == 0)
      return Status::ok();
    return error(
        Code::InvalidArgument,
        "{}: rank {} has {} rows, which {} members cannot share equally; splits are wanted",
        subject(m),
        m.ranks[place],
        s.shape[0],
        n);
  }
  if (s.splits.size() != n)
    return error(
        Code::InvalidArgument,
        "{}: rank {} has {} splits for {} members",
        subject(m),
        m.ranks[place],
        s.splits.size(),
        n);
  int64_t sum = 0;
  for (const int64_t rows : s.splits)
    if (rows < 0 || __builtin_add_overflow(sum, rows, &sum))
      return too_large(m);
  if (sum == s.shape[0])
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "{}: the splits of rank {} sum to {}, but it has {} rows",
      subject(m),
      m.ranks[place],
      sum,
      s.shape[0]);
}

Result<std::vector<int64_t>> exchange_extents(const Members& m) {
  FARANDOLE_RETURN_IF_ERROR(same_tail(m));
  const size_t n = m.count();
  std::vector<int64_t> rows(n * n);
  for (size_t i = 0; i < m.ranks.size(); ++i) {
    FARANDOLE_RETURN_IF_ERROR(check_splits(m, i));
    const Signature& s = m.signatures[i];
    const auto own = rows.begin() + static_cast<ptrdiff_t>(m.place_of(m.ranks[i]) * n);
    if (s.splits.empty())
      std::fill_n(own, n, s.shape[0] / static_cast<int64_t>(n));
    else
      std::ranges::copy(s.splits, own);
    FARANDOLE_RETURN_IF_ERROR(check_receivers(m, {own, n}, m.ranks[i]));
  }
  // Together, although no member gets all of them: whoever is told them counts them so.
  int64_t total = 0;
  for (const int64_t count : rows)
    if (__builtin_add_overflow(total, count, &total))
      return too_large(m);
  if (!addressable(m.first(), total))
    return too_large(m);
  return rows;
}

// The root alone knows what there is. Requires: check_root().
Result<std::vector<int64_t>> scatter_extents(const Members& m) {
  const auto place = static_cast<size_t>(
      std::find(m.ranks.begin(), m.ranks.end(), m.first().root) - m.ranks.begin());
  const Signature& s = m.signatures[place];
  const auto n = static_cast<int64_t>(m.count());
  if (s.shape.empty())
    return error(
        Code::InvalidArgument,
        "{}: rank {} has a 0-dim tensor; at least one dimension is wanted",
        subject(m),
        s.root);
  FARANDOLE_RETURN_IF_ERROR(check_splits(m, place));
  std::vector<int64_t> extents{
      static_cast<int64_t>(s.dtype), s.operand.empty() ? 0 : s.operand.front()};
  if (s.splits.empty())
    extents.insert(extents.end(), m.count(), s.shape[0] / n);
  else
    extents.insert(extents.end(), s.splits.begin(), s.splits.end());
  FARANDOLE_RETURN_IF_ERROR(check_receivers(m, std::span(extents).subspan(2), s.root));
  extents.insert(extents.end(), s.shape.begin() + 1, s.shape.end());
  int64_t sum = 0;  // what travels has one that exists
  for (const int64_t extent : extents)
    if (__builtin_add_overflow(sum, extent, &sum))
      return too_large(m);
  if (!addressable(s, s.shape[0]))
    return too_large(m);
  return extents;
}

// What adds or removes a process set.
Status check_operand(const Members& m) {
  const bool adds = m.first().kind == CollectiveKind::AddProcessSet;
  FARANDOLE_RETURN_IF_ERROR(same(
      m,
      adds ? "its ranks" : "its id",
      [](const Signature& s) { return list_text(s.operand); },
      adds ? "give one list of ranks on every rank" : "remove one process set on every rank"));
  if (m.joined.empty())
    return Status::ok();
  return error(
      Code::Mismatch, "{}: {} joined, and all ranks are needed", subject(m), who_has(m.joined));
}

}  // namespace

Result<std::vector<int64_t>> validate(
    const std::string& name,
    std::span<const int> ranks,
    std::span<const Signature> signatures,
    std::span<const int> joined) {
  const Members m{name, ranks, signatures, joined};
  FARANDOLE_RETURN_IF_ERROR(same_kind(m));
  const CollectiveKind kind = m.first().kind;
  if (kind == CollectiveKind::AddProcessSet || kind == CollectiveKind::RemoveProcessSet)
    FARANDOLE_RETURN_IF_ERROR(check_operand(m));
  if (kind == CollectiveKind::Barrier || !is_carried(kind))
    return std::vector<int64_t>{};
  if (kind == CollectiveKind::Message)
    return validate_message(name, ranks, signatures, joined);
  FARANDOLE_RETURN_IF_ERROR(check_elements(m));
  if (kind == CollectiveKind::Allgather)
    return gather_extents(m);
  if (kind == CollectiveKind::Alltoall)
    return exchange_extents(m);
  if (kind == CollectiveKind::Gather || kind == CollectiveKind::Scatter) {
    FARANDOLE_RETURN_IF_ERROR(check_root(m));
    return kind == CollectiveKind::Gather ? gather_extents(m) : scatter_extents(m);
  }
  FARANDOLE_RETURN_IF_ERROR(
      same(m, "shape", shape_text, "give tensors of one shape on every rank"));
  if (has_root(kind))
    FARANDOLE_RETURN_IF_ERROR(check_root(m));
  if (kind == CollectiveKind::Reducescatter && m.first().shape.empty())
    FARANDOLE_RETURN_IF_ERROR(same_tail(m));
  if (reduces(kind))
    FARANDOLE_RETURN_IF_ERROR(check_reduction(m));
  return std::vector<int64_t>{};
}

uint64_t input_bytes(const Signature& signature) noexcept {
  uint64_t bytes = size_of(signature.dtype);
  for (const int64_t n : signature.shape)
    if (n == 0)
      return 0;
  for (const int64_t n : signature.shape)
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(n), &bytes))
      return std::numeric_limits<uint64_t>::max();
  return bytes;
}

}  // namespace farandole::control

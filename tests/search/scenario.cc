#include "tests/search/scenario.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/format.h"
#include "tests/support/way_of_name.h"

namespace farandole::search {
namespace {

Op allreduce(std::string name, int64_t rows, int after = -1) {
  Op op{.name = std::move(name), .process_set = 0, .signature = {}, .after = after};
  for (Signature& s : op.signature) s.shape = {rows};
  return op;
}

// Rank r has `rows` + r rows.
Op allgather(std::string name, int64_t rows, int after = -1) {
  Op op = allreduce(std::move(name), rows, after);
  for (int rank = 0; rank < kRanks; ++rank) {
    Signature& s = op.signature[static_cast<size_t>(rank)];
    s.kind = CollectiveKind::Allgather;
    s.shape = {rows + rank, 2};
  }
  return op;
}

// Rank 1 has `rows` rows for each rank, and so many more for the last.
Op scatter(std::string name, int64_t rows, int64_t more, int after = -1) {
  Op op = allreduce(std::move(name), rows, after);
  for (Signature& s : op.signature) s = {.kind = CollectiveKind::Scatter, .root = 1};
  Signature& root = op.signature[1];
  root.splits = {rows, rows, rows + more};
  root.shape = {kRanks * rows + more, 2};
  return op;
}

// The receiver has memory for so many rows.
Op message(const std::string& name, Way way, int64_t rows, int after = -1) {
  Op op = allreduce(with_way(name, way), rows, after);
  Signature& sent = op.signature[at(way.from)];
  sent.kind = CollectiveKind::Message;
  sent.root = way.from;
  sent.operand = {way.to};
  op.signature[at(way.to)] = of_receiver(sent, true);
  return op;
}

Op of_pair(Op op) {
  op.process_set = 1;
  for (Signature& s : op.signature) s.process_set = 1;
  return op;
}

Op join(int after = -1) {
  Op op = allreduce("", 0, after);
  for (Signature& s : op.signature) s = {.kind = CollectiveKind::Join};
  return op;
}

Op change(std::string name, CollectiveKind kind, std::vector<int64_t> operand, int after = -1) {
  Op op = allreduce(std::move(name), 0, after);
  for (Signature& s : op.signature) s = {.kind = kind, .operand = operand};
  return op;
}

Op of_added(Op op) {
  op.process_set = kFirstAdded;
  for (Signature& s : op.signature) s.process_set = kFirstAdded;
  return op;
}

std::string text_of(const Fault& fault, const std::vector<Op>& ops) {
  switch (fault.kind) {
    case FaultKind::Kill:
      return fmt::format("kill {}", fault.rank);
    case FaultKind::CutUp:
      return fmt::format("cut {}->0", fault.rank);
    case FaultKind::CutDown:
      return fmt::format("cut 0->{}", fault.rank);
    case FaultKind::Silent:
      return fmt::format("silent {}", fault.rank);
    case FaultKind::GiveUp:
      return fmt::format("{} gives up 0", fault.rank);
    case FaultKind::Leave:
      return fmt::format("leave {}", fault.rank);
    case FaultKind::Mismatch:
      return fmt::format(
          "{} misfits in {}", fault.rank, ops[static_cast<size_t>(fault.other)].name);
    case FaultKind::Accuse:
      return fmt::format("{} accuses {}", fault.rank, fault.other);
    case FaultKind::Busy:
      return "busy";
  }
  return "";
}

std::vector<Fault> all_faults(const std::vector<Op>& ops) {
  std::vector<Fault> out{{FaultKind::Busy}};
  for (int rank = 0; rank < kRanks; ++rank) {
    out.push_back({FaultKind::Kill, rank});
    out.push_back({FaultKind::Leave, rank});
    for (int other = 0; other < kRanks; ++other)
      if (other != rank)
        out.push_back({FaultKind::Accuse, rank, other});
    for (size_t op = 0; op < ops.size(); ++op)
      if (submits(ops[op], rank) && !ops[op].name.empty())
        out.push_back({FaultKind::Mismatch, rank, static_cast<int>(op)});
    if (rank == 0)
      continue;
    for (const FaultKind kind :
         {FaultKind::CutUp, FaultKind::CutDown, FaultKind::Silent, FaultKind::GiveUp})
      out.push_back({kind, rank});
  }
  return out;
}

// A rank dies once, leaves once, and so on; two misfits of one rank in one tensor are one.
bool can_meet(const Fault& a, const Fault& b) {
  return a.kind != b.kind || a.rank != b.rank ||
         (a.kind == FaultKind::Mismatch && a.other != b.other);
}

void apply(Scenario& scenario, const Fault& fault) {
  scenario.name += (scenario.faults.empty() ? "" : ", ") + text_of(fault, scenario.ops);
  scenario.faults.push_back(fault);
  if (fault.kind != FaultKind::Mismatch)
    return;
  Signature& s =
      scenario.ops[static_cast<size_t>(fault.other)].signature[static_cast<size_t>(fault.rank)];
  if (s.kind == CollectiveKind::Scatter)
    s.root = 2;
  else if (is_carried(s.kind))
    s.shape.push_back(7);
  else
    s.operand.back() = 2;
}

Scenario plain(std::string name, std::vector<Op> ops) {
  return {.name = std::move(name), .limits = {}, .ops = std::move(ops), .faults = {}};
}

std::vector<Scenario> with_faults(Scenario base, size_t most = 2) {
  const std::vector<Fault> faults = all_faults(base.ops);
  std::vector<Scenario> out;
  const std::string family = base.name;
  base.limits.size = kRanks;
  base.limits.max_pending = 3;
  base.limits.store_bytes = 64;
  base.name = family + ": ";
  out.push_back(base);
  out.back().name += "no fault";
  out.back().probe = true;
  for (size_t i = 0; i < faults.size() && most > 0; ++i) {
    Scenario one = base;
    apply(one, faults[i]);
    out.push_back(one);
    for (size_t j = i + 1; j < faults.size(); ++j) {
      if (most < 2 || !can_meet(faults[i], faults[j]))
        continue;
      Scenario two = one;
      apply(two, faults[j]);
      out.push_back(std::move(two));
    }
  }
  // Fewer faults first.
  std::ranges::stable_sort(out, {}, [](const Scenario& s) { return s.faults.size(); });
  return out;
}

void add(std::vector<Scenario> more, std::vector<Scenario>& to) {
  std::ranges::move(more, std::back_inserter(to));
}

}  // namespace

bool Scenario::has(FaultKind kind, int rank) const {
  return std::ranges::any_of(
      faults, [&](const Fault& fault) { return fault.kind == kind && fault.rank == rank; });
}

std::vector<Scenario> agreement_scenarios() {
  return with_faults(
      plain("agreement", {allreduce("a", 4), allgather("b", 1), of_pair(allreduce("c", 4))}));
}

std::vector<Scenario> cache_scenarios() {
  Scenario base = plain("cache", {allgather("a", 1), allreduce("b", 4), allgather("a", 1, 0)});
  // One rank's rows change.
  base.ops[2].signature[1].shape[0] = 5;
  base.limits.cache_capacity = 1;
  return with_faults(std::move(base));
}

std::vector<Scenario> store_scenarios() {
  Scenario base = plain("store", {allreduce("a", 4)});
  base.store = true;
  return with_faults(std::move(base));
}

std::vector<Scenario> join_scenarios() {
  std::vector<Scenario> all = with_faults(
      plain("join", {allreduce("a", 4), allgather("b", 1), join(), allreduce("c", 4, 2)}), 1);
  Scenario cached =
      plain("join, cache", {allgather("a", 1), allreduce("b", 4), allgather("a", 1, 0), join()});
  cached.limits.cache_capacity = 1;
  add(with_faults(std::move(cached), 0), all);
  return all;
}

std::vector<Scenario> set_scenarios() {
  using enum CollectiveKind;
  std::vector<Scenario> all = with_faults(plain(
      "sets",
      {change("+", AddProcessSet, {0, 1}),
       change("-", RemoveProcessSet, {kFirstAdded}, 0),
       change("+2", AddProcessSet, {0, 1}, 1),
       of_added(allreduce("c", 4, 0))}));
  // "a" is evicted by "b", and may be announced by its id before the rank hears of that.
  Scenario cached = plain(
      "sets, cache",
      {change("+", AddProcessSet, {0, 1}),
       of_added(allreduce("a", 4, 0)),
       allreduce("b", 4),
       of_added(allreduce("a", 4, 1)),
       change("-", RemoveProcessSet, {kFirstAdded}, 0)});
  cached.limits.cache_capacity = 1;
  add(with_faults(std::move(cached), 0), all);
  return all;
}

std::vector<Scenario> scatter_scenarios() {
  Scenario base = plain("scatter", {scatter("a", 1, 0), allreduce("b", 4), scatter("a", 1, 0, 0)});
  // What another rank than the root says does not matter, but that rank says it in full.
  base.ops[2].signature[2].shape = {7};
  base.limits.cache_capacity = 1;
  std::vector<Scenario> all = with_faults(std::move(base));
  add(with_faults(plain("scatter, join", {scatter("a", 1, 0), join()}), 0), all);
  return all;
}

std::vector<Scenario> message_scenarios() {
  Scenario base = plain(
      "message",
      {message("a", {0, 1}, 4),
       message("a", {1, 0}, 4),
       allreduce("b", 4),
       message("a", {0, 1}, 4, 0)});
  // What is sent changes, and the memory for it does not.
  base.ops[3].signature[0].shape = {5};
  base.limits.cache_capacity = 1;
  std::vector<Scenario> all = with_faults(std::move(base), 1);
  Scenario joined =
      plain("message, join", {message("a", {1, 2}, 4), message("c", {2, 1}, 4), join()});
  joined.ops[1].signature[1] = of_receiver(joined.ops[1].signature[2]);
  add(with_faults(std::move(joined), 0), all);
  return all;
}

std::vector<Scenario> group_scenarios() {
  const auto of = [](int rank, Op op) {
    for (int other = 0; other < kRanks; ++other) op.unlike[at(other)] = other != rank;
    return op;
  };
  Scenario base = plain(
      "group",
      {of(0, allreduce("g [1/2]", 4)),
       of(0, allreduce("g [2/2]", 4)),
       of(1, allreduce("g [1/1]", 4)),
       of(2, allreduce("g", 4)),
       allreduce("g", 4)});
  base.ops.back().ends = 0xF;
  base.limits.cache_capacity = 1;
  std::vector<Scenario> all = with_faults(std::move(base));
  Scenario joined = plain(
      "group, join",
      {of(0, allreduce("g [1/2]", 4)),
       of(0, allreduce("g [2/2]", 4)),
       of(1, allreduce("g", 4)),
       join()});
  add(with_faults(std::move(joined), 1), all);
  return all;
}

bool takes_part(uint32_t process_set, const std::string& name, int rank) {
  const Way way = testing::way_of_name(name);
  return way.any() ? rank == way.from || rank == way.to : is_member(process_set, rank);
}

Signatures all_of(const PerRank<Signature>& signature) {
  Signatures all;
  std::ranges::copy(signature, all.begin());
  return all;
}

namespace {

// Of a scatter of all ranks: the root has what all need, and rows for nobody who is not there.
std::optional<std::vector<int64_t>> scattered_extents(const Signatures& signature) {
  const Signature* root = nullptr;
  for (int rank = 0; rank < kRanks; ++rank) {
    const std::optional<Signature>& own = signature[static_cast<size_t>(rank)];
    if (own && (own->kind != CollectiveKind::Scatter || own->root != 1))
      return std::nullopt;
    if (own && rank == 1)
      root = &*own;
  }
  if (root == nullptr)
    return std::nullopt;
  std::vector<int64_t> extents{static_cast<int64_t>(root->dtype), 0};
  for (size_t rank = 0; rank < kRanks; ++rank) {
    if (!signature[rank] && root->splits[rank] != 0)
      return std::nullopt;
    extents.push_back(root->splits[rank]);
  }
  extents.insert(extents.end(), root->shape.begin() + 1, root->shape.end());
  return extents;
}

// Of a message: both its ends are needed, and what is sent fits the memory for it, if there is any.
std::optional<std::vector<int64_t>> sent_extents(const Signatures& signature) {
  const Signature* sent = nullptr;
  const Signature* wanted = nullptr;
  for (int rank = 0; rank < kRanks; ++rank)
    if (const auto& own = signature[at(rank)]; own && own->kind == CollectiveKind::Message)
      (own->root == rank ? sent : wanted) = &*own;
  if (sent == nullptr || wanted == nullptr)
    return std::nullopt;
  if (wanted->operand.size() == 2 && wanted->shape != sent->shape)
    return std::nullopt;
  std::vector<int64_t> extents{static_cast<int64_t>(sent->dtype), 0};
  extents.insert(extents.end(), sent->shape.begin(), sent->shape.end());
  return extents;
}

}  // namespace

std::optional<std::vector<int64_t>> agreed_extents(
    uint32_t process_set, const Signatures& signature) {
  if (std::ranges::any_of(
          signature, [](const auto& own) { return own && own->kind == CollectiveKind::Message; }))
    return sent_extents(signature);
  if (std::ranges::any_of(
          signature, [](const auto& own) { return own && own->kind == CollectiveKind::Scatter; }))
    return scattered_extents(signature);
  std::vector<int64_t> rows;
  std::optional<Signature> first;
  for (int rank = 0; rank < kRanks; ++rank) {
    if (!is_member(process_set, rank))
      continue;
    std::optional<Signature> own = signature[static_cast<size_t>(rank)];
    const bool gathers = own && own->kind == CollectiveKind::Allgather;
    rows.push_back(gathers ? std::exchange(own->shape.at(0), 0) : 0);
    if (!own)
      continue;
    if (first && *own != *first)
      return std::nullopt;
    first = own;
  }
  return first && first->kind == CollectiveKind::Allgather ? rows : std::vector<int64_t>{};
}

}  // namespace farandole::search

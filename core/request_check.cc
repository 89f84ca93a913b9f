#include "core/request_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/format.h"
#include "core/way.h"

namespace farandole {
namespace {

template <typename... Args>
Status wrong(const Request& r, fmt::format_string<Args...> text, Args&&... args) {
  return {
      Code::InvalidArgument,
      describe(r.signature.kind, r.name) + ": " + fmt::format(text, std::forward<Args>(args)...)};
}

bool receives(const Signature& s, int rank) {
  return s.kind == CollectiveKind::Message && s.root != rank;
}

Status check_shape(const Request& r, const RequestLimits& limits) {
  const std::vector<int64_t>& shape = r.signature.shape;
  if (static_cast<int64_t>(shape.size()) > limits.max_dims)
    return wrong(
        r, "{} dimensions are too many; at most {} are supported", shape.size(), limits.max_dims);
  int64_t bytes = static_cast<int64_t>(size_of(r.signature.dtype));
  for (const int64_t extent : shape) {
    if (extent < 0)
      return wrong(r, "shape [{}] has a negative extent", fmt::join(shape, ", "));
    // Whatever one of them is, the others have to be sane on their own.
    if (extent != 0 && __builtin_mul_overflow(bytes, extent, &bytes))
      return wrong(r, "shape [{}] does not fit into memory", fmt::join(shape, ", "));
  }
  const CollectiveKind kind = r.signature.kind;
  const bool needs_rows = gathers(kind) || kind == CollectiveKind::Reducescatter ||
                          kind == CollectiveKind::Alltoall || kind == CollectiveKind::Scatter;
  if (needs_rows && shape.empty())
    return wrong(r, "a 0-dim tensor has no rows to distribute; reshape it to [1]");
  const bool reads = kind != CollectiveKind::Barrier && !receives(r.signature, limits.rank);
  if (reads && element_count(shape) > 0 && r.in == nullptr)
    return wrong(r, "input is null, but the shape is [{}]", fmt::join(shape, ", "));
  return Status::ok();
}

// Of the output as far as it is known before all ranks are heard: its first byte at least.
int64_t known_output_bytes(const Request& r, int64_t input_bytes, int members) {
  switch (r.signature.kind) {
    case CollectiveKind::Allreduce:
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce:
      return input_bytes;
    case CollectiveKind::Reducescatter:
      return input_bytes / members;
    default:
      return 1;
  }
}

// In place means the same memory, where result and input have one shape; anything else would be
// read after it was written.
Status check_overlap(const Request& r, const RequestLimits& limits) {
  const int64_t bytes =
      element_count(r.signature.shape) * static_cast<int64_t>(size_of(r.signature.dtype));
  const bool written_here = !ends_at_root(r.signature.kind) || r.signature.root == limits.rank;
  const CollectiveKind kind = r.signature.kind;
  const bool takes_in_place = kind == CollectiveKind::Allreduce ||
                              kind == CollectiveKind::Broadcast || kind == CollectiveKind::Reduce;
  if (!r.in || !r.out || (takes_in_place && r.in == r.out) || bytes == 0 || !written_here)
    return Status::ok();
  const auto in = reinterpret_cast<uintptr_t>(r.in);
  const auto out = reinterpret_cast<uintptr_t>(r.out);
  const int64_t written = known_output_bytes(r, bytes, static_cast<int>(limits.members));
  if (out >= in + static_cast<uintptr_t>(bytes) || in >= out + static_cast<uintptr_t>(written))
    return Status::ok();
  return wrong(
      r,
      "input and output overlap; give {}memory apart from it",
      takes_in_place ? "the same memory (in place), or " : "");
}

Status check_splits(const Request& r, const RequestLimits& limits) {
  const auto& [splits, shape] = std::tie(r.signature.splits, r.signature.shape);
  if (r.signature.kind != CollectiveKind::Alltoall && r.signature.kind != CollectiveKind::Scatter)
    return splits.empty() ? Status::ok() : wrong(r, "splits belong to alltoall and scatter alone");
  if (splits.empty()) {
    return shape[0] % limits.members == 0
               ? Status::ok()
               : wrong(
                     r,
                     "{} rows cannot be split evenly over {} ranks; give splits",
                     shape[0],
                     limits.members);
  }
  if (static_cast<int64_t>(splits.size()) != limits.members)
    return wrong(
        r, "{} splits for {} ranks; one for each is wanted", splits.size(), limits.members);
  int64_t left = shape[0];
  for (const int64_t rows : splits) {
    if (rows < 0)
      return wrong(r, "splits [{}] contain a negative number", fmt::join(splits, ", "));
    if (rows > left)
      return wrong(
          r,
          "splits [{}] ask for more than the tensor's {} rows",
          fmt::join(splits, ", "),
          shape[0]);
    left -= rows;
  }
  return left == 0 ? Status::ok()
                   : wrong(
                         r,
                         "splits [{}] leave {} of {} rows over",
                         fmt::join(splits, ", "),
                         left,
                         shape[0]);
}

Status check_reduction(const Request& r) {
  const Signature& s = r.signature;
  const bool scaled = s.prescale != 1.0 || s.postscale != 1.0;
  if (!reduces(s.kind))
    return scaled ? wrong(r, "scale factors belong to operations that reduce") : Status::ok();
  if (!std::isfinite(s.prescale) || !std::isfinite(s.postscale))
    return wrong(r, "scale factors must be finite, not {} and {}", s.prescale, s.postscale);
  if (!takes(s.kind, s.reduce))
    return wrong(r, "{} belongs to allreduce alone", name_of(s.reduce));
  if (!has_meaning(s.reduce, s.dtype))
    return wrong(
        r,
        "{} has no meaning for {}; {} have",
        name_of(s.reduce),
        name_of(s.dtype),
        meaningful_ops(s.dtype));
  if (scaled && s.dtype == DType::Bool)
    return wrong(r, "bool cannot be scaled; leave out the factors, or convert to a number");
  return Status::ok();
}

Status check_root(const Request& r, const RequestLimits& limits) {
  const int root = r.signature.root;
  const bool among_all = limits.ranks.empty();
  if (among_all && (root < 0 || root >= limits.members))
    return wrong(r, "root rank {} does not exist; ranks are 0 to {}", root, limits.members - 1);
  if (!among_all && !std::binary_search(limits.ranks.begin(), limits.ranks.end(), root)) {
    if (limits.members == limits.size)
      return wrong(r, "root rank {} does not exist; ranks are 0 to {}", root, limits.size - 1);
    return wrong(
        r,
        "root rank {} is not in process set {}, whose ranks are {}",
        root,
        r.signature.process_set,
        fmt::join(limits.ranks, ", "));
  }
  return Status::ok();
}

Status check_end(const Request& r, const RequestLimits& limits, int64_t rank, const char* what) {
  const bool among_all = limits.ranks.empty() || limits.members == limits.size;
  const int size = limits.ranks.empty() ? limits.members : limits.size;
  const bool exists = rank >= 0 && rank < size;
  if (!exists)
    return wrong(r, "rank {}, {}, does not exist; ranks are 0 to {}", rank, what, size - 1);
  if (among_all || std::ranges::count(limits.ranks, rank) > 0)
    return Status::ok();
  return wrong(
      r,
      "rank {}, {}, is not in process set {}, whose ranks are {}",
      rank,
      what,
      r.signature.process_set,
      fmt::join(limits.ranks, ", "));
}

Status check_ends(const Request& r, const RequestLimits& limits) {
  const Signature& s = r.signature;
  if (s.operand.empty() || s.operand.size() > 2)
    return wrong(
        r,
        "it tells {} numbers: the rank to which it goes is wanted, and one more at most",
        s.operand.size());
  FARANDOLE_RETURN_IF_ERROR(check_end(r, limits, s.root, "from which it comes"));
  FARANDOLE_RETURN_IF_ERROR(check_end(r, limits, s.operand[0], "to which it goes"));
  if (s.root == s.operand[0])
    return wrong(r, "rank {} would send to itself; copy the tensor instead", s.root);
  if (limits.rank == s.root || limits.rank == s.operand[0])
    return Status::ok();
  return wrong(
      r,
      "rank {} neither sends nor receives it; that is for ranks {} and {}",
      limits.rank,
      s.root,
      s.operand[0]);
}

// Of the shape, where this rank says any.
Status check_message(const Request& r, const RequestLimits& limits) {
  FARANDOLE_RETURN_IF_ERROR(check_ends(r, limits));
  if (receives(r.signature, limits.rank) && r.out == nullptr)
    return Status::ok();
  FARANDOLE_RETURN_IF_ERROR(check_shape(r, limits));
  FARANDOLE_RETURN_IF_ERROR(check_splits(r, limits));
  return check_reduction(r);
}

Status check_added(const Request& r, const RequestLimits& limits) {
  const std::vector<int64_t>& ranks = r.signature.operand;
  if (ranks.empty())
    return wrong(r, "a process set needs one rank at least");
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i] < 0 || ranks[i] >= limits.size)
      return wrong(r, "rank {} does not exist; ranks are 0 to {}", ranks[i], limits.size - 1);
    if (i > 0 && ranks[i] == ranks[i - 1])
      return wrong(r, "rank {} stands there twice", ranks[i]);
    if (i > 0 && ranks[i] < ranks[i - 1])
      return wrong(r, "its ranks [{}] do not ascend", fmt::join(ranks, ", "));
  }
  return Status::ok();
}

// A join, or what adds or removes a process set.
Status check_change(const Request& r, const RequestLimits& limits) {
  const Signature& s = r.signature;
  if (s.kind == CollectiveKind::Join)
    return r.name.empty() ? Status::ok() : wrong(r, "it has no name");
  if (s.process_set != 0)
    return wrong(r, "process sets are agreed upon by all ranks, and not in set {}", s.process_set);
  if (s.kind == CollectiveKind::AddProcessSet)
    return check_added(r, limits);
  if (s.operand.size() != 1 || s.operand[0] < 0 ||
      s.operand[0] > std::numeric_limits<uint32_t>::max())
    return wrong(r, "[{}] is the id of no process set", fmt::join(s.operand, ", "));
  return s.operand[0] == 0 ? wrong(r, "process set 0, all ranks, cannot be removed") : Status::ok();
}

}  // namespace

std::string describe(CollectiveKind kind, const std::string& name) {
  if (!is_carried(kind))
    return name_of(kind);
  return fmt::format("{} \"{}\"", name_of(kind), printable(name));
}

Status check_request(const Request& r, const RequestLimits& limits) {
  const Signature& s = r.signature;
  if (static_cast<int>(s.kind) >= kKindCount || static_cast<int>(s.dtype) >= kDTypeCount ||
      static_cast<int>(s.reduce) >= kReduceOpCount)
    return error(
        Code::InvalidArgument,
        "\"{}\": kind {}, dtype {} or reduce operation {} is out of range",
        printable(r.name),
        static_cast<int>(s.kind),
        static_cast<int>(s.dtype),
        static_cast<int>(s.reduce));
  if (static_cast<int64_t>(r.name.size()) > limits.max_name_bytes)
    return wrong(
        r, "the name has {} bytes; at most {} are allowed", r.name.size(), limits.max_name_bytes);
  if (s.kind != CollectiveKind::Message && tells_way(r.name))
    return wrong(r, "names that end like \" 0->1\" are those of messages; give another name");
  if (!is_carried(s.kind))
    return check_change(r, limits);
  if (s.kind == CollectiveKind::Message)
    return check_message(r, limits);
  const bool tells = s.kind == CollectiveKind::Scatter;
  if (s.operand.size() > (tells ? 1U : 0U))
    return wrong(r, "a number to tell belongs to scatter and messages, which tell one");
  if (has_root(s.kind))
    FARANDOLE_RETURN_IF_ERROR(check_root(r, limits));
  else if (s.root != 0)
    return wrong(r, "it has no root rank, but {} is given", s.root);
  // The root tells the others all about what they get: nobody can say that it fits into `out`.
  if (tells && s.root != limits.rank)
    return r.out
               ? wrong(
                     r,
                     "output is given, but rank {} alone knows how large it must be; leave it out "
                     "(NULL), and copy the result",
                     s.root)
               : Status::ok();
  FARANDOLE_RETURN_IF_ERROR(check_shape(r, limits));
  FARANDOLE_RETURN_IF_ERROR(check_overlap(r, limits));
  FARANDOLE_RETURN_IF_ERROR(check_splits(r, limits));
  return check_reduction(r);
}

void complete_request(Request& request, const RequestLimits& limits) {
  Signature& s = request.signature;
  if (s.kind == CollectiveKind::Alltoall && s.splits.empty())
    s.splits.assign(static_cast<size_t>(limits.members), s.shape[0] / limits.members);
  if (one_tells(s.kind) && s.root != limits.rank) {
    s = of_receiver(s, request.out != nullptr);
    request.in = nullptr;
  } else if (s.kind == CollectiveKind::Message) {
    request.out = nullptr;
  }
}

}  // namespace farandole

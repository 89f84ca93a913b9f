// fdl_submit: requests of the C interface become requests of the core, all or none.

#include <vector>

#include "bindings/c/error.h"
#include "bindings/c/objects.h"
#include "bindings/c/sized.h"

namespace farandole::capi {
namespace {

constexpr bool same(DType dtype, fdl_dtype value) {
  return static_cast<int>(dtype) == value;
}
static_assert(same(DType::Uint8, FDL_UINT8) && same(DType::Int8, FDL_INT8));
static_assert(same(DType::Uint16, FDL_UINT16) && same(DType::Int16, FDL_INT16));
static_assert(same(DType::Int32, FDL_INT32) && same(DType::Int64, FDL_INT64));
static_assert(same(DType::Float16, FDL_FLOAT16) && same(DType::Bfloat16, FDL_BFLOAT16));
static_assert(same(DType::Float32, FDL_FLOAT32) && same(DType::Float64, FDL_FLOAT64));
static_assert(same(DType::Bool, FDL_BOOL) && same(DType::Complex64, FDL_COMPLEX64));
static_assert(same(DType::Complex128, FDL_COMPLEX128) && kDTypeCount == FDL_COMPLEX128 + 1);

constexpr bool same(CollectiveKind kind, fdl_kind value) {
  return static_cast<int>(kind) == value;
}
static_assert(same(CollectiveKind::Allreduce, FDL_ALLREDUCE));
static_assert(same(CollectiveKind::Allgather, FDL_ALLGATHER));
static_assert(same(CollectiveKind::Broadcast, FDL_BROADCAST));
static_assert(same(CollectiveKind::Reducescatter, FDL_REDUCESCATTER));
static_assert(same(CollectiveKind::Alltoall, FDL_ALLTOALL));
static_assert(same(CollectiveKind::Barrier, FDL_BARRIER));
static_assert(same(CollectiveKind::Reduce, FDL_REDUCE) && same(CollectiveKind::Gather, FDL_GATHER));
static_assert(same(CollectiveKind::Scatter, FDL_SCATTER));
static_assert(same(CollectiveKind::Message, FDL_MESSAGE) && kCarriedKindCount == FDL_MESSAGE + 1);

constexpr bool same(ReduceOp op, fdl_reduce_op value) {
  return static_cast<int>(op) == value;
}
static_assert(same(ReduceOp::Sum, FDL_SUM) && same(ReduceOp::Average, FDL_AVERAGE));
static_assert(same(ReduceOp::Min, FDL_MIN) && same(ReduceOp::Max, FDL_MAX));
static_assert(same(ReduceOp::Product, FDL_PRODUCT) && same(ReduceOp::Adasum, FDL_ADASUM));
static_assert(kReduceOpCount == FDL_ADASUM + 1);

static_assert(static_cast<int>(DeviceType::Cpu) == FDL_CPU);
static_assert(static_cast<int>(DeviceType::Cuda) == FDL_CUDA);

// Bounds what is read through a count that is garbage; the session's own limits may be tighter.
constexpr size_t kMaxDims = 64;
constexpr size_t kMaxSplits = 1 << 20;

// An enumeration of farandole/enums.h, whose first value is 0.
struct Enumeration {
  const char* what;
  int count;
  const char* first;
  const char* last;
};
constexpr Enumeration kKinds{"kind", kCarriedKindCount, "FDL_ALLREDUCE", "FDL_MESSAGE"};
constexpr Enumeration kDTypes{"dtype", kDTypeCount, "FDL_UINT8", "FDL_COMPLEX128"};
constexpr Enumeration kReduceOps{"reduce operation", kReduceOpCount, "FDL_SUM", "FDL_ADASUM"};
constexpr Enumeration kDeviceTypes{"device type", FDL_CUDA + 1, "FDL_CPU", "FDL_CUDA"};

bool has(const Enumeration& all, int value) {
  return value >= 0 && value < all.count;
}

// Fails where `value`, whose enumeration the caller may have left, is none of `all`.
Status in_range(int value, const Enumeration& all) {
  if (has(all, value))
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "the {} {} does not exist; 0 ({}) to {} ({}) do (farandole/enums.h)",
      all.what,
      value,
      all.first,
      all.count - 1,
      all.last);
}

Status check_array(const int64_t* values, size_t count, size_t most, const char* what) {
  if (count > 0 && !values)
    return error(Code::InvalidArgument, "{} is NULL, but {} values are announced", what, count);
  if (count > most)
    return error(
        Code::InvalidArgument,
        "{} values of {} are too many; at most {} are taken",
        count,
        what,
        most);
  return Status::ok();
}

Status check(const fdl_request& r) {
  FARANDOLE_RETURN_IF_ERROR(in_range(r.kind, kKinds));
  if (r.kind != FDL_MESSAGE && r.peer != 0)
    return error(Code::InvalidArgument, "a peer, {}, belongs to messages alone", r.peer);
  FARANDOLE_RETURN_IF_ERROR(in_range(r.dtype, kDTypes));
  FARANDOLE_RETURN_IF_ERROR(in_range(r.reduce_op, kReduceOps));
  FARANDOLE_RETURN_IF_ERROR(in_range(r.device_type, kDeviceTypes));
  FARANDOLE_RETURN_IF_ERROR(check_array(r.shape, r.ndim, kMaxDims, "shape"));
  return check_array(r.splits, r.split_count, kMaxSplits, "splits");
}

Request translate(const fdl_request& r) {
  Request request;
  request.name = r.name ? r.name : "";
  Signature& s = request.signature;
  s.kind = static_cast<CollectiveKind>(r.kind);
  s.reduce = static_cast<ReduceOp>(r.reduce_op);
  s.dtype = static_cast<DType>(r.dtype);
  s.device = {static_cast<DeviceType>(r.device_type), r.device_index};
  s.process_set = r.process_set;
  s.root = r.root;
  s.prescale = r.prescale;
  s.postscale = r.postscale;
  s.shape.assign(r.shape, r.shape + r.ndim);
  s.splits.assign(r.splits, r.splits + r.split_count);
  if (r.kind == FDL_MESSAGE)
    s.operand = {r.peer};
  if (r.note != 0)
    s.operand.push_back(r.note);
  request.in = r.in;
  request.out = r.out;
  request.stream = r.stream;
  return request;
}

// The i-th struct of an array whose element size is the caller's.
const fdl_request* element(const fdl_request* first, size_t i) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(first);
  return reinterpret_cast<const fdl_request*>(bytes + i * first->struct_size);
}

// Like any other operation; one that has no kind or no name yet by its place among those submitted.
std::string shown(const fdl_request& r, size_t i) {
  const bool known = has(kKinds, r.kind);
  const std::string what =
      known ? name_of(static_cast<CollectiveKind>(r.kind)) : fmt::format("request {}", i);
  if (r.name && *r.name)
    return fmt::format("{} \"{}\"", what, printable(r.name));
  return known ? fmt::format("{} (request {})", what, i) : what;
}

// Of a scatter, and of a message that nobody has memory for, the root alone says what there is; on
// other ranks these may be anything.
void leave_to_the_root(fdl_request& r) {
  r.dtype = FDL_FLOAT32;
  r.shape = nullptr;
  r.ndim = 0;
  r.splits = nullptr;
  r.split_count = 0;
  r.in = nullptr;
  r.note = 0;
}

Result<std::vector<Request>> translate(const fdl_request* first, size_t count, int rank) {
  std::vector<Request> requests;
  requests.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const fdl_request* from = element(first, i);
    if (from->struct_size != first->struct_size)
      return error(
          Code::InvalidArgument,
          "struct_size of request {} is {}, of request 0 {}",
          i,
          from->struct_size,
          first->struct_size);
    fdl_request request = FDL_REQUEST_INIT;
    FARANDOLE_RETURN_IF_ERROR(read_sized(from, request, "fdl_request"));
    const bool told = request.kind == FDL_SCATTER || (request.kind == FDL_MESSAGE && !request.out);
    if (told && request.root != rank)
      leave_to_the_root(request);
    if (const Status status = check(request); !status)
      return error(status.code(), "{}: {}", shown(request, i), status.message());
    requests.push_back(translate(request));
  }
  return requests;
}

// Unnamed requests count although they are refused, so that later ones match on all ranks.
void count_names(Session& session, const fdl_request* first, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    fdl_request request = FDL_REQUEST_INIT;
    const fdl_request* from = element(first, i);
    if (from->struct_size != first->struct_size ||
        !read_sized(from, request, "fdl_request").is_ok())
      return;
    if (has(kKinds, request.kind) && (!request.name || !*request.name))
      static_cast<void>(session.next_name(
          static_cast<CollectiveKind>(request.kind),
          request.process_set,
          {request.root, request.peer}));
  }
}

struct Room {
  char* name;
  size_t capacity;
  const char* call;
};

Status next_name(
    const SessionUse& session,
    CollectiveKind kind,
    uint32_t process_set,
    Way way,
    const Room& room) {
  if (!room.name || room.capacity == 0)
    return error(Code::InvalidArgument, "{}: there is no room for the name", room.call);
  const std::string name = session->next_name(kind, process_set, way);
  copy_text(name, room.name, room.capacity);
  return Status::ok();
}

Status next_name(fdl_session* session, fdl_kind kind, uint32_t process_set, const Room& room) {
  const Result<SessionUse> used = use(session);
  FARANDOLE_RETURN_IF_ERROR(used.status());
  FARANDOLE_RETURN_IF_ERROR(in_range(kind, kKinds));
  if (kind == FDL_MESSAGE)
    return {
        Code::InvalidArgument,
        "fdl_next_name: messages are counted for each way; call fdl_next_message_name"};
  return next_name(used.value(), static_cast<CollectiveKind>(kind), process_set, {}, room);
}

Status next_message_name(fdl_session* session, uint32_t process_set, Way way, const Room& room) {
  const Result<SessionUse> used = use(session);
  FARANDOLE_RETURN_IF_ERROR(used.status());
  return next_name(used.value(), CollectiveKind::Message, process_set, way, room);
}

// Made before the submission, so that nothing can fail after it.
std::vector<std::unique_ptr<fdl_handle>> make_handles(
    const fdl_session& session, const std::vector<Request>& requests) {
  std::vector<std::unique_ptr<fdl_handle>> handles;
  handles.reserve(requests.size());
  for (const Request& request : requests) {
    auto handle = std::make_unique<fdl_handle>();
    handle->box = session.box;
    handle->kind = request.signature.kind;
    handles.push_back(std::move(handle));
  }
  return handles;
}

Status submit(fdl_session* session, const fdl_request* first, size_t count, fdl_handle** out) {
  const Result<SessionUse> used = use(session);
  FARANDOLE_RETURN_IF_ERROR(used.status());
  if (count == 0)
    return Status::ok();
  if (!first)
    return {Code::InvalidArgument, "fdl_submit: requests is NULL"};
  Session& target = *used.value();
  if (count > static_cast<size_t>(target.config().max_pending))
    return error(
        Code::InvalidArgument,
        "{} requests at once exceed max_pending={}",
        count,
        target.config().max_pending);
  FARANDOLE_RETURN_IF_ERROR(check_size(first->struct_size, "fdl_request"));
  if (!out) {
    count_names(target, first, count);
    return {Code::InvalidArgument, "fdl_submit: handles is NULL"};
  }
  Result<std::vector<Request>> requests = translate(first, count, target.topology().rank);
  if (!requests) {
    count_names(target, first, count);
    return requests.status();
  }
  std::vector<std::unique_ptr<fdl_handle>> handles = make_handles(*session, requests.value());
  Result<std::vector<TicketPtr>> tickets = target.submit(std::move(requests).value());
  if (!tickets)
    return tickets.status();
  for (size_t i = 0; i < count; ++i) {
    handles[i]->ticket = std::move(tickets.value()[i]);
    out[i] = handles[i].release();
  }
  return Status::ok();
}

}  // namespace
}  // namespace farandole::capi

extern "C" fdl_code fdl_submit(
    fdl_session* session, const fdl_request* requests, size_t count, fdl_handle** handles) {
  return farandole::capi::guarded(
      [&] { return farandole::capi::submit(session, requests, count, handles); });
}

extern "C" fdl_code fdl_next_name(
    fdl_session* session, fdl_kind kind, uint32_t process_set, char* name, size_t capacity) {
  return farandole::capi::guarded([&] {
    return farandole::capi::next_name(
        session, kind, process_set, {name, capacity, "fdl_next_name"});
  });
}

extern "C" fdl_code fdl_next_message_name(
    fdl_session* session, uint32_t process_set, int from, int to, char* name, size_t capacity) {
  return farandole::capi::guarded([&] {
    return farandole::capi::next_message_name(
        session, process_set, {from, to}, {name, capacity, "fdl_next_message_name"});
  });
}

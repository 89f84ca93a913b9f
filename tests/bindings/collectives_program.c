/* Every collective, process sets and joins, through the C interface and in C: dtypes, sizes from
 * none to more than a slot of shared memory, ragged parts, roots, in place and not. Each rank knows
 * what all others hold, so it compares with what it computes itself, in float64 or int64; values
 * are small whole numbers, exact in every dtype. Ends with 1, and says what was wrong, at the first
 * mistake. */
#include <farandole/farandole.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kLarge = 400009 }; /* elements: odd, and more than a slot in every dtype of 4 bytes */

static const fdl_dtype kDtypes[] = {FDL_UINT8, FDL_INT32, FDL_INT64, FDL_FLOAT32, FDL_FLOAT64};
static const int64_t kSizes[] = {0, 1, 3, 1001, kLarge};
static int rank, size;
static fdl_session* session;

#define CHECK(condition, ...)       \
  do {                              \
    if (!(condition)) {             \
      printf(__VA_ARGS__);          \
      printf(" (rank %d)\n", rank); \
      exit(1);                      \
    }                               \
  } while (0)

/* Of element i of the input of rank r: 1 to 4, so that sums and products of 4 ranks fit a byte. */
static int64_t input(int r, int64_t i) {
  return 1 + (r + i) % 4;
}

static void put(void* data, fdl_dtype dtype, int64_t i, int64_t value) {
  switch (dtype) {
    case FDL_UINT8:
      ((uint8_t*)data)[i] = (uint8_t)value;
      break;
    case FDL_INT32:
      ((int32_t*)data)[i] = (int32_t)value;
      break;
    case FDL_INT64:
      ((int64_t*)data)[i] = value;
      break;
    case FDL_FLOAT32:
      ((float*)data)[i] = (float)value;
      break;
    default:
      ((double*)data)[i] = (double)value;
  }
}

static int64_t get(const void* data, fdl_dtype dtype, int64_t i) {
  switch (dtype) {
    case FDL_UINT8:
      return ((const uint8_t*)data)[i];
    case FDL_INT32:
      return ((const int32_t*)data)[i];
    case FDL_INT64:
      return ((const int64_t*)data)[i];
    case FDL_FLOAT32:
      return (int64_t)((const float*)data)[i];
    default:
      return (int64_t)((const double*)data)[i];
  }
}

static void* room(int64_t count, fdl_dtype dtype) {
  void* data = malloc((size_t)count * fdl_dtype_size(dtype) + 1);
  CHECK(data != NULL, "no memory for %lld elements", (long long)count);
  return data;
}

static void* filled(int64_t count, fdl_dtype dtype) {
  void* data = room(count, dtype);
  for (int64_t i = 0; i < count; ++i) put(data, dtype, i, input(rank, i));
  return data;
}

static void done(fdl_code code, const char* what) {
  CHECK(code == FDL_OK, "%s: %s: %s", what, fdl_code_name(code), fdl_last_error());
}

static int64_t reduced(fdl_reduce_op op, int64_t i) {
  int64_t value = input(0, i);
  for (int r = 1; r < size; ++r) {
    const int64_t other = input(r, i);
    if (op == FDL_SUM)
      value += other;
    else if (op == FDL_PRODUCT)
      value *= other;
    else if ((op == FDL_MIN) == (other < value))
      value = other;
  }
  return value;
}

static void compare_element(
    const char* what, const void* data, fdl_dtype dtype, int64_t at, int64_t wanted) {
  const int64_t found = get(data, dtype, at);
  CHECK(
      found == wanted,
      "%s, dtype %d: element %lld is %lld, %lld is right",
      what,
      (int)dtype,
      (long long)at,
      (long long)found,
      (long long)wanted);
}

static void allreduces(fdl_dtype dtype, int64_t count) {
  const fdl_reduce_op ops[] = {FDL_SUM, FDL_PRODUCT, FDL_MIN, FDL_MAX};
  for (size_t o = 0; o < sizeof ops / sizeof *ops; ++o) {
    void* in = filled(count, dtype);
    void* out = o % 2 == 0 ? in : room(count, dtype);
    done(fdl_allreduce(session, "sum", in, out, count, dtype, ops[o]), "allreduce");
    for (int64_t i = 0; i < count; ++i)
      compare_element("allreduce", out, dtype, i, reduced(ops[o], i));
    if (out != in)
      free(out);
    free(in);
  }
}

/* The sum of what is orthogonal: each element is one rank's. */
static void adasums(fdl_dtype dtype, int64_t count) {
  void* data = room(count, dtype);
  for (int64_t i = 0; i < count; ++i) put(data, dtype, i, i % size == rank ? i % 50 + 1 : 0);
  const fdl_code code = fdl_allreduce(session, "adasum", data, data, count, dtype, FDL_ADASUM);
  if (dtype < FDL_FLOAT16) {
    CHECK(code == FDL_INVALID_ARGUMENT, "Adasum of integers: %s", fdl_code_name(code));
  } else {
    done(code, "adasum");
    for (int64_t i = 0; i < count; ++i) compare_element("adasum", data, dtype, i, i % 50 + 1);
  }
  free(data);
}

static void broadcasts(fdl_dtype dtype, int64_t count) {
  for (int root = 0; root < size; ++root) {
    void* data = filled(count, dtype);
    done(fdl_broadcast(session, "broadcast", data, count, dtype, root), "broadcast");
    for (int64_t i = 0; i < count; ++i)
      compare_element("broadcast", data, dtype, i, input(root, i));
    free(data);
  }
}

/* Rank r gives count + r rows of two elements; rank 1 none at all. */
static int64_t rows_of(int r, int64_t count) {
  return r == 1 ? 0 : count + r;
}

static void allgathers(fdl_dtype dtype, int64_t count) {
  void* in = filled(2 * rows_of(rank, count), dtype);
  fdl_handle* handle = NULL;
  done(
      fdl_allgather(session, "allgather", in, rows_of(rank, count), 2, dtype, &handle),
      "allgather");
  fdl_result result = FDL_RESULT_INIT;
  done(fdl_get_result(handle, &result), "result of allgather");
  int64_t at = 0;
  for (int r = 0; r < size; ++r)
    for (int64_t i = 0; i < 2 * rows_of(r, count); ++i)
      compare_element("allgather", result.data, dtype, at++, input(r, i));
  CHECK(result.bytes == (size_t)at * fdl_dtype_size(dtype), "allgather: %zu bytes", result.bytes);
  fdl_release(handle);
  free(in);
}

/* Rank r sends (r + 2 * to) % 3 times `unit` rows to rank `to`. */
static int64_t sent(int from, int to, int64_t unit) {
  return (from + 2 * to) % 3 * unit;
}

static void alltoalls(fdl_dtype dtype, int64_t count) {
  const int64_t unit = count / 8;
  int64_t* splits = malloc(sizeof *splits * (size_t)size);
  CHECK(splits != NULL, "no memory");
  int64_t rows = 0;
  for (int to = 0; to < size; ++to) rows += splits[to] = sent(rank, to, unit);
  void* in = filled(rows, dtype);
  fdl_handle* handle = NULL;
  done(fdl_alltoall(session, "alltoall", in, rows, 1, dtype, splits, &handle), "alltoall");
  fdl_result result = FDL_RESULT_INIT;
  done(fdl_get_result(handle, &result), "result of alltoall");
  CHECK(result.split_count == (size_t)size, "alltoall: %zu splits", result.split_count);
  int64_t at = 0;
  for (int from = 0; from < size; ++from) {
    CHECK(result.splits[from] == sent(from, rank, unit), "alltoall: splits of rank %d", from);
    int64_t begin = 0; /* in the input of `from` */
    for (int to = 0; to < rank; ++to) begin += sent(from, to, unit);
    for (int64_t i = 0; i < sent(from, rank, unit); ++i)
      compare_element("alltoall", result.data, dtype, at++, input(from, begin + i));
  }
  fdl_release(handle);
  free(in);
  free(splits);
}

static void reduces(fdl_dtype dtype, int64_t count) {
  for (int root = 0; root < size; ++root) {
    void* in = filled(count, dtype);
    void* out = rank != root ? NULL : root % 2 == 0 ? in : room(count, dtype);
    done(fdl_reduce(session, "reduce", in, out, count, dtype, FDL_MAX, root), "reduce");
    for (int64_t i = 0; i < count; ++i)
      compare_element(
          "reduce",
          rank == root ? out : in,
          dtype,
          i,
          rank == root ? reduced(FDL_MAX, i) : input(rank, i));
    if (out != in)
      free(out);
    free(in);
  }
}

/* As allgather, for the last rank. */
static void gathers(fdl_dtype dtype, int64_t count) {
  void* in = filled(2 * rows_of(rank, count), dtype);
  fdl_handle* handle = NULL;
  done(
      fdl_gather(session, "gather", in, rows_of(rank, count), 2, dtype, size - 1, &handle),
      "gather");
  fdl_result result = FDL_RESULT_INIT;
  done(fdl_get_result(handle, &result), "result of gather");
  int64_t at = 0;
  for (int r = 0; r < size && rank == size - 1; ++r)
    for (int64_t i = 0; i < 2 * rows_of(r, count); ++i)
      compare_element("gather", result.data, dtype, at++, input(r, i));
  CHECK(result.bytes == (size_t)at * fdl_dtype_size(dtype), "gather: %zu bytes", result.bytes);
  CHECK(rank == size - 1 || (!result.data && !result.splits), "gather: a result on rank %d", rank);
  fdl_release(handle);
  free(in);
}

/* Rank 0 has (to % 3) times count / 8 rows for rank `to`, and the number 7. */
static void scatters(fdl_dtype dtype, int64_t count) {
  const int64_t unit = count / 8;
  int64_t* splits = malloc(sizeof *splits * (size_t)size);
  CHECK(splits != NULL, "no memory");
  int64_t rows = 0, begin = 0;
  for (int to = 0; to < size; ++to) {
    begin += to < rank ? to % 3 * unit : 0;
    rows += splits[to] = to % 3 * unit;
  }
  void* in = filled(rows, dtype);
  fdl_request request = FDL_REQUEST_INIT;
  request.kind = FDL_SCATTER;
  request.name = "scatter";
  if (rank == 0) { /* the others know nothing of it */
    request.dtype = dtype;
    request.shape = &rows;
    request.ndim = 1;
    request.in = in;
    request.splits = splits;
    request.split_count = (size_t)size;
    request.note = 7;
  }
  fdl_handle* handle = NULL;
  if (rank != 0) {
    request.out = in; /* of a size that nobody can know to be enough */
    CHECK(fdl_submit(session, &request, 1, &handle) == FDL_INVALID_ARGUMENT, "an out was taken");
    request.out = NULL;
  }
  done(fdl_submit(session, &request, 1, &handle), "submitting a scatter");
  done(fdl_wait(handle, -1), "scatter");
  fdl_result result = FDL_RESULT_INIT;
  done(fdl_get_result(handle, &result), "result of scatter");
  CHECK(result.dtype == dtype && result.value == 7, "scatter: dtype %d", (int)result.dtype);
  CHECK(result.ndim == 1 && result.shape[0] == rank % 3 * unit, "scatter: another shape");
  for (int64_t i = 0; i < result.shape[0]; ++i)
    compare_element("scatter", result.data, dtype, i, input(0, begin + i));
  fdl_release(handle);
  free(in);
  free(splits);
}

/* Round the ring under one name; received by who knows what comes, and by who does not. */
static void messages(fdl_dtype dtype, int64_t count) {
  const int next = (rank + 1) % size, previous = (rank + size - 1) % size;
  if (size == 1)
    return;
  void* in = filled(count, dtype);
  void* out = filled(count, dtype);
  for (int knows = 0; knows < 2; ++knows) {
    fdl_handle *sent = NULL, *received = NULL;
    done(fdl_send_async(session, "m", in, count, dtype, next, &sent), "sending");
    done(
        fdl_recv_async(session, "m", knows ? out : NULL, count, dtype, previous, &received),
        "receiving");
    done(fdl_wait(received, -1), "recv");
    done(fdl_wait(sent, -1), "send");
    fdl_result result = FDL_RESULT_INIT;
    done(fdl_get_result(received, &result), "result of recv");
    CHECK(result.dtype == dtype && result.value == 0, "recv: dtype %d", (int)result.dtype);
    CHECK(result.ndim == 1 && result.shape[0] == count, "recv: another shape");
    for (int64_t i = 0; i < count; ++i)
      compare_element("recv", result.data, dtype, i, input(previous, i));
    fdl_release(received);
    done(fdl_get_result(sent, &result), "result of send");
    CHECK(!result.data && result.bytes == 0, "send: it has a result");
    fdl_release(sent);
  }
  if (rank == 0)
    done(fdl_send(session, NULL, in, count, dtype, 1), "send");
  else if (rank == 1)
    done(fdl_recv(session, NULL, out, count, dtype, 0), "recv");
  for (int64_t i = 0; i < count && rank == 1; ++i)
    compare_element("recv", out, dtype, i, input(0, i));
  free(in);
  free(out);
}

static void reducescatters(fdl_dtype dtype, int64_t count) {
  const int64_t mine = count / size + (rank < count % size ? 1 : 0);
  const int64_t longer = rank < count % size ? rank : count % size;
  const int64_t begin = rank * (count / size) + longer;
  void* in = filled(count, dtype);
  fdl_request request = FDL_REQUEST_INIT;
  request.kind = FDL_REDUCESCATTER;
  request.dtype = dtype;
  request.name = "reducescatter";
  request.shape = &count;
  request.ndim = 1;
  request.in = in;
  fdl_handle* handle = NULL;
  done(fdl_submit(session, &request, 1, &handle), "submitting a reducescatter");
  done(fdl_wait(handle, -1), "reducescatter");
  fdl_result result = FDL_RESULT_INIT;
  done(fdl_get_result(handle, &result), "result of reducescatter");
  CHECK(
      result.bytes == (size_t)mine * fdl_dtype_size(dtype),
      "reducescatter: %zu bytes",
      result.bytes);
  for (int64_t i = 0; i < mine; ++i)
    compare_element("reducescatter", result.data, dtype, i, reduced(FDL_SUM, begin + i));
  fdl_release(handle);
  free(in);
}

/* The first and the last rank add in a set of their own; nobody else waits for them. Then each rank
 * has another number of steps, and joins. */
static void sets_and_joins(void) {
  const int ends[2] = {0, size - 1};
  const int64_t one = 1;
  uint32_t set = 0;
  int last = -1;
  double value = rank + 1;
  if (size > 2) {
    done(fdl_add_process_set(session, ends, 2, &set), "adding a set");
    if (rank == 0 || rank == size - 1) {
      fdl_request request = FDL_REQUEST_INIT;
      fdl_handle* handle = NULL;
      request.dtype = FDL_FLOAT64;
      request.shape = &one;
      request.ndim = 1;
      request.in = request.out = &value;
      request.process_set = set;
      done(fdl_submit(session, &request, 1, &handle), "submitting in a set");
      done(fdl_wait(handle, -1), "allreduce in a set");
      fdl_release(handle);
      CHECK(value == size + 1, "allreduce in a set: %g", value);
    }
    done(fdl_remove_process_set(session, set), "removing a set");
  }
  for (int step = 0; step <= rank; ++step) {
    value = rank;
    done(fdl_allreduce(session, "least", &value, &value, 1, FDL_FLOAT64, FDL_MIN), "least");
    CHECK(value == step, "the least of those that have not joined: %g", value);
  }
  done(fdl_join(session, 0, &last), "join");
  CHECK(last == size - 1, "rank %d joined last", last);
}

int main(void) {
  done(fdl_init(NULL, &session), "init");
  rank = fdl_rank(session);
  size = fdl_size(session);
  for (size_t d = 0; d < sizeof kDtypes / sizeof *kDtypes; ++d) {
    for (size_t s = 0; s < sizeof kSizes / sizeof *kSizes; ++s) {
      allreduces(kDtypes[d], kSizes[s]);
      adasums(kDtypes[d], kSizes[s]);
      broadcasts(kDtypes[d], kSizes[s]);
      allgathers(kDtypes[d], kSizes[s]);
      alltoalls(kDtypes[d], kSizes[s]);
      reducescatters(kDtypes[d], kSizes[s]);
      reduces(kDtypes[d], kSizes[s]);
      gathers(kDtypes[d], kSizes[s]);
      scatters(kDtypes[d], kSizes[s]);
      messages(kDtypes[d], kSizes[s]);
      done(fdl_barrier(session), "barrier");
    }
  }
  sets_and_joins();
  done(fdl_destroy(session), "destroy");
  return 0;
}

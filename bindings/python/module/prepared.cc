#include "bindings/python/module/prepared.h"

#include <array>
#include <utility>

#include "bindings/python/module/errors_py.h"
#include "bindings/python/module/names_py.h"

namespace py = pybind11;

namespace farandole::python {
namespace {

// Memory for no element is memory, too: frameworks have no address for it.
constexpr char kNowhere = 0;

}  // namespace

void Prepared::read(TensorReader& reader, const py::object& from, const py::object& to) {
  try {
    read_both(reader, from, to);
  } catch (const py::error_already_set& error) {
    raise_named(error, kind(), full_name());
  }
}

void Prepared::read_both(TensorReader& reader, const py::object& from, const py::object& to) {
  const fdl_kind of = request.kind;
  // Of a scatter the root alone has one, of a message the sender.
  if ((of == FDL_SCATTER || of == FDL_MESSAGE) && from.is_none())
    input.keep = from;
  else
    input = reader.read(from, Access::Read);
  if (to.is_none())
    return;
  const bool receives = of == FDL_MESSAGE && from.is_none();
  if (of != FDL_ALLREDUCE && of != FDL_BROADCAST && of != FDL_REDUCE && !receives)
    raise_invalid(
        "only allreduce, broadcast, reduce and the receiver of a message write to memory of the "
        "caller");
  output = reader.read(to, Access::Write);
  if (receives) {  // says by it what it receives
    py::object keep = input.keep;
    input = output;
    input.keep = std::move(keep);
    input.data = nullptr;
    if (!output.data)
      output.data = const_cast<char*>(&kNowhere);
    return;
  }
  if (output.dtype != input.dtype)
    raise_invalid(
        std::string("the input is ") + dtype_name(input.dtype) + ", the output " +
        dtype_name(output.dtype));
  // Only results of the input's own shape are written to memory of the caller.
  if (output.shape != input.shape)
    raise_invalid(
        "the input has shape " + shape_text(input.shape) + ", the output " +
        shape_text(output.shape));
}

void Prepared::link() {
  request.name = name.c_str();
  request.dtype = input.dtype;
  request.shape = input.shape.data();
  request.ndim = input.shape.size();
  request.in = input.data;
  request.out = output.data;
  request.device_type = input.device_type;
  request.device_index = input.device_index;
  request.splits = splits.data();
  request.split_count = splits.size();
}

const char* Prepared::kind() const {
  static constexpr std::array<const char*, FDL_MESSAGE + 1> kKinds{
      "allreduce",
      "allgather",
      "broadcast",
      "reducescatter",
      "alltoall",
      "barrier",
      "reduce",
      "gather",
      "scatter",
      "message"};
  return kKinds.at(request.kind);
}

std::string Prepared::full_name() const {
  if (request.kind != FDL_MESSAGE)
    return name;
  return name + " " + std::to_string(request.root) + "->" + std::to_string(request.peer);
}

}  // namespace farandole::python

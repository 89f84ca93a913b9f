#pragma once
// The command line of a Python program, as far as the interpreter reads it. Pure.

#include <string>
#include <vector>

#include "core/base/status.h"

namespace farandole::launch {

// The same program where Farandole answers for the modules named horovod: "python -u train.py" is
// "python -u -m farandole.horovod train.py". Fails: InvalidArgument, where it is no script or
// module of Python.
Result<std::vector<std::string>> under_horovod(const std::vector<std::string>& program);

}  // namespace farandole::launch

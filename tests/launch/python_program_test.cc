#include "controller/launch/python_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;

using Words = std::vector<std::string>;

TEST(PythonProgram, IsServedWhateverTheInterpreterIsTold) {
  struct Case {
    Words given;
    Words wanted;
  };
  const std::vector<Case> cases{
      {{"python", "t.py", "-m", "-c"}, {"python", "-m", "farandole.horovod", "t.py", "-m", "-c"}},
      {{"/x/python3.13t", "-uO", "t.py"},
       {"/x/python3.13t", "-uO", "-m", "farandole.horovod", "t.py"}},
      {{"python3", "-X", "dev", "-Wc", "-uW", "m", "--check-hash-based-pycs", "never", "t.py"},
       {"python3",
        "-X",
        "dev",
        "-Wc",
        "-uW",
        "m",
        "--check-hash-based-pycs",
        "never",
        "-m",
        "farandole.horovod",
        "t.py"}},
      {{"python", "-m", "train", "-x"}, {"python", "-m", "farandole.horovod", "-m", "train", "-x"}},
      {{"python", "-umtrain"}, {"python", "-u", "-m", "farandole.horovod", "-m", "train"}},
      {{"python", "-m", "farandole.horovod", "t.py"},
       {"python", "-m", "farandole.horovod", "t.py"}},
      {{"python", "folder/"}, {"python", "-m", "farandole.horovod", "folder/"}},
  };
  for (const Case& one : cases) {
    const auto served = under_horovod(one.given);
    ASSERT_TRUE(served.has_value()) << served.status().message();
    EXPECT_THAT(served.value(), ElementsAreArray(one.wanted));
  }
}

TEST(PythonProgram, IsRefusedWhereItIsNoScriptOrModule) {
  const std::vector<std::pair<Words, const char*>> cases{
      {{"./train.py"}, "runs programs of Python, and \"./train.py\" is none"},
      {{"pythonic", "t.py"}, "\"pythonic\" is none"},
      {{"python3-config"}, "\"python3-config\" is none"},
      {{"python", "-c", "x"}, "runs scripts and modules, not code behind -c"},
      {{"python", "-uc", "x"}, "not code behind -c"},
      {{"python"}, "needs a script or a module"},
      {{"python", "-u"}, "needs a script or a module"},
      {{"python", "-X"}, "needs a script or a module"},
      {{"python", "-"}, "needs a script or a module"},
      {{"python", "-m"}, "needs the module behind -m"},
  };
  for (const auto& [given, why] : cases) {
    const auto served = under_horovod(given);
    ASSERT_FALSE(served.has_value()) << why;
    EXPECT_THAT(served.status().message(), HasSubstr(why));
    EXPECT_THAT(served.status().message(), HasSubstr("--horovod "));
  }
}

}  // namespace
}  // namespace farandole::launch

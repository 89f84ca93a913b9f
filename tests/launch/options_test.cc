#include "controller/launch/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Options options_of(const std::vector<std::string>& arguments) {
  CommandLine line = parse_command_line(arguments);
  EXPECT_TRUE(line.run.has_value()) << line.text;
  return line.run.value_or(Options{});
}

std::string problem_of(const std::vector<std::string>& arguments) {
  const CommandLine line = parse_command_line(arguments);
  EXPECT_FALSE(line.run.has_value());
  EXPECT_EQ(line.exit_code, 2);
  EXPECT_THAT(line.text, StartsWith("farandolerun: "));
  EXPECT_EQ(std::count(line.text.begin(), line.text.end(), '\n'), 1) << line.text;
  return line.text.substr(std::string("farandolerun: ").size());
}

TEST(CommandLine, ReadsTheWaysToSayTheNumberOfRanks) {
  const std::vector<std::vector<std::string>> ways = {
      {"-np", "4", "x"},
      {"-np=4", "x"},
      {"-n", "4", "x"},
      {"-n4", "x"},
      {"-np4", "x"},
      {"--np", "4", "x"},
      {"--num-proc", "4", "x"},
      {"--num-proc=4", "x"}};
  for (const auto& way : ways) {
    EXPECT_EQ(options_of(way).ranks, 4) << way[0];
    EXPECT_THAT(options_of(way).hosts, ElementsAre(Host{"localhost", 4}));
  }
}

TEST(CommandLine, EverythingAfterTheProgramBelongsToIt) {
  EXPECT_THAT(
      options_of({"-np", "2", "python", "train.py", "-np", "3", "--timeout", "-x", "--"}).program,
      ElementsAre("python", "train.py", "-np", "3", "--timeout", "-x", "--"));
  EXPECT_THAT(
      options_of({"-np", "2", "--", "-odd", "--help"}).program, ElementsAre("-odd", "--help"));
}

TEST(CommandLine, ReadsEveryFlag) {
  const Options options = options_of(
      {"-H",
       "localhost:3",
       "--timeout",
       "2.5",
       "--start-timeout=7",
       "--grace",
       "0",
       "--verbose",
       "--no-color",
       "prog"});
  EXPECT_EQ(options.ranks, 3);
  EXPECT_EQ(options.timeout, Duration(2500ms));
  EXPECT_EQ(options.start_timeout, "7");
  EXPECT_EQ(options.grace, Duration(0));
  EXPECT_TRUE(options.verbose);
  EXPECT_EQ(options.colour, ColourChoice::Never);
  EXPECT_EQ(options_of({"-np", "1", "--color", "p"}).colour, ColourChoice::Always);
  EXPECT_THAT(options_of({"-Hlocalhost:2", "p"}).hosts, ElementsAre(Host{"localhost", 2}));
}

TEST(CommandLine, RefusesWhatMakesNoSense) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "-np is missing: how many ranks? As in farandolerun -np 2 PROGRAM\n"},
      {{"prog"}, "-np is missing: how many ranks? As in farandolerun -np 2 PROGRAM\n"},
      {{"-np"}, "-np needs a value\n"},
      {{"-np", "2"}, "the program is missing: farandolerun -np N PROGRAM [ARGUMENTS...]\n"},
      {{"-np", "0", "p"}, "-np \"0\" is not valid: a whole number from 1 to 65536 is wanted\n"},
      {{"-np", "-1", "p"}, "-np \"-1\" is not valid: a whole number from 1 to 65536 is wanted\n"},
      {{"-np", "abc", "p"}, "-np \"abc\" is not valid: a whole number from 1 to 65536 is wanted\n"},
      {{"-np", "2x", "p"}, "-np \"2x\" is not valid: a whole number from 1 to 65536 is wanted\n"},
      {{"-np", "", "p"}, "-np needs a value\n"},
      {{"--num-proc"}, "--num-proc needs a value\n"},
      {{"--help-env="}, "--help-env needs a value\n"},
      {{"-np", "99999999999", "p"},
       "-np \"99999999999\" is not valid: a whole number from 1 to 65536 is wanted\n"},
      {{"--tiemout", "3", "p"},
       "unknown flag --tiemout; did you mean --timeout? (farandolerun --help lists all)\n"},
      {{"--num_proc=3", "p"},
       "unknown flag --num_proc=3; did you mean --num-proc? (farandolerun --help lists all)\n"},
      {{"--fusion-threshold-mb", "32", "p"},
       "unknown flag --fusion-threshold-mb (farandolerun --help lists all)\n"},
      {{"-x", "p"}, "unknown flag -x (farandolerun --help lists all)\n"},
      {{"-np", "1", "--timeout", "abc", "p"},
       "--timeout \"abc\" is not valid: a number of seconds from 0.001 to 100000000 is wanted\n"},
      {{"-np", "1", "--timeout", "0", "p"},
       "--timeout \"0\" is not valid: a number of seconds from 0.001 to 100000000 is wanted\n"},
      {{"-np", "1", "--timeout=nan", "p"},
       "--timeout \"nan\" is not valid: a number of seconds from 0.001 to 100000000 is wanted\n"},
      {{"-np", "1", "--grace", "-1", "p"},
       "--grace \"-1\" is not valid: a number of seconds from 0 to 100000000 is wanted\n"},
      {{"-np", "1", "--start-timeout", "soon", "p"},
       "--start-timeout \"soon\" is not valid: a number of seconds from 0.1 to 86400 is wanted\n"},
      {{"-np", "1", "--start-timeout", "90000", "p"},
       "--start-timeout \"90000\" is not valid: a number of seconds from 0.1 to 86400 is wanted\n"},
      {{"-np", "1", "--color", "--no-color", "p"},
       "--color and --no-color contradict each other: give one of them\n"},
      {{"-np", "1", "--verbose=3", "p"}, "--verbose takes no value\n"},
      {{"--help=me"}, "--help takes no value\n"},
      {{"--help-env=html"}, "--help-env=html is not valid: nothing or markdown is wanted\n"},
  };
  for (const auto& [arguments, expected] : cases) EXPECT_EQ(problem_of(arguments), expected);
}

TEST(CommandLine, AllSlotsTogetherAreBounded) {
  EXPECT_EQ(
      problem_of({"-H", "a:65536,b:1", "x"}),
      "-H has more than 65536 slots in all; fewer are wanted, or -np\n");
  EXPECT_EQ(options_of({"-H", "a:65535,b:1", "x"}).ranks, 65536);
}

TEST(CommandLine, RefusesAFlagGivenTwice) {
  EXPECT_EQ(problem_of({"-np", "1", "-np", "2", "p"}), "-np is given twice\n");
  EXPECT_EQ(problem_of({"-H", "a:1", "--hosts", "b:1", "p"}), "--hosts is given twice\n");
}

TEST(CommandLine, ShowsControlCharactersHarmlessly) {
  EXPECT_THAT(problem_of({"-np", "\x1b[2J", "p"}), HasSubstr("\\x1b[2J"));
}

TEST(CommandLine, PrintsHelpVersionAndSettings) {
  const CommandLine help = parse_command_line({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(
      help.text, AllOf(HasSubstr("-np N"), HasSubstr("--start-timeout"), HasSubstr("Exit code")));
  EXPECT_THAT(parse_command_line({"-v"}).text, StartsWith("farandolerun "));
  EXPECT_THAT(
      parse_command_line({"--help-env"}).text, HasSubstr("FARANDOLE_FUSION_BYTES=67108864"));
  EXPECT_THAT(parse_command_line({"--help-env=markdown"}).text, StartsWith("# Configuration\n"));
}

}  // namespace
}  // namespace farandole::launch

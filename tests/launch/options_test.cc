#include "controller/launch/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/format.h"

namespace farandole::launch {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Result<std::string> no_file(const std::string& path) {
  return error(Code::System, "{} cannot be read: No such file or directory", path);
}

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
       "--fusion-threshold-mb",
       "32",
       "--cache-capacity=0",
       "--gloo-timeout-seconds",
       "60",
       "--log-level",
       "DEBUG",
       "--grace",
       "0",
       "--verbose",
       "--no-color",
       "--output-filename",
       "out",
       "-prefix-timestamp",
       "--gloo",
       "--disable-cache",
       "-p",
       "2222",
       "-i",
       "key",
       "--network-interfaces",
       "eth0,ib0",
       "--bind-to",
       "core",
       "--map-by=socket",
       "--thread-affinity=4,0,4",
       "prog"});
  EXPECT_EQ(options.ranks, 3);
  EXPECT_EQ(options.timeout, Duration(2500ms));
  EXPECT_THAT(
      options.settings,
      testing::UnorderedElementsAre(
          std::pair("FARANDOLE_START_TIMEOUT", "7"),
          std::pair("FARANDOLE_FUSION_BYTES", "33554432"),
          std::pair("FARANDOLE_CACHE_CAPACITY", "0"),
          std::pair("FARANDOLE_DATA_TIMEOUT", "60"),
          std::pair("FARANDOLE_THREAD_AFFINITY", "4,0,4"),
          std::pair("FARANDOLE_LOG_LEVEL", "DEBUG")));
  EXPECT_EQ(options.output_folder, "out");
  EXPECT_EQ(options.ssh.port, "2222");
  EXPECT_EQ(options.ssh.identity, "key");
  EXPECT_THAT(options.interfaces, ElementsAre("eth0", "ib0"));
  EXPECT_EQ(options.binding, (BindPolicy{MachinePart::Core, MachinePart::Socket}));
  EXPECT_TRUE(options.timestamps);
  EXPECT_EQ(options.grace, Duration(0));
  EXPECT_TRUE(options.verbose);
  EXPECT_EQ(options.colour, ColourChoice::Never);
  EXPECT_EQ(options_of({"-np", "1", "--color", "p"}).colour, ColourChoice::Always);
  EXPECT_THAT(options_of({"-Hlocalhost:2", "p"}).hosts, ElementsAre(Host{"localhost", 2}));
}

TEST(CommandLine, RefusesWhatMakesNoSense) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "-np is missing: how many ranks? As in farandolerun -np 2 PROGRAM\n"},
      {{"./average", "x", "--num-proc=2"},
       "-np is missing: the --num-proc=2 behind ./average is an argument of that program; flags of "
       "farandolerun stand before it, as in farandolerun -np 2 PROGRAM\n"},
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
      {{"-np", "1", "--bind-to", "board", "p"},
       "--bind-to \"board\" is not valid: one of none, hwthread, core, numa and socket is "
       "wanted\n"},
      {{"-np", "1", "--bind-to", "core", "--map-by", "none", "p"},
       "--map-by \"none\" is not valid: one of slot, hwthread, core, numa and socket is wanted\n"},
      {{"-np", "1", "--map-by", "slot", "p"},
       "--map-by says in which order ranks are bound, and none is; give --bind-to too\n"},
      {{"-np", "99999999999", "p"},
       "-np \"99999999999\" is not valid: a whole number from 1 to 65536 is wanted\n"},
      {{"--tiemout", "3", "p"},
       "unknown flag --tiemout; did you mean --timeout? (farandolerun --help lists all)\n"},
      {{"--num_proc=3", "p"},
       "unknown flag --num_proc=3; did you mean --num-proc? (farandolerun --help lists all)\n"},
      {{"-np", "1", "--fusion-threshold-mb", "1.5", "p"},
       "--fusion-threshold-mb \"1.5\" is not valid: a whole number of MiB from 0 to 65536 is "
       "wanted\n"},
      {{"-np", "1", "--log-level", "loud", "p"},
       "--log-level \"loud\" is not valid: one of trace debug info warning error fatal off is "
       "wanted\n"},
      {{"-np", "1", "--thread-affinity", "0-1", "p"},
       "--thread-affinity \"0-1\" is not valid: cores, one for each rank of a host, such as 0,2 is "
       "wanted\n"},
      {{"-np", "1", "--mpi", "p"},
       "--mpi: there is no MPI here; leave it out: the launcher starts the ranks by itself\n"},
      {{"-H", "a:1", "-hostfile", "b", "p"},
       "-H and -hostfile contradict each other: give one of them\n"},
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
      {{"-np", "1", "--hierarchical-allreduce", "--no-hierarchical-allgather", "p"},
       "--hierarchical-allreduce and --no-hierarchical-allgather contradict each other: give one "
       "of them\n"},
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

CommandLine with_file(const std::vector<std::string>& arguments, const std::string& text) {
  return parse_command_line(
      arguments, [&](const std::string&) { return Result<std::string>(text); });
}

TEST(CommandLine, ReadsAHostfile) {
  for (const char* flag : {"-hostfile", "--hostfile"}) {
    const CommandLine line = with_file({flag, "hosts", "x"}, "a slots=2\nb slots=1\n");
    ASSERT_TRUE(line.run) << line.text;
    EXPECT_THAT(line.run->hosts, ElementsAre(Host{"a", 2}, Host{"b", 1}));
    EXPECT_EQ(line.run->ranks, 3);
  }
  EXPECT_EQ(
      with_file({"-hostfile", "my.txt", "x"}, "a slots=65536\nb\n").text,
      "farandolerun: my.txt has more than 65536 slots in all; fewer are wanted, or -np\n");
  EXPECT_EQ(
      with_file({"-hostfile", "my.txt", "x"}, "a slots=x").text,
      "farandolerun: my.txt:1: slots=\"x\" is not a number of slots for a; a whole number from 1 "
      "to 65536 is wanted\n");
  EXPECT_EQ(
      parse_command_line({"-hostfile", "none", "x"}, no_file).text,
      "farandolerun: -hostfile: none cannot be read: No such file or directory\n");
}

TEST(CommandLine, ReadsAConfigurationFileAfterTheFlags) {
  const std::string text = "params: {cache_capacity: 5}\nlogging: {level: info}\n";
  const CommandLine line =
      with_file({"--config-file", "j", "-np", "1", "--log-level", "error", "x"}, text);
  ASSERT_TRUE(line.run) << line.text;
  EXPECT_THAT(
      line.run->settings,
      testing::UnorderedElementsAre(
          std::pair("FARANDOLE_CACHE_CAPACITY", "5"), std::pair("FARANDOLE_LOG_LEVEL", "error")));
  EXPECT_EQ(
      with_file({"--config-file", "j", "-np", "1", "x"}, "params:\n  cache_capacity: many\n").text,
      "farandolerun: j:2: cache_capacity \"many\" is not valid: a whole number from 0 to 16777216 "
      "is wanted\n");
  const std::string both = "params:\n  hierarchical_allreduce: true\n";
  EXPECT_EQ(
      with_file({"--config-file", "j", "-np", "1", "x"}, both + "  hierarchical_allgather: false\n")
          .text,
      "farandolerun: j:2: hierarchical_allreduce and j:3: hierarchical_allgather contradict each "
      "other: give one of them\n");
  EXPECT_EQ(
      with_file({"--config-file", "j", "-np", "1", "--no-hierarchical-allgather", "x"}, both).text,
      "farandolerun: j:2: hierarchical_allreduce and --no-hierarchical-allgather contradict each "
      "other: give one of them\n");
  EXPECT_EQ(
      parse_command_line({"--config-file", "none", "x"}, no_file).text,
      "farandolerun: --config-file: none cannot be read: No such file or directory\n");
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
  EXPECT_THAT(parse_command_line({"-cb"}).text, HasSubstr("[X] Gloo\n"));
  EXPECT_THAT(
      parse_command_line({"--help-env"}).text, HasSubstr("FARANDOLE_FUSION_BYTES=67108864"));
  EXPECT_THAT(parse_command_line({"--help-env=markdown"}).text, StartsWith("# Configuration\n"));
}

}  // namespace
}  // namespace farandole::launch

#include "controller/launch/output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "controller/launch/fd.h"

namespace farandole::launch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> lines_of(const std::vector<std::string>& pieces, bool overwrite = false) {
  LineAssembler lines(overwrite);
  std::vector<std::string> got;
  const auto sink = [&](std::string_view line) { got.emplace_back(line); };
  for (const std::string& piece : pieces) lines.feed(piece, sink);
  lines.finish(sink);
  return got;
}

TEST(LineAssembler, MakesTheSameLinesHoweverTheBytesAreCut) {
  const std::string text("one\n\nt\0wo\r\n\x1b[1mthree\xff", 21);
  const std::vector<std::string> expected = {
      "one", "", std::string("t\0wo\r", 5), "\x1b[1mthree\xff"};
  EXPECT_EQ(lines_of({text}), expected);
  for (size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(lines_of({text.substr(0, cut), text.substr(cut)}), expected) << cut;
}

TEST(LineAssembler, SplitsWhatIsTooLong) {
  const std::string full(kMaxLineBytes, 'x');
  EXPECT_THAT(lines_of({full + "\n"}), ElementsAre(full));
  EXPECT_THAT(lines_of({full, "\n"}), ElementsAre(full));
  EXPECT_THAT(lines_of({full + "y\nz"}), ElementsAre(full, "y", "z"));
  EXPECT_THAT(lines_of({full, full, "y"}), ElementsAre(full, full, "y"));
}

TEST(LineAssembler, NothingIsNoLine) {
  EXPECT_THAT(lines_of({}), IsEmpty());
  EXPECT_THAT(lines_of({"", "a\n", ""}), ElementsAre("a"));
}

TEST(LineAssembler, KeepsCarriageReturnsUnlessOnATerminal) {
  EXPECT_THAT(lines_of({"\r10%\r20%\n"}), ElementsAre("\r10%\r20%"));
}

TEST(LineAssembler, OnATerminalOnlyTheLastStateOfALineStays) {
  const std::string text = "\r10%\r20%\r\nnext\r";
  for (size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_THAT(
        lines_of({text.substr(0, cut), text.substr(cut)}, true), ElementsAre("20%\r", "next\r"))
        << cut;
}

TEST(LineAssembler, ShowsTheLineSoFar) {
  LineAssembler lines(true);
  const auto ignore = [](std::string_view) {};
  lines.feed("\r 10%", ignore);
  EXPECT_EQ(lines.partial(), " 10%");
  lines.feed("\r 20%\r", ignore);
  EXPECT_EQ(lines.partial(), " 20%");
  lines.feed("\n", ignore);
  EXPECT_EQ(lines.partial(), "");
}

TEST(Tail, KeepsTheLastFewLinesWithText) {
  Tail tail;
  for (int i = 0; i < 100; ++i) tail.add("line " + std::to_string(i));
  tail.add("  \r");
  tail.add(std::string(5000, 'x'));
  EXPECT_THAT(tail.lines(), SizeIs(10));
  EXPECT_EQ(tail.lines().front(), "line 91");
  EXPECT_THAT(tail.lines().back(), SizeIs(512));
}

TEST(Tail, KeepsATracebackWholeWithinABound) {
  Tail tail;
  for (int i = 0; i < 20; ++i) tail.add("epoch " + std::to_string(i));
  tail.add("Traceback (most recent call last):");
  for (int i = 0; i < 38; ++i) tail.add("  frame " + std::to_string(i));
  tail.add("ValueError: no");
  EXPECT_THAT(tail.lines(), SizeIs(40));
  EXPECT_EQ(tail.lines().front(), "Traceback (most recent call last):");
  tail.add("one more");
  EXPECT_THAT(tail.lines(), SizeIs(10));
  EXPECT_EQ(tail.lines().front(), "  frame 30");
}

TEST(Tail, KeepsTheErrorThatAnotherOneFollowed) {
  Tail tail;
  for (const char* which : {"first", "second", "third"}) {
    tail.add("Traceback (most recent call last):");
    for (int i = 0; i < 14; ++i) tail.add("  frame");
    tail.add(which);
  }
  // Three would be too many lines: it begins with the second.
  EXPECT_THAT(tail.lines(), SizeIs(32));
  EXPECT_EQ(tail.lines()[15], "second");
}

TEST(FitColumns, CountsWhatATerminalShows) {
  EXPECT_EQ(fit_columns("abcdef", 3), "abc");
  EXPECT_EQ(fit_columns("abc", 3), "abc");
  EXPECT_EQ(fit_columns("\x1b[31mab\x1b[0mc", 2), "\x1b[31mab\x1b[0m");
  EXPECT_EQ(fit_columns("äöü", 2), "äö");
  EXPECT_EQ(fit_columns("ab\x1b[3", 5), "ab\x1b[3");
}

// Output into two pipes, read back.
class OutputTest : public testing::Test {
 protected:
  void SetUp() override {
    for (Pipe* pipe : {&out_, &err_}) {
      auto made = make_pipe();
      ASSERT_TRUE(made);
      *pipe = std::move(made).value();
    }
  }
  Output make(bool terminal, bool colour) {
    Output::Targets targets;
    targets.out = {out_.write.get(), terminal, colour};
    targets.err = {err_.write.get(), terminal, colour};
    return {targets, 2};
  }
  static std::string read_all(const Pipe& pipe) {
    std::string text(1 << 16, '\0');
    const ssize_t got = read(pipe.read.get(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return text;
  }
  Pipe out_;
  Pipe err_;
};

TEST_F(OutputTest, PrefixesWholeLinesByStream) {
  Output output = make(false, false);
  output.feed(0, Stream::Out, "he");
  output.feed(1, Stream::Out, "from one\n");
  output.feed(1, Stream::Err, "bad\n");
  output.feed(0, Stream::Out, "llo\nrest");
  output.finish(0, Stream::Out);
  output.say("farandolerun: done\n");
  EXPECT_TRUE(output.write_some());
  EXPECT_TRUE(output.empty());
  EXPECT_EQ(read_all(out_), "[1] from one\n[0] hello\n[0] rest\n");
  EXPECT_EQ(read_all(err_), "[1] bad\nfarandolerun: done\n");
  EXPECT_THAT(output.tail(0).lines(), ElementsAre("hello", "rest"));
  EXPECT_THAT(output.tail(1).lines(), ElementsAre("from one", "bad"));
}

TEST_F(OutputTest, ColoursThePrefixByRank) {
  Output output = make(false, true);
  output.feed(0, Stream::Out, "a\n");
  output.feed(1, Stream::Out, "b\n");
  EXPECT_TRUE(output.write_some());
  EXPECT_EQ(read_all(out_), "\x1b[36m[0]\x1b[0m a\n\x1b[33m[1]\x1b[0m b\n");
}

TEST_F(OutputTest, RankZeroIsLiveOnATerminalAndLinesStayWhole) {
  Output output = make(true, false);
  output.feed(0, Stream::Out, "name? ");
  output.feed(1, Stream::Out, "unfinished");
  output.feed(1, Stream::Out, " line\n");
  output.feed(0, Stream::Out, "\r 20%");
  output.feed(0, Stream::Out, "\r100%\n");
  EXPECT_TRUE(output.write_some());
  EXPECT_EQ(
      read_all(out_),
      "[0] name? "
      "\r\x1b[K[1] unfinished line\n"
      "[0]  20%"
      "\r\x1b[K[0] 100%\n");
}

TEST_F(OutputTest, StopsTakingWhenNobodyReads) {
  Output output = make(false, false);
  const std::string line(1000, 'x');
  size_t fed = 0;
  while (!output.full(Stream::Out) && fed < (64 << 20)) {
    output.feed(0, Stream::Out, line + "\n");
    EXPECT_TRUE(output.write_some());
    fed += line.size();
  }
  EXPECT_LT(fed, size_t{2 << 20});
  EXPECT_EQ(output.waiting_fd(Stream::Out), out_.write.get());
  EXPECT_FALSE(output.full(Stream::Err))
      << "a slow reader of one stream must not hold the other up";
}

TEST_F(OutputTest, SaysWhenTheReaderIsGone) {
  signal(SIGPIPE, SIG_IGN);
  Output output = make(false, false);
  out_.read.reset();
  output.feed(0, Stream::Out, "x\n");
  EXPECT_FALSE(output.write_some());
  EXPECT_TRUE(output.empty());
  output.feed(0, Stream::Out, "dropped\n");
  EXPECT_TRUE(output.empty());
}

TEST_F(OutputTest, AFullDiskLosesOutputOnceSaid) {
  const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full);
  Output::Targets targets;
  targets.out.fd = full.get();
  targets.err.fd = err_.write.get();
  Output output(targets, 1);
  for (int i = 0; i < 3; ++i) {
    output.feed(0, Stream::Out, "x\n");
    EXPECT_TRUE(output.write_some());
  }
  EXPECT_EQ(
      read_all(err_),
      "farandolerun: warning: standard output is lost from here on: write: No space left on device "
      "(errno 28)\n");
}

}  // namespace
}  // namespace farandole::launch

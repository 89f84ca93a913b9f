#include "core/group_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole {
namespace {

using ::testing::ElementsAre;

Request asked(
    std::string name, CollectiveKind kind = CollectiveKind::Allreduce, uint32_t process_set = 0) {
  Request r;
  r.name = std::move(name);
  r.signature.kind = kind;
  r.signature.process_set = process_set;
  return r;
}

std::vector<std::string> names_of(const GroupTable& groups, std::vector<Request> requests) {
  groups.name(requests);
  std::vector<std::string> names;
  for (Request& request : requests) names.push_back(std::move(request.name));
  return names;
}

class GroupTableTest : public ::testing::Test {
 protected:
  GroupTableTest() {
    groups_.add(std::make_shared<Group>(0, std::vector<int>{0, 1, 2}));
    groups_.add(std::make_shared<Group>(1, std::vector<int>{0, 2}));
  }
  GroupTable groups_;
};

TEST_F(GroupTableTest, AutomaticNamesCountForEachKindInEachSet) {
  EXPECT_THAT(
      names_of(
          groups_,
          {asked(""),
           asked("", CollectiveKind::Broadcast),
           asked("", CollectiveKind::Allreduce, 1),
           asked("")}),
      ElementsAre(
          "allreduce.noname.1", "broadcast.noname.1", "allreduce.noname.1", "allreduce.noname.2"));
  EXPECT_EQ(groups_.next_name(CollectiveKind::Allreduce, 1), "allreduce.noname.2");
  EXPECT_EQ(groups_.next_name(CollectiveKind::Barrier, 1), "barrier.noname.1");
}

TEST_F(GroupTableTest, WhatHasANameKeepsItAndAJoinHasNone) {
  EXPECT_THAT(
      names_of(groups_, {asked("x"), asked("", CollectiveKind::Join)}), ElementsAre("x", ""));
  EXPECT_EQ(groups_.next_name(CollectiveKind::Allreduce, 0), "allreduce.noname.1");
}

TEST_F(GroupTableTest, MessagesCountForEachWayAndTellIt) {
  const auto message = [](std::string name, Way way, uint32_t set = 0) {
    Request r = asked(std::move(name), CollectiveKind::Message, set);
    r.signature.root = way.from;
    r.signature.operand = {way.to};
    return r;
  };
  EXPECT_THAT(
      names_of(
          groups_,
          {message("x", {0, 1}),
           message("", {0, 1}),
           message("", {1, 0}),
           message("", {0, 1}),
           message("", {0, 2}, 1),
           message("", {0, 1}, 1),
           message("", {0, 0})}),
      ElementsAre(
          "x 0->1",
          "message.noname.1 0->1",
          "message.noname.1 1->0",
          "message.noname.2 0->1",
          "message.noname.1 0->2",
          "message.noname.0 0->1",
          "message.noname.0 0->0"));
  groups_.find(0)->names.restart();
  EXPECT_EQ(groups_.next_name(CollectiveKind::Message, 0, {0, 1}), "message.noname.1.1");
}

TEST_F(GroupTableTest, ChangesOfProcessSetsCountAsOneKind) {
  EXPECT_THAT(
      names_of(
          groups_,
          {asked("", CollectiveKind::AddProcessSet), asked("", CollectiveKind::RemoveProcessSet)}),
      ElementsAre("process_set.noname.1", "process_set.noname.2"));
}

TEST_F(GroupTableTest, AfterAJoinAllCountAnewUnderOtherNames) {
  EXPECT_EQ(groups_.next_name(CollectiveKind::Allreduce, 1), "allreduce.noname.1");
  groups_.find(1)->names.restart();
  EXPECT_EQ(groups_.next_name(CollectiveKind::Allreduce, 1), "allreduce.noname.1.1");
  EXPECT_EQ(groups_.next_name(CollectiveKind::Barrier, 1), "barrier.noname.1.1");
  EXPECT_EQ(groups_.next_name(CollectiveKind::Allreduce, 0), "allreduce.noname.1");
}

TEST_F(GroupTableTest, NothingCountsInASetThatDoesNotExist) {
  EXPECT_EQ(groups_.next_name(CollectiveKind::Allreduce, 7), "allreduce.noname.0");
  EXPECT_EQ(groups_.next_name(CollectiveKind::Allreduce, 7), "allreduce.noname.0");
  groups_.add(std::make_shared<Group>(7, std::vector<int>{1}));
  EXPECT_EQ(groups_.next_name(CollectiveKind::Allreduce, 7), "allreduce.noname.1");
}

TEST_F(GroupTableTest, ARetiredSetIsServedUntilItIsForgotten) {
  const GroupTable::GroupPtr group = groups_.retire(1);
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(groups_.find(1), nullptr);
  EXPECT_EQ(groups_.serving(1), group);
  EXPECT_THAT(groups_.ids(), ElementsAre(0));
  EXPECT_EQ(groups_.all().size(), 2U);
  EXPECT_EQ(groups_.retire(1), nullptr);
  groups_.forget(1);
  EXPECT_EQ(groups_.serving(1), nullptr);
  EXPECT_EQ(groups_.all().size(), 1U);
  EXPECT_EQ(groups_.missing(1).message(), "process set 1 was removed");
  EXPECT_EQ(groups_.missing(2).message(), "there is no process set 2");
}

TEST_F(GroupTableTest, SaysWhoCanSubmitNothing) {
  EXPECT_TRUE(groups_.find(1)->has(2));
  EXPECT_FALSE(groups_.find(1)->has(1));
  EXPECT_EQ(
      groups_.find(1)->excludes(1).message(),
      "rank 1 is not in process set 1, whose ranks are 0, 2");
}

}  // namespace
}  // namespace farandole

#pragma once
// Mutations: the deliberate bugs of the protocol, of which the nets must catch every one. Each name
// stands once in controller/protocol, as FARANDOLE_MUTATE(Name).

#include <array>
#include <cstdint>
#include <string_view>

namespace farandole::mutation {

// Which nets know the part that it is in. Of heartbeats, which are about time, the search does not.
enum class Nets : uint8_t { Both, Simulator };

struct Mutation {
  std::string_view name;
  std::string_view bug;
  Nets nets = Nets::Both;
};

inline constexpr std::array kMutations = std::to_array<Mutation>({
    {"AcceptAnyJob", "frames of another job count"},
    {"AcceptAnyEpoch", "frames of another epoch count"},
    {"AcceptAnyIncarnation", "frames of another process of the rank count"},
    {"AcceptAnySeq", "a repeated frame counts"},
    {"IgnoreSettings", "ranks with different settings form a group"},
    {"CountTheLost", "a rank lost while the group forms counts as joined"},
    {"ForgetTheJoined", "a rank that has joined is forgotten"},
    {"TellNoSilentJoiner", "who is connected and silent is not told that the group is refused"},
    {"TellNoLatecomer", "who connects later is not told that the group was refused"},
    {"SkipFormationDeadline", "the deadline of formation is skipped"},
    {"TellOneRankOfTheVerdict", "a verdict is told to one rank only"},
    {"OneMoreRoundForOne", "one rank alone is told a last round before a verdict"},
    {"AcknowledgeBeforeReady", "a goodbye is acknowledged before what was ready is told"},
    {"ForgetWhoLeft", "a rank that left is not remembered"},
    {"BelieveAccusations", "an accusation is the verdict at once"},
    {"TakeTheLastAccusation", "a later accusation replaces the first"},
    {"BlameWhoWaits", "who accuses another is blamed for being waited for"},
    {"SkipConfirmDeadline", "an accusation never becomes the verdict"},
    {"ReplaceTheVerdict", "a second verdict follows the first"},
    {"BlameWhoLeft", "a rank that left is blamed when its connection closes"},
    {"BlameAnother", "the wrong rank is blamed"},
    {"TellNoSilentRank", "a silent rank is not told that it was given up"},
    {"HoldBackForever", "what is ready is held back for ever"},
    {"RejectToOneRank", "a mismatch is told to one rank only"},
    {"IgnoreProcessSets", "all ranks count as members of every process set"},
    {"ReuseSetId", "the id of a removed process set is given again"},
    {"KeepPendingOfRemoved", "what is pending in a removed process set is not rejected"},
    {"KeepRemovedSet", "a removed process set goes on to agree"},
    {"WaitForTheJoined", "a rank that has joined is waited for"},
    {"CountJoinedTwice", "who submitted before it joined counts twice"},
    {"NameTheFirstJoined", "the rank that joined first is named as the last"},
    {"TellNoStandIn", "who has joined is not told what to put in"},
    {"CacheUnderJoin", "what is agreed upon while a rank has joined is cached"},
    {"JoinOvertakes", "a join overtakes what is to be announced again"},
    {"RemovalOvertakes", "the removal of a process set overtakes what is to be announced again"},
    {"WaitForTheUnlike", "ranks that mean unlike groups by one name wait for ever"},
    {"RejectFirstMembers", "of unlike groups only the first members are rejected"},
    {"NoQuotaOfTensors", "a rank may announce any number of tensors"},
    {"CountRankTwice", "a rank's announcement counts twice"},
    {"ReuseEvictedId", "an id of the cache is given again after its eviction"},
    {"EvictUntold", "ranks are not told which ids were evicted"},
    {"ForgetTheRemoved", "what is announced after a goodbye waits for the rank that left"},
    {"KeepPending", "what waits for a rank that leaves is not rejected"},
    {"KeepOldExtents", "changed rows of an allgather are not told"},
    {"TakeAnyForTheRoot", "of a scatter what another rank than the root said is kept"},
    {"ForgetTheWay", "messages of one name meet that go different ways"},
    {"WaitForAllOfAMessage", "a message waits for ranks that are none of its ends"},
    {"SendToTheJoined", "a message is agreed upon with a rank that has joined"},
    {"ForgetTheMemory", "what a receiver's memory is for is forgotten once it is cached"},
    {"NoQuotaOfStore", "a rank may publish any number of bytes"},
    {"LeaveStoreWaiting", "store requests wait on when the job fails"},
    {"ListenAfterTheEnd", "a worker listens after the verdict"},
    {"IdForAnySignature", "an id is used for another signature"},
    {"AcceptGaps", "a round is carried out although one before it is missing"},
    {"OrderOfOwnRank", "a rank runs what is ready in an order of its own"},
    {"KeepRejectedId", "a rejected tensor keeps its id"},
    {"IgnoreResend", "forgotten ids are not announced again"},
    {"ForgetInFlight", "a rank without coordinator forgets what it had announced"},
    {"GoWithoutAWord", "who gives rank 0 up does not say why"},
    {"NameWhoSubmitted", "who has submitted is named as missing", Nets::Simulator},
    {"AskAgain", "a rank is asked again before it has answered", Nets::Simulator},
    {"BlameLateAnswers", "who says too late where it is is blamed", Nets::Simulator},
    {"AskOnlyTheFirstMissing", "of the ranks that are missing only one is asked", Nets::Simulator},
    {"ForgetTheStall", "no wait ends the job, however long", Nets::Simulator},
    {"EndWhatIsAnswered", "a wait ends the job although all had submitted", Nets::Simulator},
    {"MissBeats", "heartbeats do not count", Nets::Simulator},
    {"ForgiveSilence", "a silent rank is never given up", Nets::Simulator},
    {"HalfThePatience", "a silent rank is given up after half of the time-out", Nets::Simulator},
    {"AccuseAfterAStop", "who was stopped accuses others when it wakes", Nets::Simulator},
});

// From now on the protocol of this binary has this one bug, on this thread; empty: none.
void mutate(std::string_view name) noexcept;
// How often the protocol has asked for the present one since.
size_t times_asked() noexcept;
// Whether it has ever asked for a bug that is not in the list.
bool asked_for_a_stranger() noexcept;

}  // namespace farandole::mutation

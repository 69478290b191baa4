// The decorators of faults/ over both worlds: every harm they know is done to a call here, and the
// call after it is whole. That they do nothing without rules is held by the conformance suites of
// Disk, Network and Framing, which run over them, too.
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "faults/faulty_disk.h"
#include "faults/faulty_network.h"
#include "tests/conformance/worlds.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using faults::DiskCall;
using faults::DiskHarm;
using faults::NetworkCall;
using faults::NetworkHarm;
using faults::RuleId;
using faults::Strikes;
using io::OpenMode;

constexpr auto kPatience = 20s;

TEST(Rules, PatternsMatch) {
  for (const auto& [pattern, text, expected] :
       std::initializer_list<std::tuple<const char*, const char*, bool>>{
           {"", "anything", true},
           {"log", "log", true},
           {"log", "log2", false},
           {"log", "a/log", false},
           {"*", "", true},
           {"log*", "log.new", true},
           {"*log", "a/log", true},
           {"a*c*e", "abcde", true},
           {"a*c*e", "abde", false},
           {"*.new", "x.new.new", true},
           {"server:*", "server:70", true},
           {"a**b", "ab", true}}) {
    EXPECT_EQ(faults::Matches(pattern, text), expected) << pattern << " " << text;
  }
}

WEIR_CONFORMANCE(FaultyDisk);

// A file of some bytes that is open, through `disk`.
absl::StatusOr<std::unique_ptr<io::File>> Written(io::Disk& disk, std::string_view path,
                                                  std::string_view bytes) {
  ASSIGN_OR_RETURN(auto file, disk.Open(path, OpenMode::kOverwrite));
  RETURN_IF_ERROR(file->Append(bytes));
  return file;
}

TEST_P(FaultyDisk, FailsTheCallsThatTheRuleNamesAndNoOther) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    ASSIGN_OR_RETURN(const auto log, Written(disk, "log", "0123456789"));
    ASSIGN_OR_RETURN(const auto other, Written(disk, "other", "0123456789"));
    const RuleId rule = disk.Add({Strikes{.first = 2, .times = 2}, DiskCall::kRead, "log"});
    char room[4];
    found.Ok(log->Read(0, absl::MakeSpan(room)));
    found.Ok(other->Read(0, absl::MakeSpan(room)));
    found.Error(log->Read(0, absl::MakeSpan(room)).status(), StatusCode::kDataLoss, "\"log\"");
    found.Ok(other->Read(0, absl::MakeSpan(room)));
    found.Code(log->Read(0, absl::MakeSpan(room)), StatusCode::kDataLoss);
    found.Ok(log->Read(0, absl::MakeSpan(room)));
    found.Ok(log->Sync());
    found.Equal(disk.strikes(rule), uint64_t{2});
    return absl::OkStatus();
  });
}

TEST_P(FaultyDisk, EveryCallCanBeFailedWithAnyCode) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    ASSIGN_OR_RETURN(const auto file, Written(disk, "f", "text"));
    RETURN_IF_ERROR(disk.MakeDirectory("d"));
    char room[4];
    const std::vector<std::pair<DiskCall, std::function<absl::Status()>>> calls = {
        {DiskCall::kOpen, [&] { return disk.Open("g", OpenMode::kCreate).status(); }},
        {DiskCall::kRead, [&] { return file->Read(0, absl::MakeSpan(room)).status(); }},
        {DiskCall::kWrite, [&] { return file->Write(0, "TEXT"); }},
        {DiskCall::kWrite, [&] { return file->Append("more"); }},
        {DiskCall::kTruncate, [&] { return file->Truncate(0); }},
        {DiskCall::kSize, [&] { return file->Size().status(); }},
        {DiskCall::kRename, [&] { return disk.Rename("f", "g"); }},
        {DiskCall::kLink, [&] { return disk.Link("f", "g"); }},
        {DiskCall::kRemove, [&] { return disk.Remove("f"); }},
        {DiskCall::kMakeDirectory, [&] { return disk.MakeDirectory("e"); }},
        {DiskCall::kRemoveDirectory, [&] { return disk.RemoveDirectory("d"); }},
        {DiskCall::kSyncDirectory, [&] { return disk.SyncDirectory(""); }},
        {DiskCall::kList, [&] { return disk.List("").status(); }},
        {DiskCall::kStat, [&] { return disk.Stat("f").status(); }},
        {DiskCall::kLock, [&] { return disk.Lock("LOCK").status(); }},
        {DiskCall::kSpace, [&] { return disk.Space().status(); }},
        {DiskCall::kSync, [&] { return file->Sync(); }},
    };
    for (const auto& [call, run] : calls) {
      const RuleId rule = disk.Add({.call = call, .code = StatusCode::kUnavailable});
      found.Code(run(), StatusCode::kUnavailable);
      found.Equal(disk.strikes(rule), uint64_t{1});
    }
    // Nothing of all that has happened.
    ASSIGN_OR_RETURN(const auto names, disk.List(""));
    found.Equal(names, std::vector<std::string>{"d", "f"});
    ASSIGN_OR_RETURN(const std::string text, io::ReadFile(disk, "f"));
    found.Equal(text, std::string("text"));
    return absl::OkStatus();
  });
}

TEST_P(FaultyDisk, AFailedSyncBreaksTheFileForGood) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    disk.Add({.call = DiskCall::kSync, .path = "a"});
    ASSIGN_OR_RETURN(const auto a, Written(disk, "a", "text"));
    ASSIGN_OR_RETURN(const auto b, Written(disk, "b", "text"));
    found.Code(a->Sync(), StatusCode::kDataLoss);
    found.Error(a->Sync(), StatusCode::kDataLoss, "afresh under another name");
    found.Ok(b->Sync());
    return absl::OkStatus();
  });
}

TEST_P(FaultyDisk, RunsFullInTheMiddleOfAWriteAndHasRoomAgain) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    ASSIGN_OR_RETURN(const auto file, disk.Open("f", OpenMode::kCreate));
    const RuleId full = disk.Add({Strikes{.times = Strikes::kAlways}, DiskCall::kWrite, "",
                                  DiskHarm::kFull, StatusCode::kOk, /*bytes=*/10});
    found.Ok(file->Append("01234567"));
    ASSIGN_OR_RETURN(const io::DiskSpace space, disk.Space());
    found.Equal(space.free_bytes, uint64_t{2});
    found.Error(file->Append("89abcdef"), StatusCode::kResourceExhausted, "no space");
    found.Code(file->Append("g"), StatusCode::kResourceExhausted);
    found.Equal(disk.strikes(full), uint64_t{2});
    disk.Remove(full);
    found.Ok(file->Append("h"));
    ASSIGN_OR_RETURN(const std::string text, io::ReadFile(disk, "f"));
    found.Equal(text, std::string("0123456789h"));
    return absl::OkStatus();
  });
}

TEST_P(FaultyDisk, AShortWriteLeavesItsFront) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    ASSIGN_OR_RETURN(const auto file, Written(disk, "f", "----------"));
    disk.Add({.call = DiskCall::kWrite, .harm = DiskHarm::kShort, .bytes = 3});
    found.Error(file->Write(2, "abcdef"), StatusCode::kDataLoss, "3 bytes only");
    ASSIGN_OR_RETURN(const std::string text, io::ReadFile(disk, "f"));
    found.Equal(text, std::string("--abc-----"));
    return absl::OkStatus();
  });
}

TEST_P(FaultyDisk, AFlipIsOneBitOfOneReadOnly) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    RETURN_IF_ERROR(Written(disk, "f", "0123456789").status());
    ASSIGN_OR_RETURN(const auto file, disk.Open("f", OpenMode::kRead));
    const RuleId rule = disk.Add({.call = DiskCall::kRead, .harm = DiskHarm::kFlip, .bytes = 3});
    char room[10];
    ASSIGN_OR_RETURN(const size_t nothing, file->Read(100, absl::MakeSpan(room)));
    found.Equal(nothing, size_t{0});
    found.Equal(disk.strikes(rule), uint64_t{0});
    ASSIGN_OR_RETURN(const size_t wrong, file->Read(0, absl::MakeSpan(room)));
    found.Equal(std::string(room, wrong), std::string("012;456789"));
    ASSIGN_OR_RETURN(const size_t right, file->Read(0, absl::MakeSpan(room)));
    found.Equal(std::string(room, right), std::string("0123456789"));
    found.Equal(disk.strikes(rule), uint64_t{1});
    return absl::OkStatus();
  });
}

TEST_P(FaultyDisk, ASlowCallTakesItsTimeAndHappens) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    ASSIGN_OR_RETURN(const auto file, Written(disk, "f", "text"));
    disk.Add({.call = DiskCall::kSync, .harm = DiskHarm::kDelay, .delay = 20ms});
    disk.Add({.call = DiskCall::kSync, .harm = DiskHarm::kDelay, .delay = 10ms});
    const io::Monotonic start = env.clock.Now();
    found.Ok(file->Sync());
    found.True(env.clock.Now() - start >= 30ms, "both delays");
    return absl::OkStatus();
  });
}

TEST_P(FaultyDisk, AHungCallGoesOnWhenReleasedAndCanBeCancelled) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    ASSIGN_OR_RETURN(const auto file, Written(disk, "f", "text"));
    const RuleId hang =
        disk.Add({Strikes{.times = Strikes::kAlways}, DiskCall::kSync, "f", DiskHarm::kHang});
    int synced = 0;
    RETURN_IF_ERROR(io::WithScope(env, "given up", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("sync", [&] { synced += found.Ok(file->Sync()); }));
      env.Sleep(2ms);
      return absl::OkStatus();
    }));
    found.Equal(synced, 0);
    return io::WithScope(env, "released", [&](io::Scope& scope) -> absl::Status {
      for (int i = 0; i < 3; ++i)
        RETURN_IF_ERROR(scope.Spawn("sync", [&] { synced += found.Ok(file->Sync()); }));
      env.Sleep(2ms);
      found.Equal(synced, 0);
      found.Equal(disk.strikes(hang), uint64_t{4});
      disk.RemoveAll();
      scope.Join();
      found.Equal(synced, 3);
      return absl::OkStatus();
    });
  });
}

TEST_P(FaultyDisk, ReplaceFileSurvivesEveryCallThatFails) {
  // The helper that the engine's manifests rest on: the old content or the new, never a mixture.
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    int failures = 0;
    for (uint64_t call = 1; call <= 8; ++call) {
      RETURN_IF_ERROR(io::ReplaceFile(env.disk, "f", "old"));
      const RuleId rule = disk.Add({Strikes{.first = call}});
      const absl::Status status = io::ReplaceFile(disk, "f", "new");
      failures += disk.strikes(rule) > 0;
      found.Equal(status.ok(), disk.strikes(rule) == 0);
      disk.RemoveAll();
      ASSIGN_OR_RETURN(const std::string text, io::ReadFile(env.disk, "f"));
      found.True(text == "old" || text == "new", "old or new");
      if (status.ok()) found.Equal(text, std::string("new"));
    }
    found.Equal(failures, 5);  // open, append, sync, rename, sync of the directory
    return absl::OkStatus();
  });
}

// ---------------------------------------------------------------------------------- network

WEIR_CONFORMANCE(FaultyNetwork);

// A connection whose connecting side goes through `faulty` and whose other side does not.
struct Pair {
  std::unique_ptr<io::Listener> listener;
  std::unique_ptr<io::Stream> here;
  std::unique_ptr<io::Stream> there;
};

absl::StatusOr<Pair> Connected(io::Env& env, faults::FaultyNetwork& faulty) {
  Pair pair;
  ASSIGN_OR_RETURN(pair.listener, env.network.Listen({"127.0.0.1", 0}));
  ASSIGN_OR_RETURN(pair.here, faulty.Connect(pair.listener->address(), env.Deadline(kPatience)));
  ASSIGN_OR_RETURN(pair.there, pair.listener->Accept(env.Deadline(kPatience)));
  return pair;
}

// Until the end or an error, which is added in brackets.
std::string ReadAll(io::Env& env, io::Stream& stream) {
  std::string text;
  char room[64];
  for (;;) {
    const absl::StatusOr<size_t> got = stream.Read(absl::MakeSpan(room), env.Deadline(kPatience));
    if (!got.ok()) return text + "[" + absl::StatusCodeToString(got.status().code()) + "]";
    if (*got == 0) return text;
    text.append(room, *got);
  }
}

std::string ReadSome(io::Env& env, io::Stream& stream, size_t bytes) {
  std::string text;
  char room[64];
  while (text.size() < bytes) {
    const absl::StatusOr<size_t> got =
        stream.Read(absl::MakeSpan(room).first(std::min(sizeof(room), bytes - text.size())),
                    env.Deadline(kPatience));
    if (!got.ok()) return text + "[" + absl::StatusCodeToString(got.status().code()) + "]";
    if (*got == 0) break;
    text.append(room, *got);
  }
  return text;
}

TEST_P(FaultyNetwork, RefusesTheConnectsThatTheRuleNames) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    ASSIGN_OR_RETURN(const auto one, env.network.Listen({"127.0.0.1", 0}));
    ASSIGN_OR_RETURN(const auto two, env.network.Listen({"127.0.0.1", 0}));
    const RuleId rule =
        network.Add({Strikes{.times = 2}, NetworkCall::kConnect, one->address().ToString()});
    const auto connect = [&](io::Listener& to) {
      return network.Connect(to.address(), env.Deadline(kPatience)).status();
    };
    found.Error(connect(*one), StatusCode::kUnavailable, "refused");
    found.Ok(connect(*two));
    found.Code(connect(*one), StatusCode::kUnavailable);
    found.Ok(connect(*one));
    found.Equal(network.strikes(rule), uint64_t{2});
    return absl::OkStatus();
  });
}

TEST_P(FaultyNetwork, FailsEveryKindOfCallAsTcpWould) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    network.Add({.call = NetworkCall::kListen});
    network.Add({.call = NetworkCall::kResolve, .address = "server"});
    network.Add({.call = NetworkCall::kAccept});
    found.Code(network.Listen({"127.0.0.1", 0}), StatusCode::kAlreadyExists);
    found.Error(network.Resolve("server", env.Deadline(kPatience)).status(), StatusCode::kNotFound,
                "server");
    found.Ok(network.Resolve("127.0.0.1", env.Deadline(kPatience)));
    ASSIGN_OR_RETURN(const auto listener, network.Listen({"127.0.0.1", 0}));
    ASSIGN_OR_RETURN(const auto client,
                     env.network.Connect(listener->address(), env.Deadline(kPatience)));
    found.Code(listener->Accept(env.Deadline(kPatience)), StatusCode::kResourceExhausted);
    // The connection still waits.
    ASSIGN_OR_RETURN(const auto server, listener->Accept(env.Deadline(kPatience)));
    network.Add({.call = NetworkCall::kRead});
    char room[4];
    found.Code(server->Read(absl::MakeSpan(room), env.Deadline(kPatience)),
               StatusCode::kUnavailable);
    found.Equal(ReadAll(env, *client), std::string("[UNAVAILABLE]"));
    return absl::OkStatus();
  });
}

TEST_P(FaultyNetwork, ASlowConnectIsSlowAndItsDeadlineHolds) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    ASSIGN_OR_RETURN(const auto listener, env.network.Listen({"127.0.0.1", 0}));
    network.Add({Strikes{.times = 2}, NetworkCall::kConnect, "", NetworkHarm::kDelay,
                 StatusCode::kOk, 0, 20ms});
    const io::Monotonic start = env.clock.Now();
    found.Code(network.Connect(listener->address(), env.Deadline(5ms)),
               StatusCode::kDeadlineExceeded);
    found.True(env.clock.Now() - start < 20ms * 100, "the deadline ended it");
    const io::Monotonic again = env.clock.Now();
    found.Ok(network.Connect(listener->address(), env.Deadline(kPatience)));
    found.True(env.clock.Now() - again >= 20ms, "it waited");
    return absl::OkStatus();
  });
}

TEST_P(FaultyNetwork, AResetAfterSomeBytesBreaksBothSides) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    // Of what is read.
    const RuleId read =
        network.Add({.call = NetworkCall::kRead, .harm = NetworkHarm::kReset, .bytes = 5});
    ASSIGN_OR_RETURN(Pair pair, Connected(env, network));
    RETURN_IF_ERROR(pair.there->Write("0123456789", env.Deadline(kPatience)));
    found.Equal(ReadAll(env, *pair.here), std::string("01234[UNAVAILABLE]"));
    found.Equal(ReadAll(env, *pair.there), std::string("[UNAVAILABLE]"));
    found.Equal(network.strikes(read), uint64_t{1});
    // Of what is written, over several writes; the rule for reads is used up.
    const RuleId write =
        network.Add({.call = NetworkCall::kWrite, .harm = NetworkHarm::kReset, .bytes = 5});
    ASSIGN_OR_RETURN(Pair next, Connected(env, network));
    found.Ok(next.here->Write("012", env.Deadline(kPatience)));
    found.Equal(ReadSome(env, *next.there, 3), std::string("012"));
    found.Error(next.here->Write("3456", env.Deadline(kPatience)), StatusCode::kUnavailable,
                "reset");
    found.Code(next.here->Write("x", env.Deadline(kPatience)), StatusCode::kUnavailable);
    const std::string rest = ReadAll(env, *next.there);
    found.True(std::string("34[UNAVAILABLE]").ends_with(rest), rest);
    found.Equal(network.strikes(write), uint64_t{1});
    return absl::OkStatus();
  });
}

TEST_P(FaultyNetwork, ACloseAfterSomeBytesLooksLikeAnEnd) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    network.Add({.call = NetworkCall::kRead, .harm = NetworkHarm::kClose, .bytes = 4});
    network.Add({.call = NetworkCall::kWrite, .harm = NetworkHarm::kClose, .bytes = 6});
    ASSIGN_OR_RETURN(Pair pair, Connected(env, network));
    RETURN_IF_ERROR(pair.there->Write("0123456789", env.Deadline(kPatience)));
    found.Equal(ReadAll(env, *pair.here), std::string("0123"));
    found.Equal(ReadAll(env, *pair.here), std::string());
    found.Code(pair.here->Write("abcdefgh", env.Deadline(kPatience)), StatusCode::kUnavailable);
    found.Equal(ReadAll(env, *pair.there), std::string("abcdef"));
    return absl::OkStatus();
  });
}

TEST_P(FaultyNetwork, AFlipIsOneBitOfOneByteOfTheStream) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    ASSIGN_OR_RETURN(Pair pair, Connected(env, network));
    RETURN_IF_ERROR(pair.here->Write("ab", env.Deadline(kPatience)));
    // Counted from here on, as the stream is older than the rules.
    network.Add({.call = NetworkCall::kWrite, .harm = NetworkHarm::kFlip, .bytes = 3});
    network.Add({.call = NetworkCall::kRead, .harm = NetworkHarm::kFlip, .bytes = 0});
    RETURN_IF_ERROR(pair.here->Write("01", env.Deadline(kPatience)));
    RETURN_IF_ERROR(pair.here->Write("2345", env.Deadline(kPatience)));
    RETURN_IF_ERROR(pair.here->CloseWrite());
    found.Equal(ReadAll(env, *pair.there), std::string("ab012#45"));
    RETURN_IF_ERROR(pair.there->Write("01", env.Deadline(kPatience)));
    RETURN_IF_ERROR(pair.there->CloseWrite());
    found.Equal(ReadAll(env, *pair.here), std::string(" 1"));
    return absl::OkStatus();
  });
}

TEST_P(FaultyNetwork, AHungReadKeepsItsDeadlineAndGoesOnWhenReleased) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    ASSIGN_OR_RETURN(Pair pair, Connected(env, network));
    RETURN_IF_ERROR(pair.there->Write("hello", env.Deadline(kPatience)));
    const RuleId hang = network.Add(
        {Strikes{.times = Strikes::kAlways}, NetworkCall::kRead, "", NetworkHarm::kHang});
    char room[8];
    found.Code(pair.here->Read(absl::MakeSpan(room), env.Deadline(5ms)),
               StatusCode::kDeadlineExceeded);
    return io::WithScope(env, "reader", [&](io::Scope& scope) -> absl::Status {
      std::string got;
      RETURN_IF_ERROR(scope.Spawn("reader", [&] { got = ReadSome(env, *pair.here, 5); }));
      env.Sleep(2ms);
      found.Equal(got, std::string());
      found.Equal(network.strikes(hang), uint64_t{2});
      network.Remove(hang);
      scope.Join();
      found.Equal(got, std::string("hello"));
      return absl::OkStatus();
    });
  });
}

TEST_P(FaultyNetwork, AWriteThatHangsBeyondItsDeadlineBreaksTheStream) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    ASSIGN_OR_RETURN(Pair pair, Connected(env, network));
    network.Add({.call = NetworkCall::kWrite, .harm = NetworkHarm::kHang});
    found.Code(pair.here->Write("x", env.Deadline(5ms)), StatusCode::kDeadlineExceeded);
    found.Code(pair.here->Write("x", env.Deadline(kPatience)), StatusCode::kUnavailable);
    found.Equal(ReadAll(env, *pair.there), std::string("[UNAVAILABLE]"));
    return absl::OkStatus();
  });
}

TEST_P(FaultyNetwork, RulesAlsoHarmWhatWasAccepted) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyNetwork network(env);
    ASSIGN_OR_RETURN(const auto listener, network.Listen({"127.0.0.1", 0}));
    // The second stream that comes to its third byte.
    const RuleId rule =
        network.Add({Strikes{.first = 2}, NetworkCall::kWrite, listener->address().ToString(),
                     NetworkHarm::kClose, StatusCode::kOk, /*bytes=*/3});
    for (const std::string expected : {"answer", "ans", "answer"}) {
      ASSIGN_OR_RETURN(const auto client,
                       env.network.Connect(listener->address(), env.Deadline(kPatience)));
      ASSIGN_OR_RETURN(auto server, listener->Accept(env.Deadline(kPatience)));
      const absl::Status status = server->Write("answer", env.Deadline(kPatience));
      found.Equal(status.ok(), expected == "answer");
      RETURN_IF_ERROR(server->CloseWrite());
      found.Equal(ReadAll(env, *client), expected);
    }
    found.Equal(network.strikes(rule), uint64_t{1});
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace weir::tests

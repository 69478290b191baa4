// The small pieces of engine/io that need no world: addresses, paths, exit statuses, log lines.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "engine/io/disk.h"
#include "engine/io/log.h"
#include "engine/io/network.h"
#include "engine/io/processes.h"

namespace weir::io {
namespace {

TEST(Address, IsReadAndWritten) {
  for (const std::string text :
       {"127.0.0.1:80", "localhost:0", "[::1]:8081", "[fe80::1%eth0]:65535", "a-b.c:1"}) {
    const auto address = Address::Parse(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
  EXPECT_EQ(Address::Parse("[::1]:8081")->host, "::1");
  EXPECT_EQ(Address::Parse("[::1]:8081")->port, 8081);
}

TEST(Address, ErrorsSayWhatToWrite) {
  const std::string hint = "; write host:port, such as 127.0.0.1:8081 or [::1]:8081";
  for (const auto& [text, why] : std::vector<std::pair<std::string, std::string>>{
           {"", "no port"},
           {"localhost", "no port"},
           {":80", "no host"},
           {"[]:80", "no host"},
           {"::1:80", "an IPv6 address needs brackets"},
           {"[name]:80", "brackets are for IPv6 addresses"},
           {"na[me:80", "a bracket too many"},
           {"[::1:80", "\"[\" without \"]\""},
           {"a:", "the port is not a whole number from 0 to 65535"},
           {"a:-1", "the port is not a whole number from 0 to 65535"},
           {"a:65536", "the port is not a whole number from 0 to 65535"},
           {"a:80x", "the port is not a whole number from 0 to 65535"},
           {"a:99999999999", "the port is not a whole number from 0 to 65535"}}) {
    const auto address = Address::Parse(text);
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(std::string(address.status().message()), "address \"" + text + "\": " + why + hint);
  }
}

RC_GTEST_PROP(properties_Address, AnyTextIsReadOrRefused, (const std::string& text)) {
  for (const std::string& form : {text, text + ":80", "[" + text + "]:80", "[" + text}) {
    const auto address = Address::Parse(form);
    if (!address.ok()) continue;
    const auto again = Address::Parse(address->ToString());
    RC_ASSERT(again.ok());
    RC_ASSERT(*again == *address);
  }
}

TEST(Path, TheDataDirectoryIsNotLeft) {
  const std::string longest_name(255, 'n');
  for (const std::string& good : std::vector<std::string>{"", ".", "a", "a/b/c", "a.b", "..a",
                                                          "a..", ".hidden", longest_name}) {
    EXPECT_TRUE(CheckPath(good).ok()) << good;
  }
  const std::string zero("a\0b", 3);
  const std::string long_name(256, 'n');
  for (const std::string& bad :
       {std::string("/"), std::string("/a"), std::string("a//b"), std::string("a/"),
        std::string(".."), std::string("a/.."), std::string("../a"), std::string("a/../b"),
        std::string("./a"), std::string("a/."), zero, long_name}) {
    const absl::Status status = CheckPath(bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(status.message().find("paths are relative to the data directory and stay in it"),
              absl::string_view::npos);
  }
}

TEST(Path, AParentIsWhatStandsBeforeTheLastSlash) {
  EXPECT_EQ(ParentOf("a/b/c"), "a/b");
  EXPECT_EQ(ParentOf("a"), "");
  EXPECT_EQ(ParentOf(""), "");
}

TEST(ExitStatus, IsShownAsExitOrSignal) {
  EXPECT_EQ(ExitStatus{}.ToString(), "exit 0");
  EXPECT_TRUE(ExitStatus{}.ok());
  EXPECT_EQ((ExitStatus{.code = 3}).ToString(), "exit 3");
  EXPECT_FALSE((ExitStatus{.code = 3}).ok());
  EXPECT_EQ((ExitStatus{.by_signal = true, .code = 9}).ToString(), "signal 9");
  EXPECT_FALSE((ExitStatus{.by_signal = true, .code = 0}).ok());
}

// Keeps what is written.
class Kept final : public Log {
 public:
  std::vector<std::string> lines;

 private:
  void Write(LogLevel level, std::string_view component, std::string_view text) override {
    lines.push_back(LogLine("1.000000s", level, component, "host/process task", text));
  }
};

TEST(Log, ALineHasItsFieldsInOrder) {
  Kept log;
  log.Info("checkpoint", "completed ", 7, " in ", std::string("1.5s"), " of ",
           std::string_view("10"));
  log.Warn("rest", "slow");
  EXPECT_EQ(log.lines,
            std::vector<std::string>(
                {"1.000000s INFO  checkpoint [host/process task] completed 7 in 1.5s of 10\n",
                 "1.000000s WARN  rest [host/process task] slow\n"}));
}

TEST(Log, LevelsFilter) {
  for (const auto& [word, expected] : std::vector<std::pair<std::string, size_t>>{
           {"debug", 4}, {"info", 3}, {"warn", 2}, {"error", 1}, {"off", 0}}) {
    Kept log;
    log.set_level(ParseLogLevel(word));
    log.Debug("c", "d");
    log.Info("c", "i");
    log.Warn("c", "w");
    log.Error("c", "e");
    EXPECT_EQ(log.lines.size(), expected) << word;
  }
}

}  // namespace
}  // namespace weir::io

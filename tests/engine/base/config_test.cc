// Configuration keys: values, ranges, and the words of refusals, held by a golden file.

#include "engine/base/config.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <sstream>

#include "engine/base/config_keys.h"
#include "tests/golden.h"

namespace weir::base {
namespace {

using namespace std::chrono_literals;

constexpr Key<bool> kFlag{{"test.flag", KeyType::kBool, "false", 0, 0, "", "A flag."}};
constexpr Key<int64_t> kCount{{"test.count", KeyType::kInt, "3", -5, 5, "", "A count."}};
constexpr Key<std::string> kText{{"test.text", KeyType::kString, "", 0, 0, "", "A text."}};

TEST(Config, HasDefaultsThatPassTheirOwnCheck) {
  const Config config;  // CHECKs
  EXPECT_EQ(config.Get(kLogLevel), "info");
  EXPECT_EQ(config.Get(kEngineStack), 64 << 10);
  EXPECT_EQ(config.Get(kSpin), 20us);
  EXPECT_EQ(config.Get(kHelperThreads), 4);
}

TEST(Config, TakesUnits) {
  Config config;
  for (const auto& [text, duration] :
       std::vector<std::pair<std::string, Duration>>{{"5s", 5s},
                                                     {"1500ms", 1500ms},
                                                     {"2min", 2min},
                                                     {"1h", 1h},
                                                     {"30 s", 30s},
                                                     {"1000000us", 1s}}) {
    ASSERT_TRUE(config.Set("io.peer-timeout", text).ok()) << text;
    EXPECT_EQ(config.Get(kPeerTimeoutKey), duration) << text;
  }
  for (const auto& [text, bytes] : std::vector<std::pair<std::string, int64_t>>{
           {"16kb", 16 << 10}, {"1mb", 1 << 20}, {"65536b", 65536}}) {
    ASSERT_TRUE(config.Set("io.stack.user", text).ok()) << text;
    EXPECT_EQ(config.Get(kUserStack), bytes) << text;
  }
}

TEST(Config, ErrorsAreOneLineInTheWordsOfTheGoldenFile) {
  std::istringstream lines(tests::GoldenText("config_errors.txt"));
  int checked = 0;
  for (std::string line; std::getline(lines, line); ++checked) {
    const size_t arrow = line.find(" -> ");
    ASSERT_NE(arrow, std::string::npos) << line;
    Config config;
    const absl::Status status = config.ParseFlag(line.substr(0, arrow));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_EQ(std::string(status.message()), line.substr(arrow + 4));
    EXPECT_EQ(config.ToText(), Config().ToText()) << "a refused value left a trace";
  }
  EXPECT_GT(checked, 10);
}

TEST(Config, ReadsFilesWithComments) {
  Config config;
  const absl::Status status = config.ParseText(
      "# a comment\n"
      "\n"
      "log.level: warn\n"
      "  io.helper-threads :  7   # seven\r\n"
      "rest.bind-address: ::1#not-a-comment\n",
      "weir.yaml");
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(config.Get(kLogLevel), "warn");
  EXPECT_EQ(config.Get(kHelperThreads), 7);
  EXPECT_EQ(config.Get(kBindHost), "::1#not-a-comment");
}

TEST(Config, AnErrorInAFileNamesTheLine) {
  Config config;
  EXPECT_EQ(
      std::string(config.ParseText("log.level: warn\n\nlog.level: loud\n", "weir.yaml").message()),
      "weir.yaml:3: configuration key \"log.level\": value \"loud\" is not one of debug, info, "
      "warn, error, off");
  EXPECT_EQ(std::string(config.ParseText("log.level = warn", "x").message()),
            "x:1: \"log.level = warn\" is not of the form `key: value`");
}

TEST(Config, PrintsEveryKeyAndWhatIsDefault) {
  Config config({&kFlag, &kCount, &kText});
  ASSERT_TRUE(config.ParseFlag("test.count=-5").ok());
  ASSERT_TRUE(config.ParseFlag("test.text=a=b").ok());
  EXPECT_EQ(config.ToText(), "test.flag: false  # default\ntest.count: -5\ntest.text: a=b\n");
}

TEST(Config, BoolsAreTrueOrFalse) {
  Config config({&kFlag});
  ASSERT_TRUE(config.Set("test.flag", "true").ok());
  EXPECT_TRUE(config.Get(kFlag));
  for (const char* const bad : {"1", "yes", "True", ""}) {
    EXPECT_EQ(
        std::string(config.Set("test.flag", bad).message()),
        "configuration key \"test.flag\": value \"" + std::string(bad) + "\" is not true or false");
  }
  EXPECT_TRUE(config.Get(kFlag));
}

TEST(Config, AKeyOfAnotherTableIsABug) {
  const Config config({&kFlag});
  EXPECT_DEATH((void)config.Get(kCount), "key test.count is not in this configuration's table");
}

TEST(Config, EveryKeyOfTheProjectIsDescribed) {
  for (const KeyInfo* key : AllKeys()) {
    EXPECT_FALSE(key->meaning.empty()) << key->name;
    EXPECT_EQ(key->meaning.back(), '.') << key->name;
  }
}

RC_GTEST_PROP(properties_Config, AnyTextIsTakenOrRefusedInOneLine,
              (const std::string& name, const std::string& value)) {
  Config config;
  (void)config.Set(name, value);
  for (const KeyInfo* key : AllKeys()) {
    const absl::Status status = config.Set(key->name, value);
    if (status.ok()) {
      RC_ASSERT(config.ToText().find(std::string(key->name) + ": " + value + "\n") !=
                std::string::npos);
    } else {
      RC_ASSERT(status.code() == absl::StatusCode::kInvalidArgument);
    }
  }
}

RC_GTEST_PROP(properties_Config, WhatIsPrintedIsReadBack, (uint8_t threads, uint16_t seconds)) {
  Config config;
  RC_PRE(threads > 0 && seconds > 0 && seconds <= 3600);
  RC_ASSERT(config.Set("io.helper-threads", std::to_string(threads)).ok());
  RC_ASSERT(config.Set("io.peer-timeout", std::to_string(seconds) + "s").ok());
  Config again;
  RC_ASSERT(again.ParseText(config.ToText(), "text").ok());
  RC_ASSERT(again.Get(kHelperThreads) == threads);
  RC_ASSERT(again.Get(kPeerTimeoutKey) == std::chrono::seconds(seconds));
}

}  // namespace
}  // namespace weir::base

#include "tests/conformance/worlds.h"

#include <filesystem>
#include <utility>

#include "faults/faulty_disk.h"
#include "faults/faulty_network.h"
#include "net/real_world.h"
#include "sim/world.h"
#include "tests/programs.h"
#include "tests/temporary_directory.h"

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_LEAK_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_LEAK_SANITIZER 1
#endif
#endif
#if defined(WEIR_LEAK_SANITIZER)
#include <sanitizer/lsan_interface.h>
#endif

namespace weir::tests {
namespace {

constexpr uint64_t kSeeds = 10;

bool IsReal(Kind kind) { return kind == Kind::kReal || kind == Kind::kRealDecorated; }

// `body` over decorators that decorate nothing.
Body Decorated(const Body& body) {
  return [&body](io::Env& env, Found& found) -> absl::Status {
    faults::FaultyDisk disk(env);
    faults::FaultyNetwork network(env);
    io::Env with_disk = disk.Over(env);
    io::Env decorated = network.Over(with_disk);
    return body(decorated, found);
  };
}

// The body for the process that the test starts, the table's programs for those that it spawns.
io::Program ProgramOf(const Body& body, Found& found) {
  return [&body, &found](io::Env& env) -> absl::Status {
    return env.processes.arguments().empty() ? body(env, found) : Dispatch(env);
  };
}

absl::Status RunReal(const Body& body, Found& found) {
  const TemporaryDirectory directory;
  net::RealOptions options;
  options.data_directory = directory.path();
  options.process_name = "body";
  return net::Run(options, ProgramOf(body, found));
}

absl::Status RunSimulated(uint64_t seed, const Body& body, Found& found) {
  const io::Program program = ProgramOf(body, found);
  sim::WorldOptions options;
  options.seed = seed;
  sim::World world(options);
  const sim::HostId host = world.AddHost("host");
  const sim::ProcessId process = world.Start(host, program, {.name = "body"});
  if (absl::Status status = world.Run(); !status.ok()) return status;
  return world.exit_message(process);
}

void Judge(const Found& found, const std::string& run) {
  for (const Found::Failure& failure : found.failures()) {
    ADD_FAILURE_AT(failure.where.file_name(), static_cast<int>(failure.where.line()))
        << failure.text << run;
  }
}

void ForEachRun(Kind kind, const std::function<void(uint64_t seed, const std::string& run)>& run) {
  if (IsReal(kind)) return run(0, "");
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    run(seed, "; seed " + std::to_string(seed));
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace

bool Found::Fail(std::string text, Where where) {
  base::SpinHold hold(lock_);
  failures_.push_back({where, std::move(text)});
  return false;
}

bool Found::Error(const absl::Status& status, absl::StatusCode expected, std::string_view part,
                  Where where) {
  if (!Code(status, expected, where)) return false;
  const std::string message(status.message());
  if (message.find('\n') != std::string::npos) return Fail("more than one line: " + message, where);
  return message.find(part) != std::string::npos ||
         Fail("message \"" + message + "\" does not hold \"" + std::string(part) + "\"", where);
}

absl::Status RunBody(Kind kind, uint64_t seed, const Body& body, Found& found) {
  if (kind == Kind::kRealDecorated) return RunReal(Decorated(body), found);
  if (kind == Kind::kSimulatedDecorated) return RunSimulated(seed, Decorated(body), found);
  return kind == Kind::kReal ? RunReal(body, found) : RunSimulated(seed, body, found);
}

#if defined(WEIR_LEAK_SANITIZER)
LeaksAreExpected::LeaksAreExpected() { __lsan_disable(); }
LeaksAreExpected::~LeaksAreExpected() { __lsan_enable(); }
#else
LeaksAreExpected::LeaksAreExpected() = default;
LeaksAreExpected::~LeaksAreExpected() = default;
#endif

void Conform(Kind kind, const Body& body) {
  ForEachRun(kind, [&](uint64_t seed, const std::string& run) {
    Found found;
    const absl::Status status = RunBody(kind, seed, body, found);
    Judge(found, run);
    EXPECT_TRUE(status.ok()) << status << run;
  });
}

void ConformError(Kind kind, absl::StatusCode code, std::string_view part, const Body& body) {
  ForEachRun(kind, [&](uint64_t seed, const std::string& run) {
    Found found;
    const absl::Status status = RunBody(kind, seed, body, found);
    Judge(found, run);
    EXPECT_EQ(status.code(), code) << status << run;
    EXPECT_NE(std::string(status.message()).find(part), std::string::npos) << status << run;
  });
}

}  // namespace weir::tests

// The breaking proxy over both worlds: real TCP in this process, and simulated. A server and its
// users are the two ends of a connection here; nothing of them knows of the proxy.
#include "faults/proxy.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "scenarios/ping_pong.h"
#include "sim/world.h"
#include "tests/conformance/worlds.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using faults::End;
using faults::ProxyControl;
using faults::Way;
using faults::Weather;
using Stream = std::unique_ptr<io::Stream>;

constexpr auto kPatience = 20s;

WEIR_CONFORMANCE(BreakingProxy);

// A server behind a proxy, and who uses it.
struct Site {
  io::Env& env;
  Found& found;
  ProxyControl& control;
  io::Listener& server;
  io::Address front;

  io::Monotonic Soon() const { return env.Deadline(kPatience); }
  absl::StatusOr<std::pair<Stream, Stream>> Connected() const {
    ASSIGN_OR_RETURN(Stream client, env.network.Connect(front, Soon()));
    ASSIGN_OR_RETURN(Stream accepted, server.Accept(Soon()));
    return std::pair(std::move(client), std::move(accepted));
  }
};

// Until `bytes` have come, the end, or an error, which is added in brackets.
std::string Read(const Site& site, io::Stream& stream, size_t bytes,
                 io::Duration patience = kPatience) {
  std::string text;
  std::string room(64 << 10, '\0');
  while (text.size() < bytes) {
    const auto got =
        stream.Read(absl::MakeSpan(room).first(std::min(room.size(), bytes - text.size())),
                    site.env.Deadline(patience));
    if (!got.ok()) return text + "[" + absl::StatusCodeToString(got.status().code()) + "]";
    if (*got == 0) break;
    text.append(room, 0, *got);
  }
  return text;
}
std::string ReadAll(const Site& site, io::Stream& stream) { return Read(site, stream, SIZE_MAX); }

std::string Pattern(size_t bytes, uint64_t seed) {
  std::string text;
  base::Random random(seed);
  while (text.size() < bytes) base::PutFixed(text, random.Next());
  text.resize(bytes);
  return text;
}

void WithProxy(Kind kind, const std::function<absl::Status(Site&)>& body) {
  Conform(kind, [&](io::Env& env, Found& found) -> absl::Status {
    ProxyControl control;
    ASSIGN_OR_RETURN(const auto server, env.network.Listen({"127.0.0.1", 0}));
    return io::WithScope(env, "proxy", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn(
          "proxy", [&] { found.Ok(faults::Proxy(env, {.target = server->address()}, control)); }));
      ASSIGN_OR_RETURN(const io::Address front, control.WaitUntilUp(env, env.Deadline(kPatience)));
      Site site{env, found, control, *server, front};
      return body(site);
    });
  });
}

TEST_P(BreakingProxy, InCalmWeatherEveryByteAndEveryEndArrives) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, site.Connected());
    auto& [client, server] = streams;
    const std::string question = Pattern(1 << 20, 1);
    const std::string answer = Pattern(1 << 20, 2);
    return io::WithScope(site.env, "writers", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("client", [&] {
        site.found.Ok(client->Write(question, site.Soon()));
        site.found.Ok(client->CloseWrite());
      }));
      site.found.Equal(base::Hash64(ReadAll(site, *server)), base::Hash64(question));
      // The other half is still open.
      RETURN_IF_ERROR(scope.Spawn("server", [&] {
        site.found.Ok(server->Write(answer, site.Soon()));
        site.found.Ok(server->CloseWrite());
      }));
      site.found.Equal(base::Hash64(ReadAll(site, *client)), base::Hash64(answer));
      const faults::ProxyCounts counts = site.control.counts();
      site.found.Equal(counts.connections, uint64_t{1});
      site.found.Equal(counts.bytes[0], uint64_t{1} << 20);
      site.found.Equal(counts.bytes[1], uint64_t{1} << 20);
      site.found.Equal(counts.resets, uint64_t{0});
      scope.Join();
      return absl::OkStatus();
    });
  });
}

TEST_P(BreakingProxy, ABreakOfOneSideReachesTheOther) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ASSIGN_OR_RETURN(auto one, site.Connected());
    one.first->Abort();
    site.found.Equal(ReadAll(site, *one.second), std::string("[UNAVAILABLE]"));
    ASSIGN_OR_RETURN(auto two, site.Connected());
    two.second->Abort();
    site.found.Equal(ReadAll(site, *two.first), std::string("[UNAVAILABLE]"));
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, AServerThatIsNotThereIsABreak) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ProxyControl control;
    io::Address nobody;
    {
      ASSIGN_OR_RETURN(const auto listener, site.env.network.Listen({"127.0.0.1", 0}));
      nobody = listener->address();
    }
    return io::WithScope(site.env, "second", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn(
          "proxy", [&] { site.found.Ok(faults::Proxy(site.env, {.target = nobody}, control)); }));
      ASSIGN_OR_RETURN(const io::Address front, control.WaitUntilUp(site.env, site.Soon()));
      ASSIGN_OR_RETURN(const Stream client, site.env.network.Connect(front, site.Soon()));
      site.found.Equal(ReadAll(site, *client), std::string("[UNAVAILABLE]"));
      site.found.Equal(control.counts().connections, uint64_t{0});
      return absl::OkStatus();
    });
  });
}

TEST_P(BreakingProxy, ACutWayHoldsItsBytesBackAndTellsNobody) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, site.Connected());
    auto& [client, server] = streams;
    site.control.Set(Way::kForward, {.cut = true});
    site.found.Ok(client->Write("question", site.Soon()));
    site.found.Equal(Read(site, *server, 8, 20ms), std::string("[DEADLINE_EXCEEDED]"));
    // The way back carries.
    site.found.Ok(server->Write("news", site.Soon()));
    site.found.Equal(Read(site, *client, 4), std::string("news"));
    site.control.Set(Way::kForward, {});
    site.found.Equal(Read(site, *server, 8), std::string("question"));
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, ABreakDoesNotPassACut) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, site.Connected());
    site.control.SetBoth({.cut = true});
    streams.first->Abort();
    site.found.Equal(Read(site, *streams.second, 1, 20ms), std::string("[DEADLINE_EXCEEDED]"));
    site.control.SetBoth({});
    site.found.Equal(Read(site, *streams.second, 1), std::string("[UNAVAILABLE]"));
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, NobodyIsConnectedThroughACut) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    site.control.Set(Way::kBack, {.cut = true});
    ASSIGN_OR_RETURN(const Stream client, site.env.network.Connect(site.front, site.Soon()));
    site.found.Code(site.server.Accept(site.env.Deadline(20ms)), StatusCode::kDeadlineExceeded);
    site.control.Set(Way::kBack, {});
    ASSIGN_OR_RETURN(const Stream server, site.server.Accept(site.Soon()));
    site.found.Ok(client->Write("late", site.Soon()));
    site.found.Equal(Read(site, *server, 4), std::string("late"));
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, ADelayHoldsEachByteAndIsNoLimitOnHowManyAreOnTheirWay) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, site.Connected());
    auto& [client, server] = streams;
    site.control.Set(Way::kForward, {.delay = 100ms});
    const io::Monotonic start = site.env.clock.Now();
    for (int i = 0; i < 50; ++i) {
      site.found.Ok(client->Write("x", site.Soon()));
      site.env.Sleep(1ms);
    }
    site.found.Equal(Read(site, *server, 1), std::string("x"));
    site.found.True(site.env.clock.Now() - start >= 100ms, "the first byte was held");
    Read(site, *server, 49);
    site.found.True(site.env.clock.Now() - start < 2500ms, "one after the other takes 5 s");
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, AThrottledWayTakesItsTime) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, site.Connected());
    auto& [client, server] = streams;
    site.control.Set(Way::kBack, {.bytes_per_second = 200'000});
    const std::string text = Pattern(20'000, 3);
    const io::Monotonic start = site.env.clock.Now();
    site.found.Ok(server->Write(text, site.Soon()));
    site.found.True(Read(site, *client, text.size()) == text, "all of it came");
    site.found.True(site.env.clock.Now() - start >= 90ms, "as slow as it should be");
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, AWrongBitIsCaughtByTheChecksumOfAFrame) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    for (const uint64_t at : {0, 4, 8, 16, 20}) {
      site.control.Set(Way::kForward, {.flip_at = at});
      ASSIGN_OR_RETURN(auto streams, site.Connected());
      io::FramedStream client(std::move(streams.first));
      io::FramedStream server(std::move(streams.second));
      site.found.Ok(client.Write("a message", site.Soon()));
      site.found.Ok(client.stream().CloseWrite());
      site.found.Code(server.Read(site.Soon()), StatusCode::kDataLoss);
    }
    site.found.Equal(site.control.counts().flips, uint64_t{5});
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, AResetAtAByteBreaksBothSidesThere) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    site.control.Set(Way::kBack, {.reset_at = 1000});
    ASSIGN_OR_RETURN(auto streams, site.Connected());
    auto& [client, server] = streams;
    const std::string text = Pattern(5000, 4);
    site.found.Ok(server->Write(std::string_view(text).substr(0, 999), site.Soon()));
    site.found.True(Read(site, *client, 999) == text.substr(0, 999), "all before it");
    site.found.Equal(site.control.counts().resets, uint64_t{0});
    server->Write(std::string_view(text).substr(999), site.Soon()).IgnoreError();
    const std::string rest = ReadAll(site, *client);
    site.found.True(rest == "[UNAVAILABLE]" || rest == text[999] + std::string("[UNAVAILABLE]"),
                    "at most one byte more");
    site.found.Equal(ReadAll(site, *server), std::string("[UNAVAILABLE]"));
    site.found.Equal(site.control.counts().resets, uint64_t{1});
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, AHalfOpenConnectionTalksIntoTheVoid) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, site.Connected());
    auto& [client, server] = streams;
    site.found.Ok(client->Write("hello", site.Soon()));
    site.found.Equal(Read(site, *server, 5), std::string("hello"));
    site.control.HalfOpen(End::kConnecter);
    site.found.Equal(ReadAll(site, *client), std::string("[UNAVAILABLE]"));
    site.found.Ok(server->Write("anybody there?", site.Soon()));
    site.found.Equal(Read(site, *server, 1, 20ms), std::string("[DEADLINE_EXCEEDED]"));
    site.found.Ok(server->Write("hello?", site.Soon()));
    while (site.control.counts().lost_bytes < 20) site.env.Sleep(1ms);
    // Only the connections that were there: the next is whole.
    ASSIGN_OR_RETURN(auto next, site.Connected());
    site.found.Ok(next.first->Write("again", site.Soon()));
    site.found.Equal(Read(site, *next.second, 5), std::string("again"));
    site.found.Equal(site.control.counts().half_opens, uint64_t{1});
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, ResetBreaksWhatIsAndNotWhatComes) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    ASSIGN_OR_RETURN(auto one, site.Connected());
    ASSIGN_OR_RETURN(auto two, site.Connected());
    site.control.Reset();
    for (const auto* pair : {&one, &two}) {
      site.found.Equal(ReadAll(site, *pair->first), std::string("[UNAVAILABLE]"));
      site.found.Equal(ReadAll(site, *pair->second), std::string("[UNAVAILABLE]"));
    }
    site.found.Equal(site.control.counts().resets, uint64_t{2});
    ASSIGN_OR_RETURN(auto three, site.Connected());
    site.found.Ok(three.first->Write("hello", site.Soon()));
    site.found.Equal(Read(site, *three.second, 5), std::string("hello"));
    return absl::OkStatus();
  });
}

TEST_P(BreakingProxy, RefusesWhileItIsTold) {
  WithProxy(GetParam(), [](Site& site) -> absl::Status {
    site.control.Refuse(true);
    ASSIGN_OR_RETURN(const Stream refused, site.env.network.Connect(site.front, site.Soon()));
    site.found.Equal(ReadAll(site, *refused), std::string("[UNAVAILABLE]"));
    site.found.Equal(site.control.counts().refused, uint64_t{1});
    site.control.Refuse(false);
    site.found.Ok(site.Connected());
    return absl::OkStatus();
  });
}

// The whole program through a proxy on a host of its own, which the hands of the world turn.
TEST(ProxyInAWorld, PingPongIsAnsweredThroughAnyWeather) {
  static const io::Program program = scenarios::PingPong;
  faults::ProxyCounts all;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    ProxyControl control;
    const io::Program proxy = [&control](io::Env& env) {
      return faults::Proxy(env, {.listen = {"proxy", 7001}, .target = {"server", 7000}}, control);
    };
    sim::WorldOptions options;
    options.seed = seed;
    sim::World world(options);
    world.Start(world.AddHost("server"), program,
                {.name = "server",
                 .arguments = {"--program=ping_pong", "server", "server:7000"},
                 .essential = false});
    const sim::ProcessId place =
        world.Start(world.AddHost("proxy"), proxy, {.name = "proxy", .essential = false});
    const sim::ProcessId client =
        world.Start(world.AddHost("client"), program,
                    {.name = "client",
                     .arguments = {"--program=ping_pong", "client", "proxy:7001", "1", "200"}});
    base::Random random = world.random().Fork("weather");
    for (int i = 0; i < 40; ++i) {
      world.At(random.Between(io::Duration(0), io::Duration(3s)), [&] {
        const Way way = random.Chance({1, 2}) ? Way::kForward : Way::kBack;
        const uint64_t at = random.Between(uint64_t{0}, uint64_t{2000});
        switch (random.Between(0, 8)) {
          case 0:
            return control.Set(way, {.cut = true});
          case 1:
            return control.Set(way, {.delay = random.LogNormal(20ms)});
          case 2:
            return control.Set(way, {.bytes_per_second = 1000 + at});
          case 3:
            return control.Set(way, {.flip_at = at});
          case 4:
            return control.Set(way, {.reset_at = at});
          case 5:
            return control.HalfOpen(random.Chance({1, 2}) ? End::kConnecter : End::kTarget);
          case 6:
            return control.Reset();
          case 7:
            world.Kill(place);
            return world.At(world.now() + 1ms, [&world, place] {
              if (!world.running(place)) world.Restart(place);
            });
          default:
            return control.SetBoth({});
        }
      });
    }
    world.At(3s, [&] { control.SetBoth({}); });
    const absl::Status status = world.Run();
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status;
    ASSERT_TRUE(world.exit_message(client).ok()) << "seed " << seed;
    EXPECT_EQ(world.hits(base::Probe::kPingRoundTrip), 200u) << "seed " << seed;
    const faults::ProxyCounts counts = control.counts();
    all.resets += counts.resets;
    all.half_opens += counts.half_opens;
    all.flips += counts.flips;
    all.lost_bytes += counts.lost_bytes;
  }
  // Every kind bit somewhere.
  EXPECT_GT(all.resets, 0u);
  EXPECT_GT(all.half_opens, 0u);
  EXPECT_GT(all.flips, 0u);
  EXPECT_GT(all.lost_bytes, 0u);
}

}  // namespace
}  // namespace weir::tests

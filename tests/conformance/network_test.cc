// The chapter of the network (engine/io/network.h), in both worlds.

#include "engine/io/network.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "tests/conformance/worlds.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using io::Address;
using io::Scope;
using io::WithScope;

WEIR_CONFORMANCE_DECORATED(Network);

using Streams = std::pair<std::unique_ptr<io::Stream>, std::unique_ptr<io::Stream>>;

constexpr auto kPatience = 20s;  // for what must happen

absl::StatusOr<std::unique_ptr<io::Listener>> Listen(io::Env& env) {
  return env.network.Listen({"127.0.0.1", 0});
}

// Both ends of a connection: the one that connected, the one that was accepted.
absl::StatusOr<Streams> Connected(io::Env& env, io::Listener& listener) {
  ASSIGN_OR_RETURN(auto client, env.network.Connect(listener.address(), env.Deadline(kPatience)));
  ASSIGN_OR_RETURN(auto server, listener.Accept(env.Deadline(kPatience)));
  return Streams{std::move(client), std::move(server)};
}

absl::StatusOr<Streams> Connected(io::Env& env) {
  ASSIGN_OR_RETURN(const auto listener, Listen(env));
  return Connected(env, *listener);
}

// Until `bytes` have come, the end, or an error.
absl::StatusOr<std::string> ReadUpTo(io::Env& env, io::Stream& stream, size_t bytes) {
  std::string got;
  std::string room(64 << 10, '\0');
  while (got.size() < bytes) {
    const size_t most = std::min(room.size(), bytes - got.size());
    ASSIGN_OR_RETURN(const size_t n,
                     stream.Read(absl::MakeSpan(room).first(most), env.Deadline(kPatience)));
    if (n == 0) break;
    got.append(room, 0, n);
  }
  return got;
}

absl::StatusOr<std::string> ReadToEnd(io::Env& env, io::Stream& stream) {
  return ReadUpTo(env, stream, SIZE_MAX);
}

absl::StatusOr<size_t> ReadSome(io::Env& env, io::Stream& stream,
                                io::Duration patience = kPatience) {
  char room[256];
  return stream.Read(absl::MakeSpan(room), env.Deadline(patience));
}

// Bytes that tell where in the stream they belong.
std::string Pattern(size_t bytes, uint64_t seed) {
  std::string text;
  base::Random random(seed);
  while (text.size() < bytes) base::PutFixed(text, random.Next());
  text.resize(bytes);
  return text;
}

TEST_P(Network, BothSidesTalk) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    RETURN_IF_ERROR(client->Write("hello", env.Deadline(kPatience)));
    ASSIGN_OR_RETURN(const std::string heard, ReadUpTo(env, *server, 5));
    found.Equal(heard, std::string("hello"));
    RETURN_IF_ERROR(server->Write("good morning", env.Deadline(kPatience)));
    ASSIGN_OR_RETURN(const std::string answer, ReadUpTo(env, *client, 12));
    found.Equal(answer, std::string("good morning"));
    return absl::OkStatus();
  });
}

TEST_P(Network, EachSideKnowsBothAddresses) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, Listen(env));
    found.True(listener->address().port != 0, "port 0 became a port");
    found.Equal(listener->address().host, std::string("127.0.0.1"));
    ASSIGN_OR_RETURN(auto streams, Connected(env, *listener));
    const auto& [client, server] = streams;
    found.Equal(client->peer().ToString(), listener->address().ToString());
    found.Equal(server->local().ToString(), listener->address().ToString());
    found.Equal(server->peer().ToString(), client->local().ToString());
    found.True(client->local().port != 0, "the client has a port");
    return absl::OkStatus();
  });
}

TEST_P(Network, PortZeroIsADifferentPortEachTime) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto one, Listen(env));
    ASSIGN_OR_RETURN(const auto two, Listen(env));
    found.True(one->address().port != two->address().port, "they differ");
    return absl::OkStatus();
  });
}

TEST_P(Network, NobodyListensIsRefused) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    Address nobody;
    {
      ASSIGN_OR_RETURN(const auto listener, Listen(env));
      nobody = listener->address();
    }
    const auto stream = env.network.Connect(nobody, env.Deadline(kPatience));
    found.Error(stream.status(), StatusCode::kUnavailable, nobody.ToString());
    return absl::OkStatus();
  });
}

TEST_P(Network, APortInUseIsNamed) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, Listen(env));
    const auto second = env.network.Listen(listener->address());
    found.Error(second.status(), StatusCode::kAlreadyExists, listener->address().ToString());
    return absl::OkStatus();
  });
}

TEST_P(Network, APortIsFreeAgainWhenItsListenerIsGone) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    Address at;
    {
      ASSIGN_OR_RETURN(const auto listener, Listen(env));
      at = listener->address();
      // A connection that was closed on this side first would keep a port busy for a while, had we
      // not said otherwise.
      ASSIGN_OR_RETURN(auto streams, Connected(env, *listener));
      streams.second.reset();
      found.Ok(ReadToEnd(env, *streams.first));
    }
    ASSIGN_OR_RETURN(const auto again, env.network.Listen(at));
    found.Equal(again->address().ToString(), at.ToString());
    found.Ok(Connected(env, *again));
    return absl::OkStatus();
  });
}

TEST_P(Network, AReadGivesWhatThereIs) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    RETURN_IF_ERROR(client->Write("abcdef", env.Deadline(kPatience)));
    std::string got;
    for (int i = 0; i < 3; ++i) {
      char byte = 0;
      ASSIGN_OR_RETURN(const size_t n,
                       server->Read(absl::MakeSpan(&byte, 1), env.Deadline(kPatience)));
      found.Equal(n, size_t{1});
      got += byte;
    }
    // More room than bytes: it does not wait for more.
    while (got.size() < 6) {
      char room[100];
      ASSIGN_OR_RETURN(const size_t n, server->Read(absl::MakeSpan(room), env.Deadline(kPatience)));
      found.True(n >= 1 && n <= 3, "1 to 3 bytes");
      got.append(room, n);
    }
    found.Equal(got, std::string("abcdef"));
    return absl::OkStatus();
  });
}

TEST_P(Network, AReadWaitsForBytesAndADeadlineLeavesTheStreamWhole) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    for (int i = 0; i < 3; ++i) {
      const io::Monotonic start = env.clock.Now();
      found.Code(ReadSome(env, *server, 5ms), StatusCode::kDeadlineExceeded);
      found.True(env.clock.Now() - start >= 5ms, "it waited");
    }
    found.Code(ReadSome(env, *server, -1ms), StatusCode::kDeadlineExceeded);
    RETURN_IF_ERROR(client->Write("late", env.Deadline(kPatience)));
    ASSIGN_OR_RETURN(const std::string got, ReadUpTo(env, *server, 4));
    found.Equal(got, std::string("late"));
    return absl::OkStatus();
  });
}

TEST_P(Network, AReaderIsWokenByBytes) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    return WithScope(env, "reader", [&](Scope& scope) -> absl::Status {
      bool read = false;
      RETURN_IF_ERROR(scope.Spawn("reader", [&] { read = found.Ok(ReadSome(env, *server)); }));
      env.Sleep(5ms);
      found.True(!read, "it waits");
      RETURN_IF_ERROR(client->Write("x", env.Deadline(kPatience)));
      scope.Join();
      found.True(read, "it read");
      return absl::OkStatus();
    });
  });
}

TEST_P(Network, AcceptHasADeadline) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, Listen(env));
    found.Code(listener->Accept(env.Deadline(5ms)), StatusCode::kDeadlineExceeded);
    found.Ok(Connected(env, *listener));
    return absl::OkStatus();
  });
}

TEST_P(Network, AnAccepterIsWokenByAConnection) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, Listen(env));
    return WithScope(env, "accepter", [&](Scope& scope) -> absl::Status {
      int accepted = 0;
      RETURN_IF_ERROR(scope.Spawn("accepter", [&] {
        for (int i = 0; i < 5; ++i) accepted += found.Ok(listener->Accept(env.Deadline(kPatience)));
      }));
      for (int i = 0; i < 5; ++i) {
        found.Ok(env.network.Connect(listener->address(), env.Deadline(kPatience)));
        env.Sleep(1ms);
      }
      scope.Join();
      found.Equal(accepted, 5);
      return absl::OkStatus();
    });
  });
}

TEST_P(Network, AConnectionIsMadeBeforeItIsAccepted) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, Listen(env));
    ASSIGN_OR_RETURN(const auto client,
                     env.network.Connect(listener->address(), env.Deadline(kPatience)));
    RETURN_IF_ERROR(client->Write("early", env.Deadline(kPatience)));
    env.Sleep(5ms);
    ASSIGN_OR_RETURN(const auto server, listener->Accept(env.Deadline(kPatience)));
    ASSIGN_OR_RETURN(const std::string got, ReadUpTo(env, *server, 5));
    found.Equal(got, std::string("early"));
    return absl::OkStatus();
  });
}

TEST_P(Network, AFullBacklogHoldsConnectsBackUntilSomebodyAccepts) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, env.network.Listen({"127.0.0.1", 0}, {.backlog = 2}));
    std::vector<std::unique_ptr<io::Stream>> clients;
    absl::Status full;
    while (full.ok() && clients.size() < 20) {
      auto client = env.network.Connect(listener->address(), env.Deadline(50ms));
      full = client.status();
      if (client.ok()) clients.push_back(*std::move(client));
    }
    found.True(clients.size() >= 2, "as many as the backlog says are taken");
    found.Code(full, StatusCode::kDeadlineExceeded);
    for (size_t i = 0; i < clients.size(); ++i) found.Ok(listener->Accept(env.Deadline(kPatience)));
    found.Ok(env.network.Connect(listener->address(), env.Deadline(kPatience)));
    return absl::OkStatus();
  });
}

TEST_P(Network, AWriterWaitsForASlowReaderAndNothingIsLost) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    // More than any kernel buffers.
    const std::string sent = Pattern(24 << 20, 7);
    return WithScope(env, "writer", [&](Scope& scope) -> absl::Status {
      bool written = false;
      RETURN_IF_ERROR(scope.Spawn("writer", [&] {
        written = found.Ok(client->Write(sent, env.Deadline(kPatience)));
        found.Ok(client->CloseWrite());
      }));
      env.Sleep(30ms);
      found.True(!written, "the writer waits");
      ASSIGN_OR_RETURN(const std::string got, ReadToEnd(env, *server));
      scope.Join();
      found.Equal(got.size(), sent.size());
      found.Equal(base::Hash64(got), base::Hash64(sent));
      found.True(written, "the write was whole");
      return absl::OkStatus();
    });
  });
}

TEST_P(Network, AWriteThatIsTooLateBreaksTheStream) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    const std::string much(24 << 20, 'm');
    found.Code(client->Write(much, env.Deadline(20ms)), StatusCode::kDeadlineExceeded);
    found.Code(client->Write("more", env.Deadline(kPatience)), StatusCode::kUnavailable);
    // The peer may get a part, but never what looks like a clean end.
    const absl::StatusOr<std::string> got = ReadToEnd(env, *server);
    found.Code(got, StatusCode::kUnavailable);
    return absl::OkStatus();
  });
}

TEST_P(Network, HalfACloseLeavesTheOtherHalfOpen) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    RETURN_IF_ERROR(client->Write("question", env.Deadline(kPatience)));
    found.Ok(client->CloseWrite());
    ASSIGN_OR_RETURN(const std::string question, ReadToEnd(env, *server));
    found.Equal(question, std::string("question"));
    env.Sleep(2ms);
    found.Ok(server->Write("answer", env.Deadline(kPatience)));
    found.Ok(server->CloseWrite());
    ASSIGN_OR_RETURN(const std::string answer, ReadToEnd(env, *client));
    found.Equal(answer, std::string("answer"));
    // The end stays the end.
    ASSIGN_OR_RETURN(const size_t more, ReadSome(env, *client));
    found.Equal(more, size_t{0});
    return absl::OkStatus();
  });
}

TEST_P(Network, ACloseEndsWhatThePeerReadsAfterTheLastByte) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    const std::string last = Pattern(100'000, 3);
    RETURN_IF_ERROR(client->Write(last, env.Deadline(kPatience)));
    client.reset();
    ASSIGN_OR_RETURN(const std::string got, ReadToEnd(env, *server));
    found.Equal(base::Hash64(got), base::Hash64(last));
    return absl::OkStatus();
  });
}

TEST_P(Network, ACloseWakesThePeersReader) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    return WithScope(env, "reader", [&](Scope& scope) -> absl::Status {
      absl::StatusOr<size_t> read = 99;
      RETURN_IF_ERROR(scope.Spawn("reader", [&] { read = ReadSome(env, *server); }));
      env.Sleep(2ms);
      client.reset();
      scope.Join();
      found.True(read.ok() && *read == 0, "the end");
      return absl::OkStatus();
    });
  });
}

TEST_P(Network, AWriterFindsOutThatThePeerHasClosed) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    server.reset();
    absl::Status status;
    for (int i = 0; status.ok() && i < 2000; ++i) {
      status = client->Write("anybody there?", env.Deadline(kPatience));
      env.Sleep(1ms);
    }
    found.Code(status, StatusCode::kUnavailable);
    return absl::OkStatus();
  });
}

TEST_P(Network, ABlockedWriterIsWokenWhenThePeerCloses) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    return WithScope(env, "writer", [&](Scope& scope) -> absl::Status {
      absl::Status status;
      const std::string much(24 << 20, 'm');
      RETURN_IF_ERROR(
          scope.Spawn("writer", [&] { status = client->Write(much, env.Deadline(kPatience)); }));
      env.Sleep(20ms);
      server.reset();
      scope.Join();
      found.Code(status, StatusCode::kUnavailable);
      return absl::OkStatus();
    });
  });
}

TEST_P(Network, AbortBreaksBothSidesAtOnce) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    return WithScope(env, "waiters", [&](Scope& scope) -> absl::Status {
      absl::StatusOr<size_t> here = 99;
      absl::StatusOr<size_t> there = 99;
      RETURN_IF_ERROR(scope.Spawn("reader here", [&] { here = ReadSome(env, *client); }));
      RETURN_IF_ERROR(scope.Spawn("reader there", [&] { there = ReadSome(env, *server); }));
      env.Sleep(2ms);
      client->Abort();
      scope.Join();
      found.Code(here, StatusCode::kUnavailable);
      found.Code(there, StatusCode::kUnavailable);
      found.Code(client->Write("x", env.Deadline(kPatience)), StatusCode::kUnavailable);
      found.Code(server->Write("x", env.Deadline(kPatience)), StatusCode::kUnavailable);
      found.Code(ReadSome(env, *client), StatusCode::kUnavailable);
      client->Abort();  // again is harmless
      return absl::OkStatus();
    });
  });
}

TEST_P(Network, AbortWakesABlockedWriter) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    return WithScope(env, "writer", [&](Scope& scope) -> absl::Status {
      absl::Status status;
      const std::string much(24 << 20, 'm');
      RETURN_IF_ERROR(scope.Spawn("writer", [&] { status = client->Write(much, base::kForever); }));
      env.Sleep(20ms);
      client->Abort();
      scope.Join();
      found.Code(status, StatusCode::kUnavailable);
      return absl::OkStatus();
    });
  });
}

TEST_P(Network, AClosedListenerResetsWhoWasNotAccepted) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto listener, Listen(env));
    ASSIGN_OR_RETURN(const auto client,
                     env.network.Connect(listener->address(), env.Deadline(kPatience)));
    env.Sleep(2ms);
    listener.reset();
    found.Code(ReadSome(env, *client), StatusCode::kUnavailable);
    return absl::OkStatus();
  });
}

TEST_P(Network, AcceptedConnectionsOutliveTheirListener) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto listener, Listen(env));
    ASSIGN_OR_RETURN(auto streams, Connected(env, *listener));
    listener.reset();
    RETURN_IF_ERROR(streams.first->Write("still here", env.Deadline(kPatience)));
    ASSIGN_OR_RETURN(const std::string got, ReadUpTo(env, *streams.second, 10));
    found.Equal(got, std::string("still here"));
    return absl::OkStatus();
  });
}

TEST_P(Network, IPv6LoopbackWorks) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, env.network.Listen({"::1", 0}));
    found.Equal(listener->address().ToString(),
                absl::StrFormat("[::1]:%d", listener->address().port));
    ASSIGN_OR_RETURN(auto streams, Connected(env, *listener));
    auto& [client, server] = streams;
    found.Equal(client->peer().ToString(), listener->address().ToString());
    RETURN_IF_ERROR(client->Write("six", env.Deadline(kPatience)));
    ASSIGN_OR_RETURN(const std::string got, ReadUpTo(env, *server, 3));
    found.Equal(got, std::string("six"));
    return absl::OkStatus();
  });
}

TEST_P(Network, ANameThatNobodyKnowsIsNamed) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    const auto stream = env.network.Connect({"no such host", 80}, env.Deadline(kPatience));
    found.Error(stream.status(), StatusCode::kNotFound, "no such host");
    found.Error(env.network.Resolve("no such host", env.Deadline(kPatience)).status(),
                StatusCode::kNotFound, "no such host");
    return absl::OkStatus();
  });
}

TEST_P(Network, ALiteralResolvesToItself) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    for (const std::string literal : {"127.0.0.1", "::1", "192.0.2.7"}) {
      ASSIGN_OR_RETURN(const std::vector<std::string> all,
                       env.network.Resolve(literal, env.Deadline(kPatience)));
      found.Equal(all, std::vector<std::string>({literal}));
    }
    return absl::OkStatus();
  });
}

TEST_P(Network, LocalhostIsTheLoopback) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto all, env.network.Resolve("localhost", env.Deadline(kPatience)));
    found.True(!all.empty(), "it has an address");
    for (const std::string& literal : all)
      found.True(literal == "127.0.0.1" || literal == "::1", literal);
    // Its addresses are tried in order until one answers.
    ASSIGN_OR_RETURN(const auto listener, Listen(env));
    found.Ok(env.network.Connect({"localhost", listener->address().port}, env.Deadline(kPatience)));
    return absl::OkStatus();
  });
}

TEST_P(Network, AHostReachesItselfByItsOwnAddress) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, env.network.Listen({env.host.address(), 0}));
    found.Ok(Connected(env, *listener));
    return absl::OkStatus();
  });
}

TEST_P(Network, AMegabyteEachWayInChunksOfAnySizeArrivesInOrder) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    const auto write = [&](io::Stream& to, uint64_t seed) {
      base::Random random(seed);
      const std::string all = Pattern(1 << 20, seed);
      for (size_t at = 0; at < all.size();) {
        const size_t bytes =
            std::min<size_t>(random.Between(uint64_t{1}, uint64_t{40'000}), all.size() - at);
        if (!found.Ok(to.Write(std::string_view(all).substr(at, bytes), env.Deadline(kPatience))))
          return;
        at += bytes;
      }
      found.Ok(to.CloseWrite());
    };
    const auto read = [&](io::Stream& from, uint64_t seed) {
      base::Random random(seed + 100);
      base::ContentHasher hasher;
      size_t total = 0;
      for (std::string room(70'000, '\0');;) {
        const size_t most = random.Between(uint64_t{1}, room.size());
        const auto got = from.Read(absl::MakeSpan(room).first(most), env.Deadline(kPatience));
        if (!found.Ok(got) || *got == 0) break;
        hasher.Add(std::string_view(room).substr(0, *got));
        total += *got;
      }
      found.Equal(total, size_t{1} << 20);
      found.Equal(hasher.Finish().ToHex(), base::HashContent(Pattern(1 << 20, seed)).ToHex());
    };
    return WithScope(env, "traffic", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("write there", [&] { write(*client, 1); }));
      RETURN_IF_ERROR(scope.Spawn("write back", [&] { write(*server, 2); }));
      RETURN_IF_ERROR(scope.Spawn("read there", [&] { read(*server, 1); }));
      RETURN_IF_ERROR(scope.Spawn("read back", [&] { read(*client, 2); }));
      scope.Join();
      return absl::OkStatus();
    });
  });
}

TEST_P(Network, ManyConnectionsAtOnce) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    constexpr int kConnections = 150;
    ASSIGN_OR_RETURN(const auto listener, Listen(env));
    int echoed = 0;
    const absl::Status status = WithScope(env, "crowd", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("accept", [&] {
        for (int i = 0; i < kConnections; ++i) {
          auto stream = listener->Accept(env.Deadline(kPatience));
          if (!found.Ok(stream)) return;
          found.Ok(scope.Spawn("echo", [&env, &found, stream = *std::move(stream)] {
            const auto got = ReadToEnd(env, *stream);
            if (found.Ok(got)) found.Ok(stream->Write(*got, env.Deadline(kPatience)));
          }));
        }
      }));
      for (int i = 0; i < kConnections; ++i) {
        RETURN_IF_ERROR(scope.Spawn("client", [&, i] {
          const auto stream = env.network.Connect(listener->address(), env.Deadline(kPatience));
          if (!found.Ok(stream)) return;
          const std::string text = Pattern(1000, static_cast<uint64_t>(i));
          found.Ok((*stream)->Write(text, env.Deadline(kPatience)));
          found.Ok((*stream)->CloseWrite());
          const auto got = ReadToEnd(env, **stream);
          echoed += found.Ok(got) && found.Equal(*got, text);
        }));
      }
      scope.Join();
      return absl::OkStatus();
    });
    found.Equal(echoed, kConnections);
    return status;
  });
}

TEST_P(Network, AStreamBelongsToTheExecutorThatFirstUsesIt) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    auto& [client, server] = streams;
    Scope scope(env.tasks, "there", slot);
    RETURN_IF_ERROR(scope.Spawn("echo", [&] {
      const auto got = ReadToEnd(env, *server);
      if (found.Ok(got)) found.Ok(server->Write(*got, env.Deadline(kPatience)));
      found.Ok(server->CloseWrite());
    }));
    const std::string text = Pattern(50'000, 5);
    found.Ok(client->Write(text, env.Deadline(kPatience)));
    found.Ok(client->CloseWrite());
    const auto got = ReadToEnd(env, *client);
    scope.Join();
    if (found.Ok(got)) found.Equal(base::Hash64(*got), base::Hash64(text));
    return absl::OkStatus();
  });
}

// -------------------------------------------------------------------------------------- frames

WEIR_CONFORMANCE_DECORATED(Framing);

TEST_P(Framing, FramesOfAnySizeArriveWhole) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    io::FramedStream client(std::move(streams.first));
    io::FramedStream server(std::move(streams.second));
    const std::vector<size_t> sizes = {0,    1,       15, 16,      17, 4095,  4096,
                                       4097, 100'000, 3,  1 << 20, 0,  70'000};
    return WithScope(env, "writer", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("writer", [&] {
        for (const size_t size : sizes)
          found.Ok(client.Write(Pattern(size, size), env.Deadline(kPatience)));
        found.Ok(client.stream().CloseWrite());
      }));
      for (const size_t size : sizes) {
        ASSIGN_OR_RETURN(const std::string_view got, server.Read(env.Deadline(kPatience)));
        found.Equal(got.size(), size);
        found.True(got == Pattern(size, size), "the same bytes");
      }
      found.Code(server.Read(env.Deadline(kPatience)), StatusCode::kOutOfRange);
      return absl::OkStatus();
    });
  });
}

TEST_P(Framing, ADeadlineWithinAFrameLosesNothing) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    io::FramedStream server(std::move(streams.second));
    std::string frame;
    io::AppendFrame(frame, "in two parts");
    for (const size_t cut : {size_t{1}, size_t{15}, size_t{16}, size_t{20}, frame.size() - 1}) {
      const std::string_view view = frame;
      RETURN_IF_ERROR(streams.first->Write(view.substr(0, cut), env.Deadline(kPatience)));
      found.Code(server.Read(env.Deadline(5ms)), StatusCode::kDeadlineExceeded);
      RETURN_IF_ERROR(streams.first->Write(view.substr(cut), env.Deadline(kPatience)));
      ASSIGN_OR_RETURN(const std::string_view got, server.Read(env.Deadline(kPatience)));
      found.Equal(std::string(got), std::string("in two parts"));
    }
    return absl::OkStatus();
  });
}

TEST_P(Framing, AFrameThatIsCutIsDataLoss) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    std::string frame;
    io::AppendFrame(frame, "never whole");
    for (const size_t cut : {size_t{1}, size_t{16}, frame.size() - 1}) {
      ASSIGN_OR_RETURN(auto streams, Connected(env));
      io::FramedStream server(std::move(streams.second));
      RETURN_IF_ERROR(
          streams.first->Write(std::string_view(frame).substr(0, cut), env.Deadline(kPatience)));
      streams.first.reset();
      found.Error(server.Read(env.Deadline(kPatience)).status(), StatusCode::kDataLoss,
                  absl::StrFormat("%d bytes in", cut));
    }
    return absl::OkStatus();
  });
}

TEST_P(Framing, AnotherProtocolIsDataLoss) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto streams, Connected(env));
    io::FramedStream server(std::move(streams.second));
    RETURN_IF_ERROR(
        streams.first->Write("GET / HTTP/1.1\r\nHost: somebody\r\n\r\n", env.Deadline(kPatience)));
    found.Error(server.Read(env.Deadline(kPatience)).status(), StatusCode::kDataLoss,
                "does not speak this protocol");
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace weir::tests

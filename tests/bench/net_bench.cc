#include "tests/bench/net_bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/config_keys.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "net/posix.h"
#include "net/real_world.h"
#include "net/temporary_directory.h"
#include "tests/bench/bench.h"

namespace weir::bench {
namespace {

using base::Monotonic;
using net::Fd;

constexpr size_t kWriteBytes = 32 << 10;
constexpr size_t kReadBytes = 64 << 10;
constexpr int kStreamWrites = 6'000;  // 0.2 GB a sample
constexpr size_t kPingBytes = 64;
constexpr int kWarmUpPings = 500;
constexpr int kPings = 4'000;
constexpr size_t kAppendBytes = 4 << 10;
constexpr int kAppends = 60;
// Many short pairs: others use this machine, too.
constexpr int kPairsHere = 21;
constexpr int kIdleConnections = 10'000;

double Seconds(base::Duration duration) { return std::chrono::duration<double>(duration).count(); }

// The two cores of the two sides, as far as there are two.
struct Cores {
  int server = -1;
  int client = -1;
  bool spin() const { return client >= 0; }
};

Cores FindCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores.size() < 2 ? Cores{} : Cores{cores[0], cores[1]};
}

// ---------------------------------------------------------------------------------------- ours

using Serve = std::function<absl::Status(io::Env&, io::Stream&)>;

// Runs `serve` at one end of a connection, on one slot, and `use` at the other, on another.
absl::Status RunOurs(const Cores& cores, const Serve& serve, const Serve& use) {
  return net::Run({}, [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor server,
                     env.tasks.AddExecutor({"server", cores.server, cores.spin()}));
    ASSIGN_OR_RETURN(const io::Executor client,
                     env.tasks.AddExecutor({"client", cores.client, cores.spin()}));
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                     env.network.Listen({"127.0.0.1", 0}));
    absl::Status served, used;
    io::Scope at_server(env.tasks, "server", server);
    io::Scope at_client(env.tasks, "client", client);
    RETURN_IF_ERROR(at_server.Spawn("serve", [&] {
      absl::StatusOr<std::unique_ptr<io::Stream>> stream = listener->Accept(base::kForever);
      served = stream.ok() ? serve(env, **stream) : stream.status();
    }));
    RETURN_IF_ERROR(at_client.Spawn("use", [&] {
      absl::StatusOr<std::unique_ptr<io::Stream>> stream =
          env.network.Connect(listener->address(), base::kForever);
      used = stream.ok() ? use(env, **stream) : stream.status();
    }));
    at_client.Join();
    at_server.Join();
    return served.ok() ? used : served;
  });
}

absl::Status ReadAll(io::Stream& stream, absl::Span<char> into) {
  while (!into.empty()) {
    ASSIGN_OR_RETURN(const size_t got, stream.Read(into, base::kForever));
    if (got == 0) return absl::DataLossError("the stream ended early");
    into.remove_prefix(got);
  }
  return absl::OkStatus();
}

absl::Status OurStream(const Cores& cores, double& gigabytes_per_second) {
  const Serve serve = [](io::Env&, io::Stream& stream) -> absl::Status {
    std::vector<char> buffer(kReadBytes);
    for (;;) {
      ASSIGN_OR_RETURN(const size_t got, stream.Read(absl::MakeSpan(buffer), base::kForever));
      if (got == 0) return stream.Write("k", base::kForever);
    }
  };
  const Serve use = [&](io::Env& env, io::Stream& stream) -> absl::Status {
    const std::string bytes(kWriteBytes, 'd');
    const Monotonic start = env.clock.Now();
    for (int i = 0; i < kStreamWrites; ++i) {
      RETURN_IF_ERROR(stream.Write(bytes, base::kForever));
    }
    RETURN_IF_ERROR(stream.CloseWrite());
    char answer = 0;
    RETURN_IF_ERROR(ReadAll(stream, absl::MakeSpan(&answer, 1)));
    gigabytes_per_second = kWriteBytes * kStreamWrites / Seconds(env.clock.Now() - start) / 1e9;
    return absl::OkStatus();
  };
  return RunOurs(cores, serve, use);
}

absl::Status OurPing(const Cores& cores, double& microseconds) {
  const Serve serve = [](io::Env&, io::Stream& stream) -> absl::Status {
    char buffer[kPingBytes];
    for (int i = 0; i < kWarmUpPings + kPings; ++i) {
      RETURN_IF_ERROR(ReadAll(stream, absl::MakeSpan(buffer)));
      RETURN_IF_ERROR(stream.Write({buffer, kPingBytes}, base::kForever));
    }
    return absl::OkStatus();
  };
  const Serve use = [&](io::Env& env, io::Stream& stream) -> absl::Status {
    char buffer[kPingBytes] = {};
    Monotonic start{};
    for (int i = -kWarmUpPings; i < kPings; ++i) {
      if (i == 0) start = env.clock.Now();
      RETURN_IF_ERROR(stream.Write({buffer, kPingBytes}, base::kForever));
      RETURN_IF_ERROR(ReadAll(stream, absl::MakeSpan(buffer)));
    }
    microseconds = Seconds(env.clock.Now() - start) / kPings * 1e6;
    return absl::OkStatus();
  };
  return RunOurs(cores, serve, use);
}

// ----------------------------------------------------------------------------------------- raw

// One end of a connection with a bare epoll loop around it, which spins as long as ours may.
class RawEnd {
 public:
  RawEnd(int fd, bool spin) : fd_(fd), spin_(spin ? Spin() : base::Duration(0)) {
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
  }

  // What came, 0 at the end.
  size_t ReadSome(absl::Span<char> into) {
    for (;;) {
      const ssize_t got = recv(fd_, into.data(), into.size(), 0);
      if (got >= 0) return static_cast<size_t>(got);
      CHECK_EQ(errno, EAGAIN);
      Wait();
    }
  }
  void ReadAll(absl::Span<char> into) {
    while (!into.empty()) {
      const size_t got = ReadSome(into);
      CHECK_GT(got, 0u);
      into.remove_prefix(got);
    }
  }
  void Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t taken = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (taken < 0) {
        CHECK_EQ(errno, EAGAIN);
        Wait();
      } else {
        bytes.remove_prefix(static_cast<size_t>(taken));
      }
    }
  }
  void CloseWrite() { CHECK_EQ(shutdown(fd_, SHUT_WR), 0); }

 private:
  static base::Duration Spin() { return base::Config().Get(base::kSpin); }

  void Wait() {
    epoll_event event;
    if (spin_ > base::Duration(0)) {
      const Monotonic start = net::MonotonicNow();
      do {
        if (epoll_wait(epoll_.get(), &event, 1, 0) > 0) return;
        sched_yield();
      } while (net::MonotonicNow() - start < spin_);
    }
    while (epoll_wait(epoll_.get(), &event, 1, -1) < 0) CHECK_EQ(errno, EINTR);
  }

  const int fd_;
  const base::Duration spin_;
  const Fd epoll_{epoll_create1(EPOLL_CLOEXEC)};
};

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void PinTo(int core) {
  if (core < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

using RawSide = std::function<void(RawEnd&)>;

// The like of RunOurs with nothing but system calls.
void RunRaw(const Cores& cores, const RawSide& serve, const RawSide& use) {
  Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  CHECK_EQ(bind(listener.get(), raw, size), 0);
  CHECK_EQ(listen(listener.get(), 1), 0);
  CHECK_EQ(getsockname(listener.get(), raw, &size), 0);
  Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_EQ(connect(client.get(), raw, size), 0);
  Fd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const auto side = [&](int fd, int core, const RawSide& run) {
    PinTo(core);
    const int one = 1;
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    RawEnd end(fd, cores.spin());
    run(end);
  };
  std::thread at_server([&] { side(server.get(), cores.server, serve); });
  std::thread at_client([&] { side(client.get(), cores.client, use); });
  at_client.join();
  at_server.join();
}

double RawStream(const Cores& cores) {
  double gigabytes_per_second = 0;
  RunRaw(
      cores,
      [](RawEnd& end) {
        std::vector<char> buffer(kReadBytes);
        while (end.ReadSome(absl::MakeSpan(buffer)) > 0) {
        }
        end.Write("k");
      },
      [&](RawEnd& end) {
        const std::string bytes(kWriteBytes, 'd');
        const Monotonic start = net::MonotonicNow();
        for (int i = 0; i < kStreamWrites; ++i) end.Write(bytes);
        end.CloseWrite();
        char answer = 0;
        end.ReadAll(absl::MakeSpan(&answer, 1));
        gigabytes_per_second =
            kWriteBytes * kStreamWrites / Seconds(net::MonotonicNow() - start) / 1e9;
      });
  return gigabytes_per_second;
}

double RawPing(const Cores& cores) {
  double microseconds = 0;
  RunRaw(
      cores,
      [](RawEnd& end) {
        char buffer[kPingBytes];
        for (int i = 0; i < kWarmUpPings + kPings; ++i) {
          end.ReadAll(absl::MakeSpan(buffer));
          end.Write({buffer, kPingBytes});
        }
      },
      [&](RawEnd& end) {
        char buffer[kPingBytes] = {};
        Monotonic start{};
        for (int i = -kWarmUpPings; i < kPings; ++i) {
          if (i == 0) start = net::MonotonicNow();
          end.Write({buffer, kPingBytes});
          end.ReadAll(absl::MakeSpan(buffer));
        }
        microseconds = Seconds(net::MonotonicNow() - start) / kPings * 1e6;
      });
  return microseconds;
}

// ---------------------------------------------------------------------------------------- disk

// Both give the median time of an append with its sync, in microseconds.
absl::Status OurAppend(const std::string& directory, double& microseconds) {
  return net::Run({.data_directory = directory}, [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                     env.disk.Open("ours", io::OpenMode::kOverwrite));
    const std::string bytes(kAppendBytes, 'a');
    std::vector<double> times;
    for (int i = 0; i < kAppends; ++i) {
      const Monotonic start = env.clock.Now();
      RETURN_IF_ERROR(file->Append(bytes));
      RETURN_IF_ERROR(file->Sync());
      times.push_back(Seconds(env.clock.Now() - start) * 1e6);
    }
    microseconds = Median(times);
    return absl::OkStatus();
  });
}

double RawAppend(const std::string& directory) {
  const std::string path = directory + "/raw";
  const Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
  CHECK(file) << path << ": " << net::ErrorWords(errno);
  const std::string bytes(kAppendBytes, 'a');
  std::vector<double> times;
  for (int i = 0; i < kAppends; ++i) {
    const Monotonic start = net::MonotonicNow();
    CHECK_EQ(write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    CHECK_EQ(fdatasync(file.get()), 0) << net::ErrorWords(errno);
    times.push_back(Seconds(net::MonotonicNow() - start) * 1e6);
  }
  return Median(times);
}

// --------------------------------------------------------------------------------- connections

absl::StatusOr<uint64_t> ResidentBytes() {
  ASSIGN_OR_RETURN(const std::string text, net::ReadSmallFile("/proc/self/statm"));
  uint64_t pages = 0;
  const size_t space = text.find(' ');
  if (space == std::string::npos) return absl::InternalError("/proc/self/statm: " + text);
  pages = std::stoull(text.substr(space + 1));
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

struct Pipe {
  Fd read, write;
};
Pipe MakePipe() {
  int ends[2];
  CHECK_EQ(pipe2(ends, O_CLOEXEC), 0) << net::ErrorWords(errno);
  return {Fd(ends[0]), Fd(ends[1])};
}

// The second process: connects as often as asked, says so, and on a word sends one frame on each
// connection. Plain system calls, so that nothing of ours is measured at this end.
[[noreturn]] void BeClients(const Pipe& orders, const Pipe& news) {
  uint16_t port = 0;
  if (read(orders.read.get(), &port, sizeof(port)) != sizeof(port)) _exit(1);
  std::vector<int> sockets;
  const sockaddr_in address = Loopback(port);
  for (int i = 0; i < kIdleConnections; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      _exit(2);
    }
    sockets.push_back(fd);
  }
  char word = 'c';
  if (write(news.write.get(), &word, 1) != 1) _exit(3);
  if (read(orders.read.get(), &word, 1) != 1) _exit(4);
  std::string frame;
  io::AppendFrame(frame, "still here");
  for (const int fd : sockets) {
    if (send(fd, frame.data(), frame.size(), MSG_NOSIGNAL) != ssize_t(frame.size())) _exit(5);
  }
  // Until the server has what it wants.
  (void)!read(orders.read.get(), &word, 1);
  _exit(0);
}

// Serves one connection as a server would: a task with a framed stream.
void ServeIdle(std::unique_ptr<io::Stream> stream, int& frames) {
  io::FramedStream framed(std::move(stream));
  while (framed.Read(base::kForever).ok()) ++frames;
}

absl::Status MeasureIdle(double& kilobytes) {
  rlimit descriptors = {};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  if (descriptors.rlim_cur < kIdleConnections + 100) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("file descriptors: limit %d, needed %d; raise `ulimit -Hn`",
                        descriptors.rlim_cur, kIdleConnections + 100));
  }
  Pipe orders = MakePipe(), news = MakePipe();
  const pid_t child = fork();
  CHECK_GE(child, 0) << net::ErrorWords(errno);
  if (child == 0) {
    orders.write.Reset();
    BeClients(orders, news);
  }
  orders.read.Reset();
  news.write.Reset();

  absl::Status status = net::Run({}, [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "server"}));
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                     env.network.Listen({"127.0.0.1", 0}, {.backlog = 4096}));
    int accepted = 0, frames = 0;
    io::Scope server(env.tasks, "server", slot);
    absl::Status result;
    RETURN_IF_ERROR(server.Spawn("accept", [&] {
      result = io::WithScope(env, "connections", [&](io::Scope& connections) -> absl::Status {
        ASSIGN_OR_RETURN(const uint64_t before, ResidentBytes());
        const uint16_t port = listener->address().port;
        if (write(orders.write.get(), &port, sizeof(port)) != ssize_t(sizeof(port))) {
          return absl::UnavailableError("the clients are gone");
        }
        while (accepted < kIdleConnections) {
          ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream,
                           listener->Accept(env.Deadline(std::chrono::seconds(20))));
          ++accepted;
          RETURN_IF_ERROR(connections.Spawn("serve", [&, stream = std::move(stream)]() mutable {
            ServeIdle(std::move(stream), frames);
          }));
        }
        env.Sleep(std::chrono::milliseconds(200));  // the last of them begin to read
        ASSIGN_OR_RETURN(const uint64_t after, ResidentBytes());
        kilobytes = static_cast<double>(after - before) / 1024 / kIdleConnections;
        // They only count if they work.
        if (write(orders.write.get(), "g", 1) != 1) return absl::UnavailableError("no clients");
        const Monotonic until = env.Deadline(std::chrono::seconds(20));
        while (frames < kIdleConnections && env.clock.Now() < until) {
          env.Sleep(std::chrono::milliseconds(10));
        }
        if (frames == kIdleConnections) return absl::OkStatus();
        return absl::DataLossError(
            absl::StrFormat("only %d of %d connections answered", frames, kIdleConnections));
      });
    }));
    server.Join();
    return result;
  });
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return status;
}

// Adds a figure made of pairs, or says why there is none.
void AddPairs(Report& report, std::string_view figure, std::string_view unit,
              const std::function<absl::Status(double&)>& ours,
              const std::function<double()>& limit, Goal goal) {
  absl::Status failure;
  const std::vector<Sample> pairs = MeasurePairs(
      kPairsHere,
      [&] {
        double value = 0;
        if (absl::Status status = ours(value); !status.ok()) failure = status;
        return value;
      },
      [&] { return limit(); });
  if (failure.ok()) {
    report.Add(figure, unit, pairs, goal);
  } else {
    report.AddFailure(figure, std::string_view(failure.message().data(), failure.message().size()));
  }
}

}  // namespace

int RunNetBench(bool json, bool strict) {
  Report report("net", json);
  // First, while memory of this process is as it is after a start.
  double kilobytes = 0;
  if (const absl::Status idle = MeasureIdle(kilobytes); idle.ok()) {
    report.Add("idle_connection", "KiB each of 10000", {kilobytes}, {}, AtMost(64));
  } else {
    report.AddFailure("idle_connection",
                      std::string_view(idle.message().data(), idle.message().size()));
  }
  const Cores cores = FindCores();
  AddPairs(
      report, "stream_32k", "GB/s", [&](double& value) { return OurStream(cores, value); },
      [&] { return RawStream(cores); }, AtLeastRatio(0.9));
  AddPairs(
      report, "ping_pong_64b", "us", [&](double& value) { return OurPing(cores, value); },
      [&] { return RawPing(cores); }, AtMostRatio(1.3));
  const absl::StatusOr<net::TemporaryDirectory> directory =
      net::TemporaryDirectory::Make("weir-bench");
  if (directory.ok()) {
    AddPairs(
        report, "append_sync_4k", "us",
        [&](double& value) { return OurAppend(directory->path(), value); },
        [&] { return RawAppend(directory->path()); }, AtMostRatio(1.1));
  } else {
    const absl::Status& status = directory.status();
    report.AddFailure("append_sync_4k",
                      std::string_view(status.message().data(), status.message().size()));
  }
  return report.Finish(strict);
}

}  // namespace weir::bench

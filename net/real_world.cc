#include "net/real_world.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "engine/base/check.h"
#include "engine/base/config_keys.h"
#include "engine/base/limits.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "net/posix_disk.h"
#include "net/posix_processes.h"
#include "net/real_host.h"
#include "net/real_tasks.h"
#include "net/tcp_network.h"

namespace weir::net {
namespace {

// A failed CHECK says where it was. As many worlds as run share the one hook.
class CheckContext {
 public:
  CheckContext() {
    if (users_.fetch_add(1) == 0) base::SetFailureContext(&Describe);
  }
  ~CheckContext() {
    if (users_.fetch_sub(1) == 1) base::SetFailureContext(nullptr);
  }

 private:
  static std::string Describe() {
    return absl::StrFormat("  in process %d, %s\n", getpid(), RealTasks::DescribeThisThread());
  }
  static std::atomic<int> users_;
};
std::atomic<int> CheckContext::users_{0};

// The end of a process that does not end. A thread of its own, as it is the control thread that may
// not let go.
class ExitGrace {
 public:
  explicit ExitGrace(std::string process) : process_(std::move(process)) {}
  ~ExitGrace() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  void Begin(RealTasks& running) {
    thread_ = std::thread([this, &running] {
      std::unique_lock<std::mutex> lock(mutex_);
      if (changed_.wait_for(lock, base::kExitGrace, [this] { return ended_; })) return;
      std::string tasks = running.DescribeTasks();
      if (tasks.empty()) tasks = "  a helper thread: a call to the kernel does not return";
      absl::StripTrailingAsciiWhitespace(&tasks);
      WriteAll(STDERR_FILENO,
               absl::StrFormat("FATAL process %s does not end: after %s there still run%s\n",
                               process_, base::ToString(base::kExitGrace),
                               absl::StrReplaceAll(tasks, {{"\n", ";"}, {"  ", " "}})));
      _exit(1);
    });
  }

 private:
  const std::string process_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;
};

// The child's side of the lease: its pipe ends when the parent does.
class Lease final : private Source {
 public:
  explicit Lease(Loop& control) : control_(control) {}
  ~Lease() override {
    if (fd_) control_.Unwatch(fd_.get());
  }
  absl::Status Watch(int fd) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    RETURN_IF_ERROR(control_.Watch(fd, this));
    fd_ = Fd(fd);
    return absl::OkStatus();
  }

 private:
  void OnEvents(uint32_t events) override {
    if ((events & (EPOLLHUP | EPOLLERR)) == 0) return;
    WriteAll(STDERR_FILENO, "FATAL the process that started this one is gone\n");
    _exit(1);
  }

  Loop& control_;
  Fd fd_;
};

uint64_t RealSeed() {
  uint64_t seed = 0;
  // Blocks until the kernel has gathered randomness, once after a boot.
  while (getrandom(&seed, sizeof(seed), 0) != ssize_t{sizeof(seed)}) {
    CHECK_EQ(errno, EINTR) << "getrandom: " << ErrorWords(errno);
  }
  return seed;
}

// Takes a variable out of the environment.
std::string TakeVariable(const char* name) {
  const char* const value = std::getenv(name);
  const std::string taken = value == nullptr ? "" : value;
  unsetenv(name);
  return taken;
}

}  // namespace

absl::Status Run(const RealOptions& options, const io::Program& program) {
  const CheckContext check_context;
  const std::string process =
      options.process_name.empty() ? std::to_string(getpid()) : options.process_name;
  ExitGrace grace(process);  // until the last helper has ended
  ASSIGN_OR_RETURN(const std::unique_ptr<RealTasks> tasks, RealTasks::Make(options.config));
  ASSIGN_OR_RETURN(const std::unique_ptr<PosixDisk> disk,
                   PosixDisk::Open(*tasks, options.data_directory));
  RealClock clock;
  base::Random random(RealSeed());
  TcpNetwork network(*tasks);
  PosixProcesses processes(*tasks, *disk, options.arguments);
  RealHost host;
  RealSignals signals(*tasks);
  RealLog log(host.name(), process);
  log.set_level(io::ParseLogLevel(options.config.Get(base::kLogLevel)));
  RealTrace trace;
  RealConsole console;
  io::Env env{clock, *tasks, random, network, *disk, processes, host, signals, log, trace, console};

  if (options.catch_signals) RETURN_IF_ERROR(signals.Catch());
  Lease lease(tasks->control());
  if (options.lease_fd >= 0) RETURN_IF_ERROR(lease.Watch(options.lease_fd));

  tasks->set_on_main_ended([&] { grace.Begin(*tasks); });
  absl::Status result;
  const absl::Status ran = tasks->Run(process, [&] { result = program(env); });
  return ran.ok() ? result : ran;
}

RealOptions OptionsOfProcess(int argc, char** argv) {
  RealOptions options;
  options.arguments.assign(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (argc > 0) {
    const std::string_view path = argv[0];
    options.process_name =
        absl::StrFormat("%s.%d", base::Abseil(path.substr(path.rfind('/') + 1)), getpid());
  }
  options.data_directory = TakeVariable(kDirectoryVariable);
  int lease = -1;
  struct stat info;
  if (absl::SimpleAtoi(TakeVariable(kLeaseVariable), &lease) && fstat(lease, &info) == 0 &&
      S_ISFIFO(info.st_mode)) {
    options.lease_fd = lease;
  }
  options.catch_signals = true;
  return options;
}

int Main(const RealOptions& options, const io::Program& program) {
  // A peer that went and a file too large are errors of a call, no reasons to die.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  rlimit descriptors = {};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }
  const absl::Status status = Run(options, program);
  if (status.ok()) return 0;
  RealLog log(RealHost().name(), options.process_name);
  log.Error("process", base::Std(status.ToString()));
  return 1;
}

int Main(int argc, char** argv, const io::Program& program) {
  return Main(OptionsOfProcess(argc, argv), program);
}

}  // namespace weir::net

#include "net/real_host.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::net {
namespace {

// ---------------------------------------------------------------------------------------- host

std::optional<uint64_t> ParseNumber(absl::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

// The number behind `key` in text of the form "key: 123 kB" or "key 123".
std::optional<uint64_t> NumberAfter(absl::string_view text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, key)) continue;
    line.remove_prefix(key.size());
    while (!line.empty() && (line[0] == ':' || line[0] == ' ')) line.remove_prefix(1);
    return ParseNumber(line);
  }
  return std::nullopt;
}

// The folders of this process's control group for `controller` ("" for version 2) and of those
// above it, innermost first: each may set a limit.
std::vector<std::string> GroupFolders(absl::string_view controller) {
  std::vector<std::string> folders;
  const absl::StatusOr<std::string> groups = ReadSmallFile("/proc/self/cgroup");
  if (!groups.ok()) return folders;
  for (const absl::string_view line : absl::StrSplit(*groups, '\n')) {
    // "0::/user.slice" or "4:cpu,cpuacct:/user.slice".
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const std::vector<absl::string_view> controllers = absl::StrSplit(fields[1], ',');
    if (std::find(controllers.begin(), controllers.end(), controller) == controllers.end()) {
      continue;
    }
    const std::string base =
        controller.empty() ? "/sys/fs/cgroup" : absl::StrFormat("/sys/fs/cgroup/%s", controller);
    std::string path(fields[2]);
    while (path.size() > 1) {
      folders.push_back(base + path);
      path.resize(path.rfind('/'));
    }
    folders.push_back(base);
  }
  return folders;
}

std::optional<uint64_t> NumberIn(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadSmallFile(path);
  return text.ok() ? ParseNumber(*text) : std::nullopt;
}

// Cores that control groups grant, rounded up.
int CoresGranted() {
  int cores = INT_MAX;
  const auto grant = [&](uint64_t quota, uint64_t period) {
    if (period > 0) cores = std::min(cores, static_cast<int>((quota + period - 1) / period));
  };
  for (const std::string& folder : GroupFolders("")) {
    const absl::StatusOr<std::string> text = ReadSmallFile(folder + "/cpu.max");
    if (!text.ok()) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(*text, ' ');
    if (words.size() != 2) continue;
    const std::optional<uint64_t> quota = ParseNumber(words[0]);  // or "max"
    const std::optional<uint64_t> period = ParseNumber(words[1]);
    if (quota.has_value() && period.has_value()) grant(*quota, *period);
  }
  for (const std::string& folder : GroupFolders("cpu")) {
    const std::optional<uint64_t> quota = NumberIn(folder + "/cpu.cfs_quota_us");  // or -1
    const std::optional<uint64_t> period = NumberIn(folder + "/cpu.cfs_period_us");
    if (quota.has_value() && period.has_value()) grant(*quota, *period);
  }
  return std::max(cores, 1);
}

struct Memory {
  uint64_t limit = UINT64_MAX;
  uint64_t free = UINT64_MAX;
};

Memory MemoryOfProcess() {
  Memory memory;
  if (const absl::StatusOr<std::string> info = ReadSmallFile("/proc/meminfo"); info.ok()) {
    memory.limit = NumberAfter(*info, "MemTotal").value_or(0) << 10;
    memory.free = NumberAfter(*info, "MemAvailable").value_or(0) << 10;
  }
  const auto bound = [&](const std::string& folder, const char* limit_file, const char* used_file) {
    const std::optional<uint64_t> limit = NumberIn(folder + limit_file);  // or "max"
    if (!limit.has_value() || *limit >= memory.limit) return;
    memory.limit = *limit;
    const uint64_t used = std::min(*limit, NumberIn(folder + used_file).value_or(0));
    memory.free = std::min(memory.free, *limit - used);
  };
  for (const std::string& folder : GroupFolders("")) {
    bound(folder, "/memory.max", "/memory.current");
  }
  for (const std::string& folder : GroupFolders("memory")) {
    bound(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes");
  }
  return memory;
}

// The first address that other hosts can reach; loopback on a host without network.
std::string OwnAddress() {
  std::string four, six;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return "127.0.0.1";
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_LOOPBACK) != 0 ||
        (at->ifa_flags & IFF_UP) == 0) {
      continue;
    }
    const int family = at->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    char text[NI_MAXHOST];
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (getnameinfo(at->ifa_addr, size, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) != 0) {
      continue;
    }
    std::string& slot = family == AF_INET ? four : six;
    // An address of a link only ("%eth0") says nothing to other hosts.
    if (slot.empty() && !absl::StrContains(text, "%")) slot = text;
  }
  freeifaddrs(all);
  if (!four.empty()) return four;
  return six.empty() ? "127.0.0.1" : six;
}

// ------------------------------------------------------------------------------------- signals

// What the handler may touch.
std::atomic<int> signal_bell{-1};
std::atomic<int> interrupts{0};

void OnSignal(int number) {
  const int saved = errno;
  if (number == SIGINT && interrupts.fetch_add(1) > 0) {
    signal(SIGINT, SIG_DFL);
    raise(SIGINT);  // delivered when this returns
  }
  const uint64_t one = 1;
  if (write(signal_bell.load(), &one, sizeof(one)) < 0) {
    // Only a full counter fails: it rings already.
  }
  errno = saved;
}

}  // namespace

RealHost::RealHost() : address_(OwnAddress()) {
  char name[HOST_NAME_MAX + 1] = {};
  name_ = gethostname(name, sizeof(name) - 1) == 0 && name[0] != '\0' ? name : "localhost";
}

io::HostLimits RealHost::limits() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int allowed = sched_getaffinity(0, sizeof(set), &set) == 0
                          ? CPU_COUNT(&set)
                          : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return {.cores = std::max(1, std::min(allowed, CoresGranted())),
          .memory_bytes = MemoryOfProcess().limit};
}

io::MemoryPressure RealHost::memory_pressure() {
  io::MemoryPressure pressure;
  pressure.free_bytes = MemoryOfProcess().free;
  // "some avg10=1.23 avg60=...": per cent of the last ten seconds.
  const absl::StatusOr<std::string> text = ReadSmallFile("/proc/pressure/memory");
  if (!text.ok()) return pressure;
  const size_t at = text->find("avg10=");
  if (at == std::string::npos) return pressure;
  const absl::string_view number = absl::string_view(*text).substr(at + 6);
  const size_t point = number.find('.');
  if (point == absl::string_view::npos || point + 1 >= number.size()) return pressure;
  const uint64_t whole = ParseNumber(number.substr(0, point)).value_or(0);
  const uint64_t tenths = ParseNumber(number.substr(point + 1, 1)).value_or(0);
  pressure.stalled_per_mille = static_cast<uint32_t>(whole * 10 + tenths);
  return pressure;
}

RealSignals::~RealSignals() {
  if (!bell_) return;
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  tasks_.control().Unwatch(bell_.get());
  signal_bell.store(-1);
}

absl::Status RealSignals::Catch() {
  CHECK_EQ(signal_bell.load(), -1) << "the signals of this OS process are taken";
  Fd bell(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell) return absl::ResourceExhaustedError(DescriptorsUsedUp(errno));
  RETURN_IF_ERROR(tasks_.control().Watch(bell.get(), this));
  bell_ = std::move(bell);
  signal_bell.store(bell_.get());
  interrupts.store(0);
  struct sigaction action = {};
  action.sa_handler = &OnSignal;
  action.sa_flags = SA_RESTART;
  CHECK_EQ(sigaction(SIGTERM, &action, nullptr), 0);
  CHECK_EQ(sigaction(SIGINT, &action, nullptr), 0);
  return absl::OkStatus();
}

void RealSignals::OnEvents(uint32_t events) {
  // The bell is never full, so it can always be written, and every event says so.
  if ((events & EPOLLIN) == 0) return;
  std::lock_guard<std::mutex> lock(mutex_);
  requested_.store(true, std::memory_order_release);
  for (const io::TaskRef waiter : std::exchange(waiters_, {})) tasks_.Unpark(waiter);
}

io::Wake RealSignals::WaitForTermination(base::Monotonic deadline) {
  for (;;) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (termination_requested()) return io::Wake::kUnparked;
      const io::TaskRef self = tasks_.Current();
      if (std::find(waiters_.begin(), waiters_.end(), self) == waiters_.end()) {
        waiters_.push_back(self);
      }
    }
    const io::Wake wake = tasks_.Park(deadline, {"termination signal"});
    if (wake == io::Wake::kUnparked) continue;
    std::lock_guard<std::mutex> lock(mutex_);
    if (wake == io::Wake::kTimeout && termination_requested()) return io::Wake::kUnparked;
    std::erase(waiters_, tasks_.Current());
    return wake;
  }
}

// --------------------------------------------------------------------------- log, trace, console

void RealLog::Write(io::LogLevel level, std::string_view component, std::string_view text) {
  const Loop* const loop = Loop::This();
  const std::string place = absl::StrFormat(
      "%s/%s %s", host_, process_,
      loop != nullptr && loop->current() != nullptr ? loop->current()->name() : "-");
  WriteAll(STDERR_FILENO, io::LogLine(base::ToString(WallNow()), level, component, place, text));
}

void RealTrace::Hit(base::Probe probe, absl::Span<const int64_t>) {
  hits_[static_cast<size_t>(probe)].fetch_add(1, std::memory_order_relaxed);
}

void RealConsole::Out(std::string_view text) { WriteAll(STDOUT_FILENO, text); }
void RealConsole::Err(std::string_view text) { WriteAll(STDERR_FILENO, text); }

}  // namespace weir::net

#include "net/posix_processes.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/hash.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::net {
namespace {

constexpr char kOwnProgram[] = "/proc/self/exe";

int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }
int PidfdSignal(int pidfd, int signal) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}
constexpr auto kByPidfd = static_cast<idtype_t>(3);  // P_PIDFD, which older headers lack

absl::Status NoProgram(const std::string& path, int error) {
  const std::string message = absl::StrFormat("program \"%s\": %s", path, ErrorWords(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message + "; give the path of an executable");
    case EACCES:
    case EPERM:
    case ENOEXEC:
    case EISDIR:
      return absl::PermissionDeniedError(message + "; give the path of an executable");
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(
          absl::StrFormat("program \"%s\": %s", path, DescriptorsUsedUp(error)));
    default:
      return absl::UnavailableError(message);
  }
}

// --------------------------------------------------------------------------------- the new child

// All that the child needs between fork and exec, where it may not allocate.
struct Plan {
  int program = -1;
  int output = -1;  // becomes standard output; -1: ours
  int lease = -1;
  int report = -1;  // where it writes errno if it cannot run the program
  pid_t parent = 0;
  std::vector<char*> arguments;
  std::vector<char*> environment;
};

[[noreturn]] void Fail(const Plan& plan) {
  const int error = errno;
  if (write(plan.report, &error, sizeof(error)) < 0) _exit(126);
  _exit(127);
}

// Runs in the child. Async-signal-safe calls only.
[[noreturn]] void BecomeChild(const Plan& plan) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) Fail(plan);
  // The parent may have died before the line above. Whoever adopted us is somebody else.
  if (getppid() != plan.parent) _exit(126);
  // Ctrl-C at the parent's terminal is for the parent, which tells its children in its own way.
  setpgid(0, 0);
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (const int signal : {SIGTERM, SIGINT, SIGPIPE, SIGXFSZ, SIGCHLD, SIGSEGV}) {
    sigaction(signal, &standard, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (plan.output >= 0 && dup2(plan.output, STDOUT_FILENO) < 0) Fail(plan);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0 && nothing != STDIN_FILENO) dup2(nothing, STDIN_FILENO);
  // Libraries open files that are not close-on-exec.
  syscall(SYS_close_range, 3U, ~0U, static_cast<unsigned>(CLOSE_RANGE_CLOEXEC));
  if (fcntl(plan.lease, F_SETFD, 0) != 0) Fail(plan);
  syscall(SYS_execveat, plan.program, "", plan.arguments.data(), plan.environment.data(),
          AT_EMPTY_PATH);
  Fail(plan);
}

// What a list of processes shows: for our own program, the file behind the kernel's name for it.
std::string NameOf(const std::string& path) {
  char target[PATH_MAX];
  if (path != kOwnProgram) return path;
  const ssize_t size = readlink(kOwnProgram, target, sizeof(target));
  return size > 0 ? std::string(target, static_cast<size_t>(size)) : path;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

struct Pipe {
  Fd read;
  Fd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ResourceExhaustedError(DescriptorsUsedUp(errno));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// ------------------------------------------------------------------------------------- a handle

class PosixChild final : public io::Child {
 public:
  PosixChild(RealTasks& tasks, pid_t pid, Fd pidfd, Fd lease, Fd output)
      : tasks_(tasks),
        pid_(pid),
        name_(std::to_string(pid)),
        exit_(std::make_unique<Channel>(std::move(pidfd))),
        lease_(std::move(lease)),
        output_(std::make_unique<Channel>(std::move(output))) {}

  ~PosixChild() override {
    if (ended_.has_value()) return;
    // Killed at once; the corpse is taken by a helper, as a large process takes long to die.
    PidfdSignal(exit_->fd(), SIGKILL);
    tasks_.helpers().Submit([pid = pid_] {
      siginfo_t info;
      while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) {
      }
    });
  }

  io::ProcessId id() const override { return io::ProcessId(static_cast<uint64_t>(pid_)); }

  absl::StatusOr<io::ExitStatus> Wait(base::Monotonic deadline) override {
    // One task listens to the descriptor, the others to that task.
    struct Leave {
      PosixChild& child;
      io::TaskRef self;
      bool listens = false;
      ~Leave() {
        std::erase(child.waiters_, self);
        if (!listens) return;
        child.listened_ = false;
        for (const io::TaskRef waiter : child.waiters_) child.tasks_.Unpark(waiter);
      }
    } leave{*this, tasks_.Current()};
    for (;;) {
      if (Look()) return *ended_;
      absl::Status waited;
      if (leave.listens || !listened_) {
        leave.listens = listened_ = true;
        waited = exit_->AwaitReadable(deadline, {"exit of", name_});
      } else {
        if (std::find(waiters_.begin(), waiters_.end(), leave.self) == waiters_.end()) {
          waiters_.push_back(leave.self);
        }
        const io::Wake wake = tasks_.Park(deadline, {"exit of", name_});
        if (wake == io::Wake::kTimeout) waited = absl::DeadlineExceededError("");
        if (wake == io::Wake::kCancelled) waited = absl::CancelledError("");
      }
      if (waited.ok()) continue;
      if (!absl::IsDeadlineExceeded(waited)) return waited;
      if (Look()) return *ended_;
      return absl::DeadlineExceededError(
          absl::StrFormat("process %d still runs at the deadline", pid_));
    }
  }

  absl::Status Kill() override { return Signal(SIGKILL); }
  absl::Status Terminate() override { return Signal(SIGTERM); }
  absl::Status Pause() override { return Signal(SIGSTOP); }
  absl::Status Resume() override { return Signal(SIGCONT); }

  absl::StatusOr<size_t> ReadOutput(absl::Span<char> into, base::Monotonic deadline) override {
    CHECK(output_->fd() >= 0) << "ReadOutput of a child spawned without capture_output";
    for (;;) {
      const ssize_t got = read(output_->fd(), into.data(), into.size());
      if (got >= 0) return static_cast<size_t>(got);
      if (errno == EINTR) continue;
      if (errno != EAGAIN) {
        return absl::UnavailableError(
            absl::StrFormat("output of process %d: %s", pid_, ErrorWords(errno)));
      }
      const absl::Status waited = output_->AwaitReadable(deadline, {"output of", name_});
      if (absl::IsDeadlineExceeded(waited)) {
        return absl::DeadlineExceededError(
            absl::StrFormat("process %d printed nothing until the deadline", pid_));
      }
      if (!waited.ok()) return waited;
    }
  }

 private:
  // Takes the exit status if there is one.
  bool Look() {
    if (ended_.has_value()) return true;
    siginfo_t info = {};
    if (waitid(kByPidfd, static_cast<id_t>(exit_->fd()), &info, WEXITED | WNOHANG) != 0) {
      CHECK_EQ(errno, EINTR) << "wait for process " << pid_ << ": " << ErrorWords(errno);
      return false;
    }
    if (info.si_pid == 0) return false;
    ended_ = io::ExitStatus{.by_signal = info.si_code != CLD_EXITED, .code = info.si_status};
    return true;
  }

  absl::Status Signal(int signal) {
    if (ended_.has_value() || PidfdSignal(exit_->fd(), signal) == 0 || errno == ESRCH) {
      return absl::OkStatus();
    }
    return absl::PermissionDeniedError(
        absl::StrFormat("signal %d to process %d: %s", signal, pid_, ErrorWords(errno)));
  }

  RealTasks& tasks_;
  const pid_t pid_;
  const std::string name_;
  const AtHome<Channel> exit_;
  const Fd lease_;
  const AtHome<Channel> output_;
  std::optional<io::ExitStatus> ended_;
  std::vector<io::TaskRef> waiters_;
  bool listened_ = false;
};

}  // namespace

// ------------------------------------------------------------------------------------ programs

io::ProcessId PosixProcesses::self() const {
  return io::ProcessId(static_cast<uint64_t>(getpid()));
}

absl::StatusOr<PosixProcesses::Identity> PosixProcesses::IdentityOf(int fd,
                                                                    const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return NoProgram(path, errno);
  if (S_ISDIR(info.st_mode)) return NoProgram(path, EISDIR);
  if ((info.st_mode & 0111) == 0) return NoProgram(path, EACCES);
  const auto nanoseconds = [](const timespec& time) {
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  return Identity{info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size),
                  nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

namespace {

absl::StatusOr<base::Hash128> HashOf(int fd, const std::string& path) {
  base::ContentHasher hasher;
  std::vector<char> buffer(256 << 10);
  for (off_t offset = 0;;) {
    const ssize_t got = pread(fd, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return NoProgram(path, errno);
    if (got == 0) return hasher.Finish();
    hasher.Add({buffer.data(), static_cast<size_t>(got)});
    offset += got;
  }
}

}  // namespace

absl::StatusOr<base::Hash128> PosixProcesses::HashFile(const std::string& path,
                                                       Identity& identity) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return NoProgram(path, errno);
  ASSIGN_OR_RETURN(identity, IdentityOf(fd.get(), path));
  return HashOf(fd.get(), path);
}

absl::StatusOr<base::Hash128> PosixProcesses::Remember(const std::string& path) {
  Program program{path, {}};
  absl::StatusOr<base::Hash128> hash = base::Hash128{};
  tasks_.Offload("hash of a program", [&] { hash = HashFile(path, program.identity); });
  if (!hash.ok()) return hash;
  std::lock_guard<std::mutex> lock(mutex_);
  programs_[*hash] = std::move(program);
  return hash;
}

absl::StatusOr<base::Hash128> PosixProcesses::Self() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (const auto it = own_.find(kOwnProgram); it != own_.end()) return it->second;
  }
  // The kernel keeps this name on the file that runs, even if its path was given to another.
  ASSIGN_OR_RETURN(const base::Hash128 hash, Remember(kOwnProgram));
  std::lock_guard<std::mutex> lock(mutex_);
  own_[kOwnProgram] = hash;
  return hash;
}

absl::StatusOr<base::Hash128> PosixProcesses::Install(std::string_view path) {
  const std::string asked(path);
  char resolved[PATH_MAX];
  // The working directory may change until it is spawned.
  if (asked.empty() || realpath(asked.c_str(), resolved) == nullptr) {
    return NoProgram(asked, asked.empty() ? ENOENT : errno);
  }
  return Remember(resolved);
}

absl::StatusOr<Fd> PosixProcesses::OpenProgram(const base::Hash128& hash, std::string& path) {
  std::optional<Program> program;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (const auto it = programs_.find(hash); it != programs_.end()) program = it->second;
  }
  if (!program.has_value()) {
    return absl::NotFoundError(absl::StrFormat(
        "program %s: not installed in this process; install its path first", hash.ToHex()));
  }
  path = program->path;
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return NoProgram(path, errno);
  ASSIGN_OR_RETURN(const Identity identity, IdentityOf(fd.get(), path));
  if (identity == program->identity) return fd;
  ASSIGN_OR_RETURN(const base::Hash128 found, HashOf(fd.get(), path));
  if (found == hash) return fd;
  return absl::NotFoundError(absl::StrFormat(
      "program %s: \"%s\" was replaced by %s since it was installed; install it again",
      hash.ToHex(), path, found.ToHex()));
}

absl::StatusOr<std::unique_ptr<io::Child>> PosixProcesses::Spawn(const io::SpawnOptions& options) {
  RETURN_IF_ERROR(io::CheckPath(options.directory));
  std::string directory = disk_.root_path();
  if (!options.directory.empty() && options.directory != ".") {
    RETURN_IF_ERROR(disk_.MakeDirectories(options.directory));
    directory += "/" + options.directory;
  }
  ASSIGN_OR_RETURN(Pipe lease, MakePipe());
  ASSIGN_OR_RETURN(Pipe report, MakePipe());
  Pipe output;
  if (options.capture_output) {
    ASSIGN_OR_RETURN(output, MakePipe());
    CHECK_EQ(fcntl(output.read.get(), F_SETFL, O_NONBLOCK), 0);
  }

  absl::Status status;
  // Made as soon as the process is: if this task is cancelled on the way, the handle kills it.
  std::unique_ptr<PosixChild> child;
  tasks_.RunOn(starter_, "start of a process", [&] {
    std::string path;
    absl::StatusOr<Fd> program = OpenProgram(options.program, path);
    if (!program.ok()) {
      status = program.status();
      return;
    }
    std::vector<std::string> arguments = {NameOf(path)};
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    std::vector<std::string> environment;
    for (char** at = environ; *at != nullptr; ++at) {
      const absl::string_view entry = *at;
      if (absl::StartsWith(entry, absl::StrFormat("%s=", kDirectoryVariable)) ||
          absl::StartsWith(entry, absl::StrFormat("%s=", kLeaseVariable))) {
        continue;
      }
      environment.emplace_back(entry);
    }
    environment.push_back(absl::StrFormat("%s=%s", kDirectoryVariable, directory));
    environment.push_back(absl::StrFormat("%s=%d", kLeaseVariable, lease.read.get()));
    Plan plan;
    plan.program = program->get();
    plan.output = output.write.get();
    plan.lease = lease.read.get();
    plan.report = report.write.get();
    plan.parent = getpid();
    plan.arguments = Pointers(arguments);
    plan.environment = Pointers(environment);

    const pid_t pid = fork();
    if (pid == 0) BecomeChild(plan);
    if (pid < 0) {
      status = absl::ResourceExhaustedError(
          absl::StrFormat("program \"%s\": no process: %s; raise `ulimit -u` or free memory", path,
                          ErrorWords(errno)));
      return;
    }
    Fd pidfd(PidfdOpen(pid));
    const int pidfd_error = errno;
    // The end of the pipe says that the program runs; a number, why it does not.
    report.write.Reset();
    int error = 0;
    ssize_t got;
    do {
      got = read(report.read.get(), &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    if (got <= 0 && pidfd) {
      child = std::make_unique<PosixChild>(tasks_, pid, std::move(pidfd), std::move(lease.write),
                                           std::move(output.read));
      return;
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    status = NoProgram(path, got > 0 ? error : pidfd_error);
  });
  if (!status.ok()) return status;
  return child;
}

}  // namespace weir::net

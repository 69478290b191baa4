// Calls and types that belong to net/, and the two that belong nowhere: Boost's own fiber waits,
// and `catch (...)`.
//
// A lexer knows no types. A C function counts as called when its name stands before a parenthesis,
// is no member (a.f, p->f, X::f) and no declaration (int f), and, where our accessors could bear
// that name, has an argument.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include "tests/house/rules.h"

namespace weir::house {
namespace {

struct Category {
  std::string_view rule;
  std::string_view remedy;
  bool net_may;
  std::set<std::string_view> words;      // Flagged wherever they stand.
  std::set<std::string_view> std_names;  // Flagged after std:: or absl::.
  std::set<std::string_view> calls;      // C functions.
};

const std::vector<Category>& Categories() {
  static const auto* categories = new std::vector<Category>{
      {"clock",
       "ask Env's monotonic or wall clock (engine/io/clock.h)",
       true,
       {"steady_clock", "system_clock", "high_resolution_clock", "utc_clock", "file_clock",
        "gettimeofday", "clock_gettime", "timespec_get", "__rdtsc", "GetCurrentTimeNanos",
        "timerfd_create"},
       {"Now", "clock", "time"},
       {"localtime", "localtime_r"}},
      {"sleep",
       "wait in Park, with a deadline (engine/io)",
       true,
       {"sleep_for", "sleep_until", "usleep", "nanosleep", "clock_nanosleep"},
       {"SleepFor"},
       {"sleep", "pause"}},
      {"thread",
       "spawn a task (engine/io/tasks.h), or Offload what blocks",
       true,
       {"jthread", "this_thread", "pthread_create", "pthread_self", "pthread_kill", "packaged_task",
        "stop_token", "sched_yield", "sched_setaffinity"},
       {"thread", "async", "future", "promise"},
       {}},
      {"lock",
       "use the sync of engine/io, which waits in Park",
       true,
       {"recursive_mutex", "shared_mutex", "timed_mutex", "shared_timed_mutex",
        "condition_variable_any", "lock_guard", "scoped_lock", "shared_lock", "unique_lock",
        "once_flag", "call_once", "counting_semaphore", "binary_semaphore", "pthread_mutex_t",
        "pthread_cond_t"},
       {"mutex", "condition_variable", "latch", "barrier", "Mutex", "MutexLock", "CondVar",
        "Notification", "BlockingCounter"},
       {}},
      {"random",
       "draw from Env's Random, which forks by name (engine/base/random.h)",
       false,
       {"random_device", "mt19937", "mt19937_64", "minstd_rand", "default_random_engine",
        "uniform_int_distribution", "uniform_real_distribution", "normal_distribution",
        "bernoulli_distribution", "discrete_distribution", "random_shuffle", "drand48", "lrand48",
        "srand", "rand", "rand_r", "arc4random", "BitGen", "InsecureBitGen"},
       {"shuffle", "sample"},
       {"random", "srandom"}},
      {"file",
       "ask Env's Disk (engine/io/disk.h)",
       true,
       {"ifstream",  "ofstream",        "fstream", "filebuf", "filesystem", "fopen",
        "fdopen",    "freopen",         "openat",  "creat",   "mkstemp",    "mkdtemp",
        "tmpfile",   "pread",           "pwrite",  "fsync",   "fdatasync",  "ftruncate",
        "fallocate", "posix_fallocate", "opendir", "readdir", "unlinkat",   "renameat",
        "renameat2", "statvfs",         "fstat",   "lstat",   "O_RDONLY",   "O_RDWR",
        "O_WRONLY"},
       {},
       {"open",   "read",    "write", "readv", "writev", "close",    "unlink",
        "rename", "remove",  "mkdir", "rmdir", "stat",   "truncate", "access",
        "link",   "symlink", "chmod", "fcntl", "ioctl",  "flock",    "lockf"}},
      {"socket",
       "ask Env's Network (engine/io/network.h)",
       true,
       {"getaddrinfo",  "gethostbyname", "setsockopt", "getsockopt", "getsockname",
        "getpeername",  "epoll_create1", "epoll_ctl",  "epoll_wait", "epoll_pwait",
        "epoll_pwait2", "eventfd",       "socketpair", "accept4",    "sendmsg",
        "recvmsg",      "sendto",        "recvfrom",   "AF_INET",    "AF_INET6",
        "AF_UNIX",      "pipe2"},
       {},
       {"socket", "bind", "listen", "accept", "connect", "send", "recv", "shutdown", "poll",
        "ppoll", "select", "pipe"}},
      {"process",
       "ask Env's Processes, which also brings signals as events (engine/io/processes.h)",
       true,
       {"fork", "vfork", "execv", "execve", "execvp", "execl", "posix_spawn", "posix_spawnp",
        "waitpid", "popen", "sigaction", "sigprocmask", "pthread_sigmask", "prctl", "SIGKILL",
        "SIGTERM"},
       {"system", "signal", "quick_exit"},
       {"system", "signal", "kill", "raise", "_exit", "exit", "getpid"}},
      {"environment",
       "take a configuration key (engine/base/config_keys.h)",
       true,
       {"getenv", "secure_getenv", "setenv", "putenv", "environ"},
       {},
       {}},
      {"console",
       "log through Env, or print from engine/main",
       true,
       {"cout", "cerr", "clog", "printf", "fprintf", "puts", "fputs", "putchar", "fputc", "fwrite"},
       {},
       {}},
  };
  return *categories;
}

constexpr std::string_view kFiberWaits[] = {
    "mutex",
    "timed_mutex",
    "recursive_mutex",
    "condition_variable",
    "condition_variable_any",
    "barrier",
    "buffered_channel",
    "unbuffered_channel",
    "promise",
    "future",
    "async",
    "packaged_task",
};

bool IsCallOf(const Source& source, size_t i) {
  if (source.At(i + 1) != "(") return false;
  const std::string_view before = i == 0 ? "" : source.At(i - 1);
  if (before == "." || before == "->") return false;
  if (before == "::") {
    const bool global = i < 2 || !source.IsWord(i - 2) || source.At(i - 2) == "return";
    return global;
  }
  // `int open(...)` declares; `return open(...)` calls.
  static constexpr std::string_view kBeforeExpression[] = {
      "return", "else", "do", "throw", "case", "not", "and", "or", "co_return", "co_await"};
  const bool declares =
      i > 0 && (source.IsWord(i - 1) || before == "*" || before == "&" || before == "~") &&
      std::find(std::begin(kBeforeExpression), std::end(kBeforeExpression), before) ==
          std::end(kBeforeExpression);
  if (declares) return false;
  if (source.At(i + 2) == ")" && source.At(i) != "pause") return false;  // An accessor of ours.
  return true;
}

// Local functions may bear the name of one of C: `auto send = [&](...) {...};`
std::set<std::string_view> LocalFunctions(const Source& source) {
  std::set<std::string_view> names;
  for (size_t i = 0; i + 2 < source.tokens.size(); ++i) {
    if (source.IsWord(i) && source.At(i + 1) == "=" && source.At(i + 2) == "[")
      names.insert(source.At(i));
  }
  return names;
}

// boost::fibers and the names it was given by `namespace x = boost::fibers;`
std::set<std::string_view> FiberNamespaces(const Source& source) {
  std::set<std::string_view> names = {"fibers"};
  for (size_t i = 0; i + 5 < source.tokens.size(); ++i) {
    if (source.At(i) == "namespace" && source.At(i + 2) == "=" && source.At(i + 5) == "fibers") {
      names.insert(source.At(i + 1));
    }
  }
  return names;
}

}  // namespace

std::vector<Violation> CheckCalls(const Source& source) {
  std::vector<Violation> found;
  const bool in_net = FolderOf(source.path) == "net";
  const std::set<std::string_view> local = LocalFunctions(source);
  const std::set<std::string_view> fibers = FiberNamespaces(source);
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    if (!source.IsWord(i)) continue;
    const std::string_view word = source.At(i);
    const std::string_view before = i == 0 ? "" : source.At(i - 1);
    const std::string_view scope = before == "::" && i >= 2 ? source.At(i - 2) : "";
    const int line = source.tokens[i].line;

    const bool fiber_wait =
        (fibers.contains(scope) && std::find(std::begin(kFiberWaits), std::end(kFiberWaits),
                                             word) != std::end(kFiberWaits)) ||
        scope == "this_fiber";
    if (fiber_wait) {
      found.push_back(
          {source.path, line, "fiber-wait",
           "`" + std::string(scope) + "::" + std::string(word) +
               "` waits where no kill, no seed and no virtual clock reaches; wait in Park"});
      continue;
    }
    if (fibers.contains(scope)) continue;  // The switch itself; CheckIncludes says who may use it.

    const bool member = before == "." || before == "->";
    for (const Category& category : Categories()) {
      if (in_net && category.net_may) continue;
      const bool flagged =
          (!member && category.words.contains(word)) ||
          ((scope == "std" || scope == "absl") && category.std_names.contains(word)) ||
          (category.calls.contains(word) && !local.contains(word) && IsCallOf(source, i));
      if (!flagged) continue;
      found.push_back(
          {source.path, line, std::string(category.rule),
           "`" + std::string(word) + "` is not for this folder; " + std::string(category.remedy)});
      break;
    }
  }
  return found;
}

std::vector<Violation> CheckCatchAll(const Source& source) {
  std::vector<Violation> found;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    if (source.At(i) != "catch" || source.At(i + 1) != "(" || source.At(i + 2) != ".") continue;
    const size_t open = source.Closing(i + 1) + 1;
    const size_t close = source.Closing(open);
    bool rethrows = false;
    for (size_t at = open; at < close; ++at) {
      rethrows = rethrows || (source.At(at) == "throw" && source.At(at + 1) == ";");
    }
    if (rethrows) continue;
    found.push_back(
        {source.path, source.tokens[i].line, "catch-all",
         "`catch (...)` without `throw;` would swallow a kill or a cancel; catch std::exception, "
         "or rethrow"});
  }
  return found;
}

}  // namespace weir::house

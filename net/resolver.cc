#include "net/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "engine/base/text.h"
#include "net/posix.h"

namespace weir::net {
namespace {

// Names that are asked for at the same time, each on its thread; most of them wait for a server.
constexpr int kLookupsMax = 32;

std::mutex lookups_mutex;
int lookups_running = 0;

// Between the task that asked and the thread that looks. Outlives both.
struct Question {
  std::mutex mutex;
  std::optional<Addresses> answer;
  io::TaskRef asker;  // cleared when the task no longer waits: its world may end then
  io::Tasks* tasks = nullptr;
};

absl::Status FromResolver(int code, int error, const std::string& name) {
  switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
      return absl::NotFoundError(absl::StrFormat(
          "name \"%s\": nobody knows it; check the spelling, /etc/hosts and the name server",
          name));
    case EAI_AGAIN:
      return absl::UnavailableError(absl::StrFormat(
          "name \"%s\": no name server answers; check /etc/resolv.conf and the network", name));
    case EAI_SYSTEM:
      if (IsDescriptorLimit(error)) {
        return absl::ResourceExhaustedError(
            absl::StrFormat("name \"%s\": %s", name, DescriptorsUsedUp(error)));
      }
      return absl::UnavailableError(absl::StrFormat("name \"%s\": %s", name, ErrorWords(error)));
    default:
      return absl::UnavailableError(absl::StrFormat("name \"%s\": %s", name, gai_strerror(code)));
  }
}

}  // namespace

Addresses LookUpName(const std::string& name) {
  // RFC 6761: such a name exists nowhere, so no server is asked, and none can be down.
  const absl::string_view bare = absl::StripSuffix(name, ".");
  if (bare == "invalid" || absl::EndsWithIgnoreCase(bare, ".invalid")) {
    return FromResolver(EAI_NONAME, 0, name);
  }
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  int code = getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (code != 0 && code != EAI_SYSTEM) {
    // A host with nothing but loopback has no "configured" address; it can still talk to itself.
    hints.ai_flags = 0;
    code = getaddrinfo(name.c_str(), nullptr, &hints, &found);
  }
  if (code != 0) return FromResolver(code, errno, name);
  std::vector<std::string> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) !=
        0) {
      continue;
    }
    if (std::find(addresses.begin(), addresses.end(), text) == addresses.end()) {
      addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  if (addresses.empty()) return FromResolver(EAI_NONAME, 0, name);
  return addresses;
}

Addresses LookUpOnHelper(io::Tasks& tasks, const std::string& name,
                         Addresses (*lookup)(const std::string& name), base::Monotonic deadline) {
  const auto question = std::make_shared<Question>();
  question->asker = tasks.Current();
  question->tasks = &tasks;
  // Its world outlives the task that waits here, not the thread below.
  struct Leave {
    Question& question;
    ~Leave() {
      std::lock_guard<std::mutex> lock(question.mutex);
      question.asker = io::TaskRef();
    }
  } leave{*question};

  {
    std::lock_guard<std::mutex> lock(lookups_mutex);
    if (lookups_running >= kLookupsMax) {
      return absl::UnavailableError(
          absl::StrFormat("name \"%s\": %d names wait for an answer already; check the name server",
                          name, lookups_running));
    }
    ++lookups_running;
  }
  try {
    std::thread([question, name, lookup] {
      pthread_setname_np(pthread_self(), "name lookup");
      Addresses answer = lookup(name);
      {
        std::lock_guard<std::mutex> lock(question->mutex);
        question->answer = std::move(answer);
        if (question->asker) question->tasks->Unpark(question->asker);
      }
      std::lock_guard<std::mutex> lock(lookups_mutex);
      --lookups_running;
    }).detach();
  } catch (const std::system_error& error) {
    std::lock_guard<std::mutex> lock(lookups_mutex);
    --lookups_running;
    return absl::ResourceExhaustedError(
        absl::StrFormat("name \"%s\": no thread to look it up: %s", name, error.what()));
  }
  for (;;) {
    {
      std::lock_guard<std::mutex> lock(question->mutex);
      if (question->answer.has_value()) return *std::move(question->answer);
    }
    switch (tasks.Park(deadline, {"name", name})) {
      case io::Wake::kUnparked:
        break;
      case io::Wake::kTimeout:
        return absl::DeadlineExceededError("");
      case io::Wake::kCancelled:
        return absl::CancelledError("");
    }
  }
}

}  // namespace weir::net

#include "engine/io/network.h"

#include <charconv>

#include "absl/strings/str_format.h"
#include "engine/base/text.h"

namespace weir::io {

std::string Address::ToString() const {
  const bool six = host.find(':') != std::string::npos;
  return six ? absl::StrFormat("[%s]:%d", host, port) : absl::StrFormat("%s:%d", host, port);
}

absl::StatusOr<Address> Address::Parse(std::string_view text) {
  const auto bad = [&](const char* why) {
    return absl::InvalidArgumentError(
        absl::StrFormat("address \"%s\": %s; write host:port, such as 127.0.0.1:8081 or [::1]:8081",
                        base::Abseil(text), why));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return bad("\"[\" without \"]\"");
    host = host.substr(1, host.size() - 2);
    if (!host.empty() && host.find(':') == std::string_view::npos) {
      return bad("brackets are for IPv6 addresses");
    }
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address needs brackets");
  }
  if (host.empty()) return bad("no host");
  if (host.find_first_of("[]") != std::string_view::npos) return bad("a bracket too many");
  uint32_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port > 65535) {
    return bad("the port is not a whole number from 0 to 65535");
  }
  return Address{std::string(host), static_cast<uint16_t>(port)};
}

}  // namespace weir::io

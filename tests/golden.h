// Golden files: bytes that an earlier version wrote, kept in tests/golden, and read by a test of
// every later one. A format that changes gets a new version and a new file; the old one stays and
// is still read.
#pragma once

#include <string>
#include <string_view>

namespace weir::tests {

// What tests/golden/`name` holds, from lines of hexadecimal digits; '#' starts a comment. Fails the
// test if it cannot be read.
std::string Golden(std::string_view name);

// The lines of a golden file of text, without comment lines.
std::string GoldenText(std::string_view name);

// "57 52 46 31", 16 bytes a line: what a new golden file is made of.
std::string Hex(std::string_view bytes);

}  // namespace weir::tests

#include "tests/golden.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_format.h"
#include "build_paths.h"

namespace weir::tests {
namespace {

std::string ReadLines(std::string_view name) {
  const std::string path = std::string(kSourceDir) + "/tests/golden/" + std::string(name);
  std::ifstream file(path);
  if (!file) {
    ADD_FAILURE() << "no golden file " << path;
    return "";
  }
  std::string text;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] != '#') text += line + "\n";
  }
  return text;
}

}  // namespace

std::string GoldenText(std::string_view name) { return ReadLines(name); }

std::string Golden(std::string_view name) {
  std::string bytes;
  std::istringstream words(ReadLines(name));
  for (std::string word; words >> word;) {
    size_t used = 0;
    const int byte = std::stoi(word, &used, 16);
    if (used != 2 || word.size() != 2) ADD_FAILURE() << name << ": \"" << word << "\" is no byte";
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

std::string Hex(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    text += absl::StrFormat("%02x%c", static_cast<unsigned char>(bytes[i]),
                            i % 16 == 15 || i + 1 == bytes.size() ? '\n' : ' ');
  }
  return text;
}

}  // namespace weir::tests

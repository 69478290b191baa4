// What product code must not be able to say, and the form every file has.
#include <cctype>
#include <string>
#include <vector>

#include "tests/house/rules.h"

namespace weir::house {
namespace {

// "is_simulated", "InSimulation", "SimWorld" -> lower-case parts.
std::vector<std::string> PartsOf(std::string_view identifier) {
  std::vector<std::string> parts(1);
  char last = '_';
  for (char c : identifier) {
    const bool upper = std::isupper(static_cast<unsigned char>(c)) != 0;
    const bool hump = upper && std::islower(static_cast<unsigned char>(last)) != 0;
    if ((c == '_' || hump) && !parts.back().empty()) parts.emplace_back();
    if (c != '_') parts.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    last = c;
  }
  return parts;
}

bool SpeaksOfSimulation(std::string_view identifier) {
  for (const std::string& part : PartsOf(identifier)) {
    if (part == "sim" || part.starts_with("simulat")) return true;
  }
  return false;
}

}  // namespace

std::vector<Violation> CheckWorld(const Source& source) {
  std::vector<Violation> found;
  const std::string folder = FolderOf(source.path);
  const bool engine = folder.starts_with("engine/") && folder != "engine/main";
  if (!engine && folder != "net" && folder != "sim") return found;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    if (!source.IsWord(i)) continue;
    const std::string word(source.At(i));
    const int line = source.tokens[i].line;
    if (folder != "sim" && SpeaksOfSimulation(word)) {
      found.push_back({source.path, line, "world",
                       "`" + word + "`: " + folder +
                           " must not know that there is a simulator; make the difference a knob "
                           "or a method of Env"});
    }
    if (word == "dynamic_cast" || word == "dynamic_pointer_cast" || word == "typeid") {
      found.push_back(
          {source.path, line, "world",
           "`" + word + "` could tell one world from the other; ask the interface instead"});
    }
  }
  return found;
}

std::vector<Violation> CheckForm(const Source& source) {
  std::vector<Violation> found;
  const std::string folder = FolderOf(source.path);
  if (source.path.ends_with(".h") && !source.text.starts_with("#pragma once\n") &&
      source.text.find("\n#pragma once\n") == std::string::npos) {
    found.push_back({source.path, 1, "form", "a header needs `#pragma once`"});
  }
  if (source.comments.empty() || source.comments.begin()->first != 1) {
    const bool own_header_says_it =
        source.path.ends_with(".cc") && !source.includes.empty() &&
        source.includes.front().path == source.path.substr(0, source.path.size() - 2) + "h";
    if (!own_header_says_it) {
      found.push_back({source.path, 1, "form",
                       "a file opens with what it is, its invariants, and who may call it"});
    }
  }
  const std::string expected = folder.starts_with("engine/") ? folder.substr(7) : folder;
  const bool product = folder.starts_with("engine/") || folder == "net" || folder == "sim" ||
                       folder == "faults" || folder == "scenarios";
  for (size_t i = 0; product && i + 3 < source.tokens.size(); ++i) {
    if (source.At(i) != "namespace" || source.At(i + 1) != "weir" || source.At(i + 2) != "::")
      continue;
    // What a user includes and calls is weir:: alone; everything else is named after its folder.
    if (source.At(i + 3) == expected || folder == "engine/api" || folder == "engine/main") continue;
    found.push_back({source.path, source.tokens[i].line, "form",
                     "namespace weir::" + std::string(source.At(i + 3)) + " in " + folder +
                         "; a namespace is named after its folder: weir::" + expected});
  }
  for (const auto& [line, comment] : source.comments) {
    for (std::string_view note : {"TODO", "FIXME", "XXX", "HACK"}) {
      if (comment.find(note) == std::string::npos || source.path.starts_with("tests/house/"))
        continue;
      found.push_back({source.path, line, "form",
                       std::string(note) + " in a comment; do it, or open an issue"});
    }
  }
  return found;
}

}  // namespace weir::house

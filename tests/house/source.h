// C++ sources as the house tests see them: tokens without comments and literals, the #include
// lines, and the comments. A lexer and no parser; what it cannot tell apart, the rules say in their
// own comments.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::house {

struct Token {
  enum class Kind { kWord, kNumber, kLiteral, kPunctuation };
  Kind kind;
  std::string text;  // Empty for literals. Punctuation is one character, or "::", or "->".
  int line;
};

struct Include {
  std::string path;
  bool angled;
  int line;
};

struct Source {
  std::string path;  // From the root, with forward slashes.
  std::string text;
  std::vector<Token> tokens;
  std::vector<Include> includes;
  std::map<int, std::string>
      comments;  // By line; a block comment has an entry for each of its lines.

  // The text of token `i`, or "" beyond either end, so that rules may look around freely.
  std::string_view At(size_t i) const;
  bool IsWord(size_t i) const;
  // The index of the bracket that closes the one at `i` ( ( [ { or < ), or tokens.size().
  size_t Closing(size_t i) const;
};

Source Parse(std::string path, std::string text);

// Every .h and .cc below the folders of the project, by path.
std::map<std::string, Source> LoadTree(const std::string& root);

// "engine/state" of "engine/state/x.cc", "sim" of "sim/y.h", "tests" of "tests/sim/z.cc".
std::string FolderOf(std::string_view path);

}  // namespace weir::house

#include "tests/house/source.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace weir::house {
namespace {

bool StartsWord(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool ContinuesWord(char c) {
  return StartsWord(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}

class Lexer {
 public:
  explicit Lexer(Source& source) : source_(source), text_(source.text) {}

  void Run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        ++at_;
        line_is_blank_ = true;
      } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
        ++at_;
      } else if (Sees("//")) {
        LineComment();
      } else if (Sees("/*")) {
        BlockComment();
      } else if (c == '#' && line_is_blank_) {
        Directive();
      } else {
        line_is_blank_ = false;
        Code();
      }
    }
  }

 private:
  bool Sees(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  void LineComment() {
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    source_.comments[line_] += text_.substr(at_ + 2, end - at_ - 2);
    at_ = end;
  }

  void BlockComment() {
    const size_t end = std::min(text_.find("*/", at_ + 2), text_.size());
    for (; at_ < end; ++at_) {
      if (text_[at_] == '\n') {
        ++line_;
      } else {
        source_.comments[line_] += text_[at_];
      }
    }
    at_ = std::min(end + 2, text_.size());
  }

  // An #include is taken as a whole; of any other directive the '#' is dropped and the rest is code
  // like any other, so that a macro hides nothing.
  void Directive() {
    line_is_blank_ = false;
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    const std::string_view directive = text_.substr(at_ + 1, end - at_ - 1);
    const size_t word = directive.find_first_not_of(" \t");
    if (word != std::string_view::npos && directive.substr(word).starts_with("include")) {
      const size_t open = directive.find_first_of("<\"");
      if (open != std::string_view::npos) {
        const bool angled = directive[open] == '<';
        const size_t close = directive.find(angled ? '>' : '"', open + 1);
        source_.includes.push_back(
            {std::string(directive.substr(open + 1, close - open - 1)), angled, line_});
      }
      at_ = end;
    } else {
      ++at_;
    }
  }

  void Code() {
    const char c = text_[at_];
    if (StartsWord(c)) {
      Word();
    } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      Number();
    } else if (c == '"') {
      Quoted('"');
    } else if (c == '\'') {
      Quoted('\'');
    } else if (Sees("::") || Sees("->")) {
      Add(Token::Kind::kPunctuation, std::string(text_.substr(at_, 2)));
      at_ += 2;
    } else {
      Add(Token::Kind::kPunctuation, std::string(1, c));
      ++at_;
    }
  }

  void Word() {
    const size_t begin = at_;
    while (at_ < text_.size() && ContinuesWord(text_[at_])) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (at_ < text_.size() && text_[at_] == '"' && word.ends_with('R')) {
      RawString();
    } else {
      Add(Token::Kind::kWord, std::string(word));
    }
  }

  void Number() {
    const size_t begin = at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool separator = c == '\'' && at_ + 1 < text_.size() && ContinuesWord(text_[at_ + 1]);
      if (!ContinuesWord(c) && c != '.' && !separator) break;
      ++at_;
    }
    Add(Token::Kind::kNumber, std::string(text_.substr(begin, at_ - begin)));
  }

  void Quoted(char quote) {
    Add(Token::Kind::kLiteral, "");
    for (++at_; at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    if (at_ < text_.size() && text_[at_] == quote) ++at_;
  }

  void RawString() {
    Add(Token::Kind::kLiteral, "");
    const size_t open = std::min(text_.find('(', at_), text_.size());
    const std::string close = ")" + std::string(text_.substr(at_ + 1, open - at_ - 1)) + "\"";
    const size_t found = text_.find(close, open);
    const size_t end = found == std::string_view::npos ? text_.size() : found + close.size();
    for (; at_ < end; ++at_) {
      if (text_[at_] == '\n') ++line_;
    }
  }

  void Add(Token::Kind kind, std::string text) {
    source_.tokens.push_back({kind, std::move(text), line_});
  }

  Source& source_;
  const std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_is_blank_ = true;  // Only spaces so far.
};

}  // namespace

std::string_view Source::At(size_t i) const {
  return i < tokens.size() ? std::string_view(tokens[i].text) : std::string_view();
}

bool Source::IsWord(size_t i) const {
  return i < tokens.size() && tokens[i].kind == Token::Kind::kWord;
}

size_t Source::Closing(size_t i) const {
  const std::string_view open = At(i);
  const std::string_view close = open == "(" ? ")" : open == "[" ? "]" : open == "{" ? "}" : ">";
  int depth = 0;
  for (size_t at = i; at < tokens.size(); ++at) {
    if (At(at) == open) ++depth;
    if (At(at) == close && --depth == 0) return at;
    if (close == ">" && (At(at) == ";" || At(at) == "{")) break;  // It was a comparison.
  }
  return tokens.size();
}

Source Parse(std::string path, std::string text) {
  Source source;
  source.path = std::move(path);
  source.text = std::move(text);
  Lexer(source).Run();
  return source;
}

std::map<std::string, Source> LoadTree(const std::string& root) {
  namespace fs = std::filesystem;
  std::map<std::string, Source> tree;
  for (const char* folder :
       {"engine", "net", "sim", "faults", "scenarios", "fuzz", "tests", "examples", ".ci"}) {
    const fs::path top = fs::path(root) / folder;
    if (!fs::exists(top)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(top)) {
      const std::string extension = entry.path().extension();
      if (!entry.is_regular_file() || (extension != ".h" && extension != ".cc")) continue;
      std::string path = fs::relative(entry.path(), root).generic_string();
      std::ifstream file(entry.path());
      std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      tree.emplace(path, Parse(path, std::move(text)));
    }
  }
  return tree;
}

std::string FolderOf(std::string_view path) {
  const size_t first = path.find('/');
  if (first == std::string_view::npos) return "";
  if (!path.starts_with("engine/")) return std::string(path.substr(0, first));
  const size_t second = path.find('/', first + 1);
  return std::string(path.substr(0, second));
}

}  // namespace weir::house

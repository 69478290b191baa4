// Orders that no seed controls. Heuristic: names are collected where a hash container is declared,
// in the file itself, in its own header, and (for members reached by . or ->) in the headers it
// includes; then a range-for over such a name, or its begin(), is a violation unless a comment says
// why nobody sees the order.
#include <algorithm>
#include <iterator>
#include <set>
#include <string>

#include "tests/house/rules.h"

namespace weir::house {
namespace {

constexpr std::string_view kHashContainers[] = {
    "flat_hash_map",      "flat_hash_set",      "node_hash_map",      "node_hash_set",
    "unordered_map",      "unordered_set",      "unordered_multimap", "unordered_multiset",
    "unordered_flat_map", "unordered_flat_set",
};
constexpr std::string_view kOrderedContainers[] = {
    "map",       "set",       "multimap",       "multiset",
    "btree_map", "btree_set", "btree_multimap", "btree_multiset"};

template <typename Range>
bool Contains(const Range& range, std::string_view what) {
  return std::find(std::begin(range), std::end(range), what) != std::end(range);
}

struct HashNames {
  std::set<std::string, std::less<>> types;      // Containers and aliases of them.
  std::set<std::string, std::less<>> variables;  // And functions that return one.
};

void Collect(const Source& source, HashNames& names) {
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    if (!source.IsWord(i) || !names.types.contains(source.At(i))) continue;
    size_t after = i + 1;
    if (source.At(after) == "<") after = source.Closing(after) + 1;
    // `using Table = absl::flat_hash_map<...>;`
    size_t head = i;
    while (head >= 2 && source.At(head - 1) == "::" && source.IsWord(head - 2)) head -= 2;
    if (head >= 3 && source.At(head - 1) == "=" && source.At(head - 3) == "using") {
      names.types.insert(std::string(source.At(head - 2)));
      continue;
    }
    while (source.At(after) == "&" || source.At(after) == "*" || source.At(after) == "const")
      ++after;
    if (source.IsWord(after) && source.At(after + 1) != "::") {
      names.variables.insert(std::string(source.At(after)));
    }
  }
}

HashNames NamesOf(const Source& source) {
  HashNames names;
  names.types.insert(std::begin(kHashContainers), std::end(kHashContainers));
  Collect(source, names);
  Collect(source, names);  // Again, for aliases declared after their first use in a class.
  return names;
}

bool Waived(const Source& source, int line) {
  for (int at = line; at >= line - 3 && at > 0; --at) {
    const auto comment = source.comments.find(at);
    if (comment == source.comments.end()) {
      if (at == line) continue;
      break;
    }
    static constexpr std::string_view kWaiver = "order unseen:";
    const size_t found = comment->second.find(kWaiver);
    if (found != std::string::npos &&
        comment->second.find_first_not_of(' ', found + kWaiver.size()) != std::string::npos) {
      return true;
    }
  }
  return false;
}

// The name that a range-for at token `i` runs over, as the index of its token, or 0: the last word
// of the expression, or the one before an empty pair of parentheses.
size_t RangeName(const Source& source, size_t i) {
  if (source.At(i) != "for" || source.At(i + 1) != "(") return 0;
  const size_t close = source.Closing(i + 1);
  size_t colon = 0;
  int depth = 0;
  for (size_t at = i + 1; at < close; ++at) {
    const std::string_view text = source.At(at);
    if (text == "(" || text == "[" || text == "{") ++depth;
    if (text == ")" || text == "]" || text == "}") --depth;
    if (depth == 1 && text == ";") colon = 0;  // A range-for may open with a statement.
    if (depth == 1 && text == ":" && colon == 0) colon = at;
  }
  if (colon == 0) return 0;
  size_t last = close - 1;
  if (source.At(last) == ")" && source.At(last - 1) == "(") last -= 2;
  return source.IsWord(last) ? last : 0;
}

}  // namespace

std::vector<Violation> CheckOrder(const Source& source, const std::map<std::string, Source>& tree) {
  std::vector<Violation> found;
  const std::string folder = FolderOf(source.path);
  if (!folder.starts_with("engine/") && folder != "net" && folder != "sim" && folder != "faults" &&
      folder != "scenarios") {
    return found;
  }

  HashNames own = NamesOf(source);
  HashNames reached;  // By . or -> only.
  for (const Include& include : source.includes) {
    const auto header = tree.find(include.path);
    if (header == tree.end()) continue;
    const std::string stem = source.path.substr(0, source.path.rfind('.'));
    HashNames names = NamesOf(header->second);
    HashNames& into = include.path == stem + ".h" ? own : reached;
    into.types.merge(names.types);
    into.variables.merge(names.variables);
  }
  own.types.merge(reached.types);
  Collect(source, own);  // Variables of types that a header named.

  const auto report = [&](size_t i, const std::string& what) {
    const int line = source.tokens[i].line;
    if (Waived(source, line)) return;
    found.push_back({source.path, line, "order",
                     what + "; sort, use btree_map, or say `// order unseen: reason`"});
  };
  const auto is_hash = [&](size_t i) {
    const bool by_member = i > 0 && (source.At(i - 1) == "." || source.At(i - 1) == "->");
    return own.variables.contains(source.At(i)) ||
           (by_member && reached.variables.contains(source.At(i)));
  };
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    const size_t range = RangeName(source, i);
    if (range != 0 && is_hash(range)) {
      report(i, "this loop runs over the hash table `" + std::string(source.At(range)) +
                    "` in an order that differs from run to run");
    }
    const bool begins = source.At(i) == "begin" || source.At(i) == "cbegin";
    if (begins && i >= 2 && source.At(i + 1) == "(" && is_hash(i - 2) &&
        (source.At(i - 1) == "." || source.At(i - 1) == "->")) {
      report(i, "the first element of the hash table `" + std::string(source.At(i - 2)) +
                    "` differs from run to run");
    }
    if (Contains(kOrderedContainers, source.At(i)) && source.At(i + 1) == "<") {
      const size_t close = source.Closing(i + 1);
      size_t end = i + 2;
      for (int depth = 0; end < close && (depth > 0 || source.At(end) != ","); ++end) {
        if (source.At(end) == "<" || source.At(end) == "(") ++depth;
        if (source.At(end) == ">" || source.At(end) == ")") --depth;
      }
      if (close < source.tokens.size() && source.At(end - 1) == "*") {
        report(i, "this `" + std::string(source.At(i)) +
                      "` is ordered by addresses, which differ from run to run");
      }
    }
  }
  return found;
}

}  // namespace weir::house

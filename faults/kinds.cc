#include "faults/kinds.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "engine/base/text.h"

namespace weir::faults {
namespace {

constexpr std::array<std::string_view, kFamilies> kFamilyNames = {"process", "network", "clock",
                                                                  "disk"};

}  // namespace

std::string_view NameOf(Family family) { return kFamilyNames[static_cast<size_t>(family)]; }

const Info* FindKind(std::string_view name) {
  const auto* const it =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Info& row) { return row.name == name; });
  return it == kKinds.end() ? nullptr : it;
}

std::string_view NearestKind(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Info& info : kKinds) names.push_back(info.name);
  return base::Nearest(name, names);
}

bool NamesKind(std::string_view list, Kind kind) {
  const std::vector<absl::string_view> words = absl::StrSplit(base::Abseil(list), ',');
  return std::any_of(words.begin(), words.end(), [kind](absl::string_view word) {
    return base::Std(word) == InfoOf(kind).name;
  });
}

absl::StatusOr<std::vector<Kind>> ParseKinds(std::string_view list) {
  std::set<Kind> kinds;
  if (list == "none") return std::vector<Kind>{};
  const std::vector<absl::string_view> words = absl::StrSplit(base::Abseil(list), ',');
  for (const absl::string_view word : words) {
    const std::string_view name = base::Std(word);
    bool known = false;
    for (const Info& info : kKinds) {
      if (name != "all" && name != info.name && name != NameOf(info.family)) continue;
      kinds.insert(info.kind);
      known = true;
    }
    if (known) continue;
    std::vector<std::string_view> names(kFamilyNames.begin(), kFamilyNames.end());
    for (const Info& info : kKinds) names.push_back(info.name);
    return absl::InvalidArgumentError(
        absl::StrFormat("faults \"%s\": there is no family or kind of this name; did you mean "
                        "\"%s\"? Allowed are all, none, or families "
                        "(process, network, clock, disk) and kinds with commas between",
                        word, base::Abseil(base::Nearest(name, names))));
  }
  return std::vector<Kind>(kinds.begin(), kinds.end());
}

}  // namespace weir::faults

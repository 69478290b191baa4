// Hashes are for ever: their values stand here.

#include "engine/base/hash.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "absl/strings/str_format.h"

namespace weir::base {
namespace {

std::string Hex(uint64_t value) { return absl::StrFormat("%016x", value); }

// Those of "" are published values of XXH3; all are on disks by now.
TEST(Hash, IsForEver) {
  EXPECT_EQ(Hex(Hash64("")), "2d06800538d394c2");
  EXPECT_EQ(Hex(Hash64("a")), "e6c632b61e964e1f");
  EXPECT_EQ(Hex(Hash64("weir")), "09831dc741817118");
  EXPECT_EQ(Hex(Hash64(std::string(100, 'x'))), "c90984ffdf50ce42");
  EXPECT_EQ(Hex(Hash64(std::string(1000, 'y'))), "6a7df51df515dbab");
  EXPECT_EQ(Hex(Hash64("", 42)), "b029411ff43d84d2");
  EXPECT_EQ(Hex(Hash64("weir", 42)), "3bac7df24e4d9d39");
  EXPECT_EQ(HashContent("").ToHex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(HashContent("weir").ToHex(), "58611f8d7be1fe2c3921234764190df9");
  EXPECT_EQ(HashContent(std::string(1000, 'y')).ToHex(), "fdadfb10e6ef9d296a7df51df515dbab");
}

TEST(Hash, ARollingHashIsForEver) {
  RollingHash hash;
  hash.Add(uint64_t{1});
  hash.Add(uint64_t{2});
  EXPECT_EQ(Hex(hash.value()), "48c9458018fdc24a");
  hash.Add("weir");
  EXPECT_EQ(Hex(hash.value()), "88525fab2bb80771");
}

TEST(Hash, ARollingHashSeesTheOrderAndEveryWord) {
  std::set<uint64_t> values;
  for (uint64_t a = 0; a < 40; ++a) {
    for (uint64_t b = 0; b < 40; ++b) {
      RollingHash hash;
      hash.Add(a);
      hash.Add(b);
      values.insert(hash.value());
    }
  }
  EXPECT_EQ(values.size(), 1600u);
}

TEST(Hash, HashesCompareAsTheirHexDoes) {
  const Hash128 small{1, 2};
  const Hash128 large{2, 1};
  EXPECT_LT(small, large);
  EXPECT_LT(small.ToHex(), large.ToHex());
  EXPECT_EQ(small.ToHex(), "00000000000000010000000000000002");
}

RC_GTEST_PROP(properties_Hash, ContentInPiecesIsTheSameContent,
              (const std::vector<std::string>& pieces)) {
  std::string whole;
  ContentHasher hasher;
  for (const std::string& piece : pieces) {
    whole += piece;
    hasher.Add(piece);
  }
  RC_ASSERT(hasher.Finish() == HashContent(whole));
}

}  // namespace
}  // namespace weir::base

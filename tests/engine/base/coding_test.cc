// Fixed and varint integers: what is put is what is got, and nothing else is taken.

#include "engine/base/coding.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace weir::base {
namespace {

std::string Varint(uint64_t value) {
  std::string out;
  PutVarint(out, value);
  return out;
}

TEST(Coding, BytesAreForEver) {
  std::string out;
  PutFixed(out, uint8_t{0x12});
  PutFixed(out, uint16_t{0x1234});
  PutFixed(out, uint32_t{0x12345678});
  PutFixed(out, uint64_t{0x123456789abcdef0});
  EXPECT_EQ(out, std::string("\x12\x34\x12\x78\x56\x34\x12\xf0\xde\xbc\x9a\x78\x56\x34\x12", 15));
  EXPECT_EQ(Varint(0), std::string("\0", 1));
  EXPECT_EQ(Varint(127), "\x7f");
  EXPECT_EQ(Varint(128), "\x80\x01");
  EXPECT_EQ(Varint(300), "\xac\x02");
  EXPECT_EQ(Varint(UINT64_MAX), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

TEST(Coding, AVarintThatDoesNotFitIsRefused) {
  for (const std::string& bad : {std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
                                 std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                                 std::string(20, '\x80'), std::string("\x80"), std::string()}) {
    std::string_view from = bad;
    uint64_t value = 0;
    EXPECT_FALSE(GetVarint(from, value)) << bad.size();
  }
}

TEST(Coding, BytesLongerThanWhatThereIsAreRefused) {
  std::string out;
  PutVarint(out, UINT64_MAX);
  out += "abc";
  std::string_view from = out;
  std::string_view bytes;
  EXPECT_FALSE(GetBytes(from, bytes));
}

RC_GTEST_PROP(properties_Coding, WhatIsPutIsGot,
              (uint64_t a, uint32_t b, uint16_t c, const std::string& text, uint64_t d)) {
  std::string out;
  PutVarint(out, a);
  PutFixed(out, b);
  PutBytes(out, text);
  PutFixed(out, c);
  PutVarint(out, d >> (a % 64));  // small ones, too
  std::string_view from = out;
  uint64_t got_a = 0;
  uint64_t got_d = 0;
  uint32_t got_b = 0;
  uint16_t got_c = 0;
  std::string_view got_text;
  RC_ASSERT(GetVarint(from, got_a) && GetFixed(from, got_b) && GetBytes(from, got_text) &&
            GetFixed(from, got_c) && GetVarint(from, got_d));
  RC_ASSERT(from.empty());
  RC_ASSERT(got_a == a && got_b == b && got_c == c && got_text == text && got_d == d >> (a % 64));
}

RC_GTEST_PROP(properties_Coding, WhatIsCutIsRefused, (uint64_t a, const std::string& text)) {
  std::string out;
  PutVarint(out, a);
  PutBytes(out, text);
  PutFixed(out, a);
  for (size_t cut = 0; cut < out.size(); ++cut) {
    std::string_view from = std::string_view(out).substr(0, cut);
    uint64_t number = 0;
    uint64_t fixed = 0;
    std::string_view bytes;
    RC_ASSERT(!(GetVarint(from, number) && GetBytes(from, bytes) && GetFixed(from, fixed)));
  }
}

RC_GTEST_PROP(properties_Coding, AnyBytesAreReadOrRefused, (const std::string& bytes)) {
  std::string_view from = bytes;
  uint64_t number = 0;
  std::string_view view;
  while (GetVarint(from, number) && GetBytes(from, view)) {
    RC_ASSERT(view.data() >= bytes.data() &&
              view.data() + view.size() <= bytes.data() + bytes.size());
  }
}

}  // namespace
}  // namespace weir::base

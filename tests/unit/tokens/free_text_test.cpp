#include "tokens/free_text.hpp"

#include <gtest/gtest.h>

namespace avseal::tokens {
namespace {

TEST(FreeTextTest, IdentitiesAreSeen) {
  for (const auto* text : {"phone of alice@a.example", "sip:alice", "see SIPS:bob", "Tel:1234", "called +4989",
                           "4989123456", "number 498912345 of hers"})
    EXPECT_TRUE(names_identity(text)) << text;
}

TEST(FreeTextTest, ReasonsAreNot) {
  for (const auto* text : {"", "copy destroyed", "ticket INC0012345", "2026-11-26 14:30", "CVE-2026-12345", "12345678",
                           "a + b", "his second phone", "firmware 1.2.3.4", "the hotel: room 5"})
    EXPECT_FALSE(names_identity(text)) << text;
}

}  // namespace
}  // namespace avseal::tokens

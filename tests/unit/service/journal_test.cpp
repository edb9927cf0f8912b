#include "service/journal.hpp"

#include <gmock/gmock.h>

#include "service/log.hpp"

namespace avseal::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(JournalFields, AreTheMembersOfALine) {
  EXPECT_THAT(journal_fields("event=refused request_id=a-1 detail=\"a b=c\" status=403"),
              ElementsAre("AVSEAL_EVENT=refused", "AVSEAL_REQUEST_ID=a-1", "AVSEAL_DETAIL=a b=c", "AVSEAL_STATUS=403"));
  EXPECT_THAT(journal_fields("HSM worker a lost: event=x y"), ElementsAre("AVSEAL_EVENT=x"));
  EXPECT_THAT(journal_fields("a= b=\"\""), ElementsAre("AVSEAL_A=", "AVSEAL_B="));
  EXPECT_THAT(journal_fields("a=\"open"), ElementsAre("AVSEAL_A=open"));
}

TEST(JournalFields, NothingElseMakesAField) {
  for (const std::string line : {"", " ", "no members", "=x", "Upper=x", "a1=x", "a-b=x", "a", "\"a b\""}) {
    EXPECT_THAT(journal_fields(line), IsEmpty()) << line;
  }
  EXPECT_THAT(journal_fields(std::string(33, 'a') + "=x"), IsEmpty());
  std::string many;
  for (int i = 0; i < 100; ++i) many += "a=b ";
  EXPECT_THAT(journal_fields(many), SizeIs(32));
}

TEST(JournalFields, AValueCannotForgeAnother) {
  EXPECT_THAT(journal_fields("detail=" + log_value("x\" reason=\"forged\nreason=forged")),
              ElementsAre("AVSEAL_DETAIL=x' reason='forged'reason=forged"));
}

}  // namespace
}  // namespace avseal::service

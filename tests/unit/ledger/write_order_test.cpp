// A small history in which each call of the write order is made. Each fails in turn, by a power cut or alone: what was
// released is there, no two checkpoints disagree, and the log goes on.
#include "cut_node.hpp"

namespace avseal::ledger::test {
namespace {

using ::testing::HasSubstr;

struct Step {
  const char* name;
  std::function<Result<void>(CutNode&)> run;
  std::set<std::string> best_effort = {};  // calls whose failure changes nothing
  std::uint64_t full_at = UINT64_MAX;      // the disk is full at this call of the step: "ledger-full"
};

Step append(std::uint64_t leaves, std::uint64_t full_at = UINT64_MAX) {
  return {"append", [leaves](CutNode& node) { return node.append(leaves, 20); }, {}, full_at};
}
Step publish(std::uint64_t full_at = UINT64_MAX) {
  return {"publish", [](CutNode& node) { return node.publish(); }, {"unlink", "rmdir"}, full_at};
}
Step turn(std::uint64_t full_at = UINT64_MAX) {
  const bool full = full_at != UINT64_MAX;  // what was begun is cleaned away then
  return {"turn", [](CutNode& node) { return node.turn(); },
          full ? std::set<std::string>{"unlink"} : std::set<std::string>{}, full_at};
}
Step cosign() {
  return {"cosign", [](CutNode& node) { return node.cosign(); }};
}
Step seal() {
  const auto run = [](CutNode& node) -> Result<void> {
    node.seal();
    return {};
  };
  return {"seal", run, {"pwrite"}};
}
Step start(const char* name = "start", std::set<std::string> best_effort = {}) {
  const auto run = [](CutNode& node) {
    node.stop();
    return node.start();
  };
  return {name, run, std::move(best_effort)};
}

const std::vector<Step>& history() {
  static const std::vector<Step> steps = {
      start(),
      append(3),
      seal(),
      publish(),
      cosign(),
      append(300),   // over the seal, and more than a segment has
      publish(),     // a full tile: its partial forms go
      append(5, 1),  // the next segment: no room for the seal of this one,
      append(5, 2),  // for the next
      append(5),
      publish(),  // the first segment goes
      append(3, 1),
      append(3),
      publish(2),  // remembered, not written
      start("finish a publication", {"unlink", "rmdir"}),
      append(2),
      seal(),
      start(),
      publish(),
      append(2),
      publish(),
      turn(2),  // not closed,
      turn(),   // then it is
      append(2),
      publish(),
      turn(4),  // half of it closed
      start("finish closing", {"chmod"}),
      append(2),
      publish(),
  };
  return steps;
}

Result<void> run(const Step& step, CutNode& node) {
  node.disk().fill_at(step.full_at);
  auto answer = step.run(node);
  node.disk().fill_at(UINT64_MAX);
  return answer;
}

void expect_history_goes_on(CutNode& node) {
  const auto started = node.start();
  ASSERT_TRUE(started) << started.error().detail;
  node.expect_good();
}

TEST(LedgerWriteOrderTest, PowerCutAtEachCall) {
  bool reached = true;
  for (std::uint64_t call = 1; reached; ++call) {
    SCOPED_TRACE(fmt::format("call {}", call));
    CutNode node(call);
    node.disk().cut_at(call);
    for (const auto& step : history()) {
      (void)run(step, node);
      if (node.disk().is_cut()) break;
    }
    reached = node.disk().is_cut();
    node.stop();
    node.disk().restore();
    expect_history_goes_on(node);
    ASSERT_FALSE(HasFailure());
  }
}

// What a step says when a call of it failed: the disk is broken, until a restart. But cleaning is for later, the seal
// for nobody's good but the next start's, and the store is asked again.
void expect_answer(const Step& step, const std::string& call, const Result<void>& answer) {
  SCOPED_TRACE(fmt::format("{} of step {}", call, step.name));
  if (step.best_effort.contains(call)) {
    EXPECT_TRUE(answer || answer.error().reason == "ledger-full") << answer.error().detail;
    return;
  }
  ASSERT_FALSE(answer);
  const auto& error = answer.error();
  EXPECT_EQ(error.reason, call == "replace" ? "store-unavailable" : "ledger-unavailable");
  EXPECT_EQ(Checkpointer::is_for_good(error), call != "replace");
  if (call == "replace") return;
  EXPECT_THAT(error.detail, HasSubstr(": Input/output error; check the disk"));
  const bool syncs = call == "fdatasync" || call == "sync_directory";
  EXPECT_THAT(error.detail, HasSubstr(syncs ? "cannot sync" : "cannot"));
  if (call == "fdatasync" && step.name == std::string_view("append")) {
    EXPECT_THAT(error.detail, HasSubstr(".leaves: "));
  }
}

// The history with a call that fails, to its end or until that call, then a power cut. Gives the step and the call;
// empty: there are not so many.
std::string live_with_failure(CutNode& node, std::uint64_t call, bool cut) {
  std::string failed;
  node.disk().fail_at(call);
  for (const auto& step : history()) {
    const auto answer = run(step, node);
    const auto fails = node.disk().take_failed();
    if (!fails.empty()) {
      expect_answer(step, fails, answer);
      failed = fmt::format("{} {}", step.name, fails);
      if (cut) break;
    } else if (failed.empty()) {
      const std::string expected = step.full_at == UINT64_MAX ? "" : "ledger-full";
      EXPECT_EQ(answer ? "" : answer.error().reason, expected) << step.name;
    }
    if (answer || !Checkpointer::is_for_good(answer.error())) continue;
    EXPECT_FALSE(fails.empty()) << step.name << ": " << answer.error().detail;
    node.stop();
    const auto started = node.start();
    EXPECT_TRUE(started) << started.error().detail;
    if (!started) break;
  }
  node.stop();
  return failed;
}

TEST(LedgerWriteOrderTest, FailureOfEachCall) {
  std::set<std::string> seen;
  bool reached = true;
  for (std::uint64_t call = 1; reached; ++call) {
    for (const bool cut : {false, true}) {
      SCOPED_TRACE(fmt::format("call {}, {}", call, cut ? "and a cut at once" : "and a cut at the end"));
      CutNode node(call);
      const auto failed = live_with_failure(node, call, cut);
      reached = !failed.empty();
      seen.insert(failed);
      ASSERT_FALSE(HasFailure());
      node.disk().restore();
      expect_history_goes_on(node);
      ASSERT_FALSE(HasFailure());
    }
  }
  for (const std::string expected : {"start create",
                                     "start pwrite",
                                     "start fdatasync",
                                     "start rename",
                                     "start sync_directory",
                                     "start open",
                                     "start ftruncate",
                                     "append preallocate",
                                     "append pwrite",
                                     "append fdatasync",
                                     "append create",
                                     "append rename",
                                     "append sync_directory",
                                     "append ftruncate",
                                     "seal pwrite",
                                     "publish create",
                                     "publish pwrite",
                                     "publish fdatasync",
                                     "publish mkdir",
                                     "publish rename",
                                     "publish unlink",
                                     "publish rmdir",
                                     "publish replace",
                                     "cosign fdatasync",
                                     "cosign sync_directory",
                                     "turn mkdir",
                                     "publish sync_directory",
                                     "turn sync_directory",
                                     "turn rename",
                                     "turn fdatasync",
                                     "turn unlink",
                                     "finish a publication fdatasync",
                                     "finish closing unlink",
                                     "finish closing chmod"}) {
    EXPECT_TRUE(seen.contains(expected)) << expected;
  }
}

}  // namespace
}  // namespace avseal::ledger::test

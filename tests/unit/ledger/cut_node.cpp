#include "cut_node.hpp"

namespace avseal::ledger::test {

Result<void> CutHeads::replace(const std::optional<Head>& expected, const Head& next) {
  if (disk_.step("replace")) return heads_.replace(expected, next);
  if (disk_.pick(2) == 0) (void)heads_.replace(expected, next);
  return avseal::errors::make(Category::unavailable, "store-unavailable", "it does not say what it did");
}

Result<void> CutNode::start() {
  periods_.emplace(config(), [this] { return now(); });
  auto log = periods_->open();
  if (!log) return log.error();
  use(std::move(*log));
  if (!disk_->is_cut()) compare();
  return {};
}

void CutNode::stop() {
  checkpointer_.reset();
  log_.reset();
}

void CutNode::compare() {
  for (auto& [origin, log_of] : logs_) {
    const auto leaves = read_leaves(directory_of(origin)).value();
    ASSERT_GE(leaves.size(), log_of.released.size()) << origin;
    ASSERT_TRUE(std::equal(log_of.released.begin(), log_of.released.end(), leaves.begin())) << origin;
    ASSERT_GE(leaves.size(), log_of.told) << "somebody has a receipt of " << origin;
    log_of.released = leaves;  // what came through counts from now on
  }
  ASSERT_GE(checkpointer_->size(), current().told);
}

Result<void> CutNode::append(std::uint64_t leaves, std::size_t filler) {
  builder_.start(log_->next_index());
  const auto text = fmt::format(R"(,"text":"{}","time":)", std::string(filler, 'x'));
  for (std::uint64_t i = 0; i < leaves; ++i) builder_.add({R"({"index":)", text}, 1);
  const auto batch = builder_.finish();
  AVSEAL_CHECK(log_->append(batch, leaves));
  for (const auto leaf : read_batch(batch).leaves) current().released.emplace_back(as_text(leaf));
  return {};
}

Result<void> CutNode::publish() {
  AVSEAL_CHECK(checkpointer_->publish(log_->next_index(), signer_));
  current().told = checkpointer_->size();
  return {};
}

Result<void> CutNode::cosign() {
  const tlog::NoteSignature witness{"witness.example", 7, Bytes(72, 1)};
  return checkpointer_->published() ? checkpointer_->add({&witness, 1}) : Result<void>();
}

Result<void> CutNode::turn() {
  if (log_) {
    if (log_->next_index() == 0) return {};
    while (checkpointer_->size() < log_->next_index()) AVSEAL_CHECK(publish());
    ++year_;
    stop();
  }
  AVSEAL_TRY(auto next, periods_->turn());
  use(std::move(next));
  return {};
}

Result<void> CutNode::act() {
  if (!log_) return turn();
  switch (disk_->pick(8)) {
    case 0:
      return disk_->pick(3) != 0 ? Result<void>() : turn();
    case 1:
      if (disk_->pick(2) == 0) {
        disk_->fill_at(1 + disk_->pick(40));
      } else {
        disk_->fail_at(1 + disk_->pick(80));
      }
      return {};
    case 2:
      seal();
      return {};
    case 3:
    case 4:
    case 5:
      return append(1 + disk_->pick(disk_->pick(4) == 0 ? 300 : 10), disk_->pick(40));
    default:
      return publish();
  }
}

void CutNode::expect_good() {
  while (checkpointer_->size() < log_->next_index()) ASSERT_TRUE(checkpointer_->publish(log_->next_index(), signer_));
  for (const auto& [origin, log_of] : logs_) {
    if (log_of.released.empty()) continue;
    const auto leaves = judge(directory_of(origin), signer_.key());
    EXPECT_EQ(leaves, log_of.released) << origin;
    std::vector<std::string> texts;
    std::copy_if(signer_.texts.begin(), signer_.texts.end(), std::back_inserter(texts),
                 [prefix = origin + "\n"](const std::string& text) { return text.starts_with(prefix); });
    expect_one_history(texts, leaves);
  }
}

Config CutNode::config() {
  Config config;
  config.directory = disk_->directory();
  config.origin = "operator.example/node-1";
  config.reserve_bytes = 1;
  config.segment_bytes = 6000;
  config.heads = &heads_;
  config.keys = {signer_.key()};
  config.files = disk_;
  return config;
}

std::chrono::system_clock::time_point CutNode::now() const {
  return std::chrono::sys_days(std::chrono::year(year_) / std::chrono::January / 1);
}

std::filesystem::path CutNode::directory_of(const std::string& origin) const {
  if (origin == periods_->origin()) return disk_->directory();
  return disk_->directory() / "closed" / origin.substr(origin.size() - 4);
}

void CutNode::use(Periods::Log log) {
  log_ = std::move(log.segments);
  checkpointer_.emplace(std::move(*log.checkpointer));
  current();
}

}  // namespace avseal::ledger::test

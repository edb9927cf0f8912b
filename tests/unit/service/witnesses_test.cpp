#include "service/witnesses.hpp"

#include <condition_variable>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>
#include <set>

#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include "../ledger/publishing_support.hpp"
#include "../tlog/keys.hpp"

namespace avseal::service::test {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view slow_name = "slow.witness.example";

// What this program looks up. One name has no answer until the test gives it; others of the domain do not exist.
class Lookups {
 public:
  // Whether the name is looked up, as long as it takes, but for a test that would hang.
  bool await(const std::string& name) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return begun_.contains(name); });
  }
  void answer() {
    const std::lock_guard lock(mutex_);
    answered_ = true;
    changed_.notify_all();
  }
  int look_up(const std::string& name) {
    std::unique_lock lock(mutex_);
    begun_.insert(name);
    changed_.notify_all();
    if (name == slow_name) changed_.wait(lock, [this] { return answered_; });
    return EAI_NONAME;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> begun_;
  bool answered_ = false;
};
Lookups lookups;

class WitnessesTest : public ledger::test::PublishingFixture {};

TEST_F(WitnessesTest, NameThatIsLookedUpForLongHoldsUpNeitherAnotherWitnessNorTheEnd) {
  const auto ledger = open();
  boost::asio::thread_pool background{1};
  {
    OwnLeaves leaves(*ledger, background.get_executor(), metrics);
    ledger_http::Cosigned cosigned;
    const std::filesystem::path anchors = AVSEAL_SOURCE_DIR "/tests/fuzz/corpus/certificate/leaf.pem";  // any
    WitnessesConfig config;
    for (const auto& name : {std::string(slow_name), std::string("other.witness.example")}) {
      config.witnesses.push_back({"https://" + name, tlog::Cosigner(name).key(), anchors});
    }
    Witnesses witnesses(config, *ledger, cosigned, log(), leaves, metrics);
    EXPECT_TRUE(lookups.await(std::string(slow_name)));
    EXPECT_TRUE(lookups.await("other.witness.example"));
    witnesses.stop();
    leaves.finish();
    ledger->close();
    lookups.answer();  // the test ends only because it was not waited for before
  }
}

}  // namespace
}  // namespace avseal::service::test

// In the place of the C library's.
int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  const std::string name = node == nullptr ? "" : node;
  if (name.ends_with(".witness.example")) return avseal::service::test::lookups.look_up(name);
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"))(node, service, hints, found);
}

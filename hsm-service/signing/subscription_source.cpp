#include "signing/subscription_source.hpp"

#include <algorithm>
#include <set>

#include "tokens/json.hpp"

namespace avseal::signing {
namespace {

namespace json = boost::json;

constexpr std::size_t max_avatars = 256;
constexpr std::size_t max_applications = 64;

Error invalid(std::string_view reason, std::string detail, std::string param) {
  return errors::make(Category::invalid, reason, std::move(detail), std::move(param));
}

Result<store::SubscribedAvatar> read_avatar(const json::value& value, const std::string& pointer) {
  AVSEAL_TRY(auto object, tokens::ObjectReader::open(value, pointer));
  AVSEAL_TRY(const auto id, object.string("id"));
  AVSEAL_TRY(const auto applications, object.strings("applications"));
  AVSEAL_CHECK(object.finish());
  store::SubscribedAvatar avatar;
  AVSEAL_TRY(avatar.id, tokens::check_avatar_id(id));
  if (applications.empty() || applications.size() > max_applications) {
    return invalid("application-count", "expected 1 to 64 applications", object.pointer_to("applications"));
  }
  for (const auto& text : applications) {
    AVSEAL_TRY(auto application, tokens::check_application_id(text));
    avatar.applications.push_back(std::move(application));
  }
  return avatar;
}

}  // namespace

bool allows(const SubscriptionPtr& subscription, std::string_view avatar_id, std::string_view application) {
  if (!subscription) return false;
  return std::any_of(subscription->avatars.begin(), subscription->avatars.end(), [&](const auto& avatar) {
    return avatar.id == avatar_id &&
           std::find(avatar.applications.begin(), avatar.applications.end(), application) != avatar.applications.end();
  });
}

Result<store::Subscription> parse_subscription(std::string_view body, const tokens::Impu& impu) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto named, root.optional_string("impu"));
  AVSEAL_TRY(const auto* avatars, root.array("avatars"));
  AVSEAL_CHECK(root.finish());
  if (named) {
    AVSEAL_TRY(const auto other, tokens::Impu::parse(*named));
    if (other != impu) return invalid("impu-mismatch", "expected " + impu.canonical(), root.pointer_to("impu"));
  }
  if (avatars->size() > max_avatars) {
    return invalid("avatar-count", "expected at most 256 avatars", root.pointer_to("avatars"));
  }
  store::Subscription subscription{impu, {}, 0};
  std::set<std::string> ids;
  for (std::size_t i = 0; i < avatars->size(); ++i) {
    const std::string pointer = root.pointer_to("avatars") + "/" + std::to_string(i);
    AVSEAL_TRY(auto avatar, read_avatar((*avatars)[i], pointer));
    if (!ids.insert(avatar.id).second)
      return invalid("avatar-duplicate", "expected each Avatar-id once", pointer + "/id");
    subscription.avatars.push_back(std::move(avatar));
  }
  return subscription;
}

json::value format_subscription(const store::Subscription& subscription, std::string_view application) {
  json::array avatars;
  for (const auto& avatar : subscription.avatars) {
    const auto& names = avatar.applications;
    if (!application.empty() && std::find(names.begin(), names.end(), application) == names.end()) continue;
    avatars.push_back(json::object{{"applications", json::array(names.begin(), names.end())}, {"id", avatar.id}});
  }
  return json::object{{"avatars", std::move(avatars)}, {"impu", subscription.impu.canonical()}};
}

}  // namespace avseal::signing

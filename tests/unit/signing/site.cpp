#include "site.hpp"

#include <stdexcept>

#include "tokens/digest.hpp"

namespace avseal::test {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

tokens::Certificate client_certificate(const Authority& authority, const std::string& uri) {
  Subject subject{uri,
                  {"URI:" + uri},
                  {"keyUsage=critical,digitalSignature", "extendedKeyUsage=clientAuth"},
                  test_now - 3600,
                  test_now + 3600};
  return authority.issue(subject, make_key());
}

boost::asio::awaitable<void> hear(std::vector<Error>* refusals, Error error) {
  refusals->push_back(std::move(error));
  co_return;
}

asio::awaitable<Result<http::ClientResponse>> serve(const std::map<std::string, std::string>* certificates,
                                                    int* fetches, std::string url) {
  ++*fetches;
  const auto found = certificates->find(url);
  if (found == certificates->end()) co_return errors::make(Category::unavailable, "fetch-failed", "nothing there");
  http::ClientResponse answer;
  answer.status = 200;
  answer.body = found->second;
  co_return answer;
}

}  // namespace

asio::awaitable<Result<Bytes>> FakeKeyring::sign(ledger::Slot& slot, const keyring::SigningKey& key, ByteView input,
                                                 keyring::Deadline deadline, keyring::Priority priority) {
  static_cast<void>(slot);
  static_cast<void>(deadline);
  static_cast<void>(priority);
  if (before) std::exchange(before, nullptr)();
  if (failure) co_return *failure;
  if (key.kind != keyring::KeyKind::avatar_id) co_return errors::make(Category::internal, "hsm-refused", "kind");
  ++signatures;
  co_return sign_raw(key_, input);
}

asio::awaitable<Result<ledger::CheckpointSignature>> FakeKeyring::sign_checkpoint(
    const ledger::CheckpointPermit& permit, const keyring::SigningKey& key, std::string_view text,
    keyring::Deadline deadline) {
  static_cast<void>(permit);
  static_cast<void>(key);
  static_cast<void>(text);
  static_cast<void>(deadline);
  co_return errors::make(Category::internal, "hsm-refused", "not in these tests");
}

asio::awaitable<Result<Bytes>> FakeKeyring::wrap(const Secret& data_key, ByteView aad, keyring::Deadline deadline) {
  static_cast<void>(data_key);
  static_cast<void>(aad);
  static_cast<void>(deadline);
  co_return errors::make(Category::internal, "hsm-refused", "not in these tests");
}

asio::awaitable<Result<Secret>> FakeKeyring::unwrap(ByteView wrapped, ByteView aad, keyring::Deadline deadline) {
  static_cast<void>(wrapped);
  static_cast<void>(aad);
  static_cast<void>(deadline);
  co_return errors::make(Category::internal, "hsm-refused", "not in these tests");
}

asio::awaitable<std::vector<keyring::KeyStatus>> FakeKeyring::probe() {
  co_return std::vector<keyring::KeyStatus>{};
}

store::Async<std::optional<store::Subscription>> MemorySubscriptions::find(tokens::Impu impu) {
  ++reads;
  if (failure) co_return *failure;
  const auto row = rows.find(impu.canonical());
  if (row == rows.end()) co_return std::optional<store::Subscription>{};
  co_return std::optional<store::Subscription>(row->second);
}

store::Async<std::int64_t> MemorySubscriptions::put(store::Subscription subscription) {
  if (failure) co_return *failure;
  const std::string name = subscription.impu.canonical();
  const auto row = rows.find(name);
  const std::int64_t version = row == rows.end() ? 1 : row->second.version + 1;
  subscription.version = version;
  rows.insert_or_assign(name, std::move(subscription));
  co_return version;
}

store::Async<bool> MemorySubscriptions::erase(tokens::Impu impu) {
  if (failure) co_return *failure;
  co_return rows.erase(impu.canonical()) > 0;
}

store::Async<void> MemoryCalls::put(store::Call call) {
  if (failure) co_return *failure;
  const std::string id = call.origid;
  rows.insert_or_assign(id, std::move(call));
  co_return Result<void>{};
}

store::Async<std::optional<store::Call>> MemoryCalls::find(std::string id) {
  const auto row = rows.find(id);
  if (row == rows.end()) co_return std::optional<store::Call>{};
  co_return std::optional<store::Call>(row->second);
}

asio::awaitable<Result<Bytes>> MemorySubjectKeys::key_for(std::string subject) {
  auto& key = keys[subject];
  if (key.empty()) key = tokens::random_bytes(32);
  co_return key;
}

asio::awaitable<Result<std::optional<Bytes>>> MemorySubjectKeys::find(std::string subject) {
  const auto known = keys.find(subject);
  co_return known == keys.end() ? std::optional<Bytes>() : std::optional(known->second);
}

asio::awaitable<Result<bool>> MemorySubjectKeys::erase(std::string subject) {
  co_return keys.erase(subject) > 0;
}

Site::Site(http::MsDialect dialect, tokens::Attest max_attest)
    : stir(Authority::create("stir", now)),
      tls(Authority::create("tls", now)),
      key(make_key()),
      certificate(stir.issue(signer_subject(now), key)),
      ims_as(client_certificate(tls, "urn:avseal:ims-as")),
      operator_(client_certificate(tls, "urn:avseal:operator")),
      clients_(make_clients(dialect, max_attest)),
      router_(clients_,
              [this](const http::Request&, const http::Route*, const Error& error) { return hear(&refusals, error); }) {
  config.public_url = "https://sign.a.example";
  config.trust.anchors = dir.write("stir.pem", stir.certificate.pem());
  config.fetcher.hosts = {"certs.b.example"};
  keyring::KeyConfig avatar_key;
  avatar_key.name = "avatar-id";
  avatar_key.kind = keyring::KeyKind::avatar_id;
  avatar_key.certificate = dir.write("avatar-id.pem", certificate.pem());
  avatar_key.tokens = {"hsm-a"};
  keys = keyring::Keys::load({avatar_key}, now).value();
  keyring = std::make_unique<FakeKeyring>(keys, key);
  ledger::Config ledger_config;
  ledger_config.directory = dir.path() / "ledger";
  ledger_config.origin = "a.example/node-1";
  ledger_config.reserve_bytes = 0;
  ledger = ledger::Ledger::open(ledger_config, clock(), metrics).value();
  ledger->use_subject_keys(subject_keys);
  store = store::Store::open(dir.path() / "store.sqlite", Secret::random(32), clock(), metrics).value();
  shared = signing::Shared::create(config, clock()).value();
  shared.verification.fetcher = std::make_shared<signing::CertificateFetcher>(
      config.fetcher, clock(),
      [this](const http::ClientConfig&, std::string url) { return serve(&certificates_at, &fetches, std::move(url)); });
  role = std::make_unique<signing::Role>(
      config, shared,
      signing::Dependencies{*keyring, *ledger, subscriptions, calls, store->idempotency_keys(), clock()}, metrics);
  role->add_routes(router_);
}

Site::~Site() {
  if (ledger) ledger->close();
}

Clock Site::clock() {
  return [this] { return std::chrono::system_clock::time_point(std::chrono::seconds(now)); };
}

std::shared_ptr<const http::ClientTable> Site::make_clients(http::MsDialect dialect, tokens::Attest max_attest) const {
  http::ClientEntry ims;
  ims.client.id = "ims-a";
  ims.client.role = http::ClientRole::ims_as;
  ims.client.domains = {"a.example"};
  ims.client.numbers = {{"17035550000", "17035550099"}};
  ims.client.max_attest = max_attest;
  ims.client.dialect = dialect;
  ims.san_uri = "urn:avseal:ims-as";
  http::ClientEntry op;
  op.client.id = "op";
  op.client.role = http::ClientRole::operator_;
  op.sha256_hex = operator_.sha256_hex();
  return http::ClientTable::create({ims, op}).value();
}

void Site::replace_ims_as() {
  ims_as = client_certificate(tls, "urn:avseal:ims-as");
}

http::Response Site::call(http::Method method, const std::string& path, const std::string& body,
                          const tokens::Certificate* client, http::Headers extra) {
  http::Request request;
  request.method = method;
  const auto question = path.find('?');
  request.path = path.substr(0, question);
  if (question != std::string::npos) {
    const std::string query = path.substr(question + 1);
    const auto equal = query.find('=');
    request.query[query.substr(0, equal)] = query.substr(equal + 1);
  }
  request.headers = std::move(extra);
  const bool typed = request.header("content-type").has_value();
  if (!body.empty() && !typed) request.headers.emplace_back("content-type", "application/json");
  request.headers.emplace_back("content-length", std::to_string(body.size()));
  request.body = body;
  if (client != nullptr) request.peer = *client;
  request.request_id = "request-1";
  request.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto route = router_.match(request);
  if (!route) return run(context, router_.refuse(request.route, request, route.error()));
  return run(context, router_.run(**route, request));
}

http::Response Site::post(const std::string& path, const json::value& body, http::Headers extra) {
  return call(http::Method::post, path, json::serialize(body), &ims_as, std::move(extra));
}

std::string Site::sign(const json::value& request) {
  const auto response = post("/stir/v1/signing", request);
  if (response.status != 200) throw std::runtime_error(response.body);
  const auto body = parse(response);
  const auto& members = body.at("signingResponse").as_object();
  return std::string(members.begin()->value().as_string());
}

tokens::Passport Site::passport() const {
  tokens::Passport out;
  out.ppt = "avatar";
  out.x5u = signing::certificate_url(config, certificate);
  out.orig = tokens::Identity::from_uri("sip:alice@a.example").value();
  out.dest = {tokens::Identity::from_uri("sip:bob@b.example").value()};
  out.iat = now;
  out.attest = tokens::Attest::a;
  out.origid = origid;
  const auto ue = tokens::Fingerprint::from_sdp(fingerprint_a).value();
  out.mky = {ue};
  out.avatar = tokens::AvatarClaim{"xr-meeting", "urn:uuid:5d0a6c1e-7b3f-4d5a-9a51-5a6c2f1f0b11", ue.to_x5t()};
  return out;
}

std::string Site::assemble(const tokens::Passport& passport, const Key& signer) {
  const auto input = tokens::build_passport(passport, tokens::Algorithm::es256).value();
  tokens::IdentityHeader header{tokens::jws_assemble(input, sign_raw(signer, as_bytes(input))), passport.x5u, "ES256",
                                passport.ppt};
  return tokens::format_identity_header(header);
}

void Site::subscribe(const std::string& impu, const std::string& avatar, const std::string& application) {
  const auto parsed = tokens::Impu::parse(impu).value();
  subscriptions.rows.insert_or_assign(parsed.canonical(),
                                      store::Subscription{parsed, {store::SubscribedAvatar{avatar, {application}}}, 1});
}

std::vector<json::object> Site::leaves() {
  ledger->close();
  std::vector<json::object> out;
  const auto texts = ledger::read_leaves(dir.path() / "ledger").value();
  for (const auto& text : texts) {
    auto leaf = json::parse(text).as_object();
    if (!leaf.at("event").as_string().starts_with("ledger.")) out.push_back(std::move(leaf));
  }
  return out;
}

json::object avatar_request() {
  return {{"signingRequest",
           {{"attest", "A"},
            {"avatar", {{"id", "urn:uuid:5d0a6c1e-7b3f-4d5a-9a51-5a6c2f1f0b11"}, {"app", "xr-meeting"}}},
            {"fingerprints", json::array{fingerprint_a}},
            {"ueFingerprint", fingerprint_a},
            {"dest", {{"uri", json::array{"sip:bob@b.example"}}}},
            {"iat", test_now},
            {"orig", {{"uri", "sip:alice@a.example"}}},
            {"origid", origid}}}};
}

json::object shaken_request() {
  return {{"signingRequest",
           {{"attest", "A"},
            {"dest", {{"tn", json::array{"15715550000"}}}},
            {"iat", test_now},
            {"orig", {{"tn", "17035550001"}}},
            {"origid", origid}}}};
}

json::object parse(const http::Response& response) {
  return json::parse(response.body).as_object();
}

}  // namespace avseal::test

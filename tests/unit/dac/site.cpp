#include "site.hpp"

#include "tokens/jws.hpp"

namespace avseal::test {

DacSite::DacSite()
    : node({{"avatar-metadata", keyring::KeyKind::avatar_metadata, metadata_key,
             metadata_ca.leaf("dac", metadata_key, "DNS:dac.a.example")}},
           clients()) {
  config.instance_id = dac_id;
  config.directory = node.dir.path() / "content";
  std::filesystem::create_directory(config.directory);
  config.issuers = {{issuer_id, {public_of(issuer_key)}}};
  restart();
}

void DacSite::restart() {
  node.forget_routes();
  role = std::make_unique<dac::Role>(
      config, dac::Dependencies{*node.keyring, *node.ledger, node.store->avatars(), node.clock()}, node.metrics);
  role->add_routes(node.router);
}

std::vector<http::ClientEntry> DacSite::clients() const {
  std::vector<http::ClientEntry> out(4);
  out[0].client.id = "feeder";
  out[0].client.role = http::ClientRole::feeder;
  out[0].client.owner_domains = {"a.example"};
  out[0].san_uri = "urn:avseal:feeder";
  out[1].client.id = "feeder-b";
  out[1].client.role = http::ClientRole::feeder;
  out[1].client.owner_domains = {"b.example"};
  out[1].san_uri = "urn:avseal:feeder-b";
  out[2].client.id = "xr-as";
  out[2].client.role = http::ClientRole::xr_as;
  out[2].client.nf_instance_id = xr_as_nf;
  out[2].san_uri = std::string("urn:uuid:") + xr_as_nf;
  out[3].client.id = "impostor";  // an XR AS by the table, whose certificate does not name its NF instance
  out[3].client.role = http::ClientRole::xr_as;
  out[3].client.nf_instance_id = xr_as_nf;
  out[3].san_uri = "urn:avseal:impostor";
  return out;
}

tokens::AccessTokenClaims DacSite::claims() {
  tokens::AccessTokenClaims out;
  out.aud = {dac_id};
  out.app = "xr-meeting";
  out.dac = dac_id;
  out.avatar_id = avatar_id;
  out.ops = {"read"};
  out.version = 1;
  out.client_id = "xr-as";
  out.cnf_x5t = xr_as.fingerprint().to_x5t();
  out.iat = node.now;
  out.exp = node.now + 300;
  out.iss = issuer_id;
  out.jti = tokens::random_uuid();
  out.scope = "ndac-avatar";
  out.sub = xr_as_nf;
  return out;
}

std::string DacSite::token(const tokens::AccessTokenClaims& claims) {
  const auto input = tokens::build_access_token(claims, public_of(issuer_key)).value();
  return tokens::jws_assemble(input, sign_raw(issuer_key, as_bytes(input)));
}

http::Response DacSite::put_content(const Bytes& content, const std::string& path, http::Headers extra,
                                    std::size_t piece) {
  auto request = node.request(http::Method::put, path + "/content", as);
  request.headers = std::move(extra);
  if (!request.header("content-digest")) request.headers.emplace_back("content-digest", digest_header(content));
  if (!request.header("content-type")) request.headers.emplace_back("content-type", "model/gltf-binary");
  Pieces body(content, piece);
  request.stream = &body;
  return node.call(request);
}

http::Response DacSite::publish(const Bytes& content, http::Headers precondition, const std::string& owner,
                                const std::string& path) {
  const boost::json::object body{{"owner", owner}, {"contentDigest", digest_member(content)}};
  return node.json(http::Method::put, path, as, body, std::move(precondition));
}

void DacSite::publish_over(const Bytes& content, std::int64_t version) {
  ASSERT_EQ(put_content(content).status, 201U);
  http::Headers precondition{version == 0 ? std::pair<std::string, std::string>("if-none-match", "*")
                                          : std::pair<std::string, std::string>("if-match", dac::etag(version))};
  const auto answer = publish(content, std::move(precondition));
  ASSERT_EQ(answer.status, version == 0 ? 201U : 200U) << answer.body;
}

http::Response DacSite::get(const std::string& what, const std::string& bearer, http::Headers extra) {
  auto request = node.request(http::Method::get, std::string(avatar_path) + what, &xr_as);
  request.headers = std::move(extra);
  if (!bearer.empty()) request.headers.emplace_back("authorization", "Bearer " + bearer);
  return node.call(request);
}

Result<Bytes> DacSite::read(http::Response& response) {
  Bytes out;
  while (true) {
    auto next = response.stream->next();
    auto piece = run(node.context, std::move(next));
    if (!piece) return piece.error();
    if (piece->empty()) return out;
    out.insert(out.end(), piece->begin(), piece->end());
  }
}

std::vector<std::filesystem::path> DacSite::files() const {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(config.directory)) out.push_back(entry.path());
  return out;
}

}  // namespace avseal::test

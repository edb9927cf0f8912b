#include "dac/content_store.hpp"

#include <algorithm>

#include <prometheus/family.h>

#include "dac/data_key.hpp"
#include "dac/errors.hpp"
#include "http/on_pool.hpp"
#include "tokens/base64.hpp"

namespace avseal::dac {
namespace {

namespace asio = boost::asio;

prometheus::Counter& counter(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(metrics).Add({});
}

class VerifiedContent : public http::BodySource {
 public:
  VerifiedContent(asio::thread_pool& disk, std::shared_ptr<SealedReader> reader, ByteRange range,
                  prometheus::Counter& altered, prometheus::Counter& served)
      : disk_(disk),
        reader_(std::move(reader)),
        at_(range.first),
        end_(range.last + 1),
        altered_(altered),
        served_(served) {}

  // Verifies the segment that the next bytes come from.
  asio::awaitable<Result<void>> prepare() {
    const auto index = static_cast<std::uint32_t>(at_ / segment_size);
    auto work = [reader = reader_, index] { return reader->segment(index); };
    auto segment = co_await http::on_pool(disk_, std::move(work));
    if (!segment && segment.error().reason == "content-altered") altered_.Increment();
    if (!segment) co_return segment.error();
    const auto begin = static_cast<std::size_t>(at_ % segment_size);
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(segment->size() - begin, end_ - at_));
    ready_.assign(segment->begin() + static_cast<std::ptrdiff_t>(begin),
                  segment->begin() + static_cast<std::ptrdiff_t>(begin + length));
    co_return Result<void>{};
  }

  asio::awaitable<Result<Bytes>> next() override {
    if (at_ == end_) co_return Bytes{};
    if (ready_.empty()) {
      auto prepared = co_await prepare();
      if (!prepared) co_return prepared.error();
    }
    at_ += ready_.size();
    served_.Increment(static_cast<double>(ready_.size()));
    co_return std::exchange(ready_, {});
  }

 private:
  asio::thread_pool& disk_;
  std::shared_ptr<SealedReader> reader_;
  std::uint64_t at_;
  std::uint64_t end_;
  Bytes ready_;
  prometheus::Counter& altered_;
  prometheus::Counter& served_;
};

class NoContent : public http::BodySource {
 public:
  asio::awaitable<Result<Bytes>> next() override { co_return Bytes{}; }
};

Error type_differs(std::string_view staged, std::string_view presented) {
  return avseal::errors::make(
      Category::conflict, "content-type-differs",
      fmt::format("this content is staged as {}, now presented as {}; give contentType when publishing it", staged,
                  presented),
      "header Content-Type");
}

bool is_ours(const std::filesystem::path& file) {
  return file.extension() == sealed_suffix || file.extension() == partial_suffix;
}

}  // namespace

ContentStore::ContentStore(const Config& config, keyring::Keyring& keyring, store::Avatars& avatars, Clock clock,
                           prometheus::Registry& metrics)
    : config_(config),
      keyring_(keyring),
      avatars_(avatars),
      clock_(std::move(clock)),
      altered_(
          counter(metrics, "avseal_dac_content_altered_total", "Reads that met stored content that does not verify")),
      served_bytes_(counter(metrics, "avseal_dac_content_bytes_total", "Verified bytes of content handed out")) {}

asio::awaitable<Result<std::unique_ptr<SealedWriter>>> ContentStore::receive(http::BodyReader& stream,
                                                                             const Secret& key, std::string avatar_id,
                                                                             tokens::Sha256 digest) {
  AVSEAL_CO_TRY(auto created, SealedWriter::create(config_.directory, key, avatar_id));
  auto writer = std::make_shared<std::unique_ptr<SealedWriter>>(std::move(created));
  while (true) {
    auto piece = co_await stream.read();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    if ((*writer)->size() + piece->size() > config_.max_content_bytes)
      co_return avseal::errors::make(Category::too_large, "body-too-large",
                                     fmt::format("at most {} bytes of content are taken", config_.max_content_bytes));
    auto append = [writer, bytes = std::move(*piece)] { return (*writer)->append(bytes); };
    auto appended = co_await http::on_pool(disk_, std::move(append));
    if (!appended) co_return appended.error();
  }
  auto finish = [writer, digest] { return (*writer)->finish(digest); };
  auto finished = co_await http::on_pool(disk_, std::move(finish));
  if (!finished) co_return finished.error();
  co_return std::move(*writer);
}

asio::awaitable<Result<void>> ContentStore::discard(http::BodyReader& stream, tokens::Sha256 digest) {
  tokens::Sha256Stream found;
  while (true) {
    auto piece = co_await stream.read();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    found.update(*piece);
  }
  const auto sum = found.finish();
  if (!tokens::equal_constant_time(sum, digest))
    co_return errors::digest_mismatch(tokens::base64_encode(digest), tokens::base64_encode(sum));
  co_return Result<void>{};
}

asio::awaitable<Result<ContentStore::Staged>> ContentStore::stage(http::Request& request, std::string avatar_id,
                                                                  tokens::Sha256 digest) {
  store::StagedContent content;
  content.avatar_id = avatar_id;
  content.content_digest = digest_text(digest);
  content.content_type = media_type(request);

  auto known = co_await avatars_.staged(content.avatar_id, content.content_digest);
  if (!known) co_return known.error();
  if (*known) {
    if ((*known)->content_type != content.content_type)
      co_return type_differs((*known)->content_type, content.content_type);
    auto same = co_await discard(*request.stream, digest);
    if (!same) co_return same.error();
    co_return Staged{std::move(**known), false};
  }

  const auto key = Secret::random(32);
  auto received = co_await receive(*request.stream, key, std::move(avatar_id), digest);
  if (!received) co_return received.error();
  content.content_file = (*received)->name();
  content.content_size = static_cast<std::int64_t>((*received)->size());
  content.staged_at = to_unix(clock_());

  const auto aad = staged_key_aad(content.avatar_id, content.content_digest, content.content_size);
  const auto aad_view = as_bytes(aad);
  auto wrapped = co_await keyring_.wrap(key, aad_view, request.deadline);
  if (!wrapped) {
    co_await remove(content.content_file);
    co_return wrapped.error();
  }
  content.wrapped_key = std::move(*wrapped);
  auto stored = co_await avatars_.stage(content);
  if (!stored) {
    co_await remove(content.content_file);
    co_return stored.error();
  }
  co_return Staged{std::move(content), true};
}

asio::awaitable<Result<Bytes>> ContentStore::rewrap(Bytes wrapped, std::string from_aad, std::string to_aad,
                                                    http::Deadline deadline) {
  const auto from = as_bytes(from_aad);
  auto key = co_await keyring_.unwrap(wrapped, from, deadline);
  if (!key) co_return key.error();
  const auto to = as_bytes(to_aad);
  co_return co_await keyring_.wrap(*key, to, deadline);
}

asio::awaitable<Result<Bytes>> ContentStore::bind_key(store::StagedContent staged, std::int64_t version,
                                                      http::Deadline deadline) {
  auto from = staged_key_aad(staged.avatar_id, staged.content_digest, staged.content_size);
  auto to = published_key_aad(staged.avatar_id, version, staged.content_digest, staged.content_size);
  return rewrap(std::move(staged.wrapped_key), std::move(from), std::move(to), deadline);
}

asio::awaitable<Result<Bytes>> ContentStore::rebind_key(store::AvatarRecord record, std::int64_t version,
                                                        http::Deadline deadline) {
  auto from = published_key_aad(record.id, record.version, record.content_digest, record.content_size);
  auto to = published_key_aad(record.id, version, record.content_digest, record.content_size);
  return rewrap(std::move(record.wrapped_key), std::move(from), std::move(to), deadline);
}

asio::awaitable<Result<std::unique_ptr<http::BodySource>>> ContentStore::read(store::AvatarRecord record,
                                                                              ByteRange range,
                                                                              http::Deadline deadline) {
  const auto aad = published_key_aad(record.id, record.version, record.content_digest, record.content_size);
  const auto aad_view = as_bytes(aad);
  auto key = co_await keyring_.unwrap(record.wrapped_key, aad_view, deadline);
  if (!key) co_return key.error();
  const auto size = static_cast<std::uint64_t>(record.content_size);
  auto owned_key = std::make_shared<Secret>(std::move(*key));
  auto open = [file = config_.directory / record.content_file, owned_key, id = record.id, size] {
    return SealedReader::open(file, *owned_key, id, size);
  };
  auto opened = co_await http::on_pool(disk_, std::move(open));
  if (!opened && opened.error().reason == "content-altered") altered_.Increment();
  if (!opened) co_return opened.error();
  std::shared_ptr<SealedReader> reader = std::move(*opened);

  if (size == 0) {
    auto check = [reader] { return reader->segment(0); };
    auto checked = co_await http::on_pool(disk_, std::move(check));
    if (!checked) altered_.Increment();
    if (!checked) co_return checked.error();
    co_return std::make_unique<NoContent>();
  }
  auto source = std::make_unique<VerifiedContent>(disk_, std::move(reader), range, altered_, served_bytes_);
  auto prepared = co_await source->prepare();
  if (!prepared) co_return prepared.error();
  co_return std::unique_ptr<http::BodySource>(std::move(source));
}

asio::awaitable<void> ContentStore::remove(std::string file) {
  // What stays behind here goes with the orphans of the next start.
  auto work = [path = config_.directory / file] {
    std::error_code ignored;
    return std::filesystem::remove(path, ignored);
  };
  (void)co_await http::on_pool(disk_, std::move(work));
}

asio::awaitable<Result<std::size_t>> remove_orphans(const Config& config, store::Avatars& avatars) {
  auto used = co_await avatars.files();
  if (!used) co_return used.error();
  std::sort(used->begin(), used->end());
  std::error_code error;
  std::size_t removed = 0;
  std::filesystem::directory_iterator entry(config.directory, error);
  for (; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
    const auto& path = entry->path();
    if (!is_ours(path) || std::binary_search(used->begin(), used->end(), path.filename().string())) continue;
    if (std::filesystem::remove(path, error)) ++removed;
  }
  if (error) co_return errors::storage("cannot clear", config.directory, error.value());
  co_return removed;
}

asio::awaitable<Result<std::size_t>> expire_staged(const Config& config, store::Avatars& avatars, UnixSeconds now) {
  auto expired = co_await avatars.expire_staged(now - config.staged_max_age);
  if (!expired) co_return expired.error();
  // Published in the meantime, a file stays.
  auto used = co_await avatars.files();
  if (!used) co_return used.error();
  std::size_t removed = 0;
  for (const auto& content : *expired) {
    if (std::find(used->begin(), used->end(), content.content_file) != used->end()) continue;
    std::error_code ignored;
    if (std::filesystem::remove(config.directory / content.content_file, ignored)) ++removed;
  }
  co_return removed;
}

}  // namespace avseal::dac

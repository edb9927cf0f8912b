#include "dac/sealed_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <openssl/evp.h>

#include "dac/errors.hpp"
#include "tokens/base64.hpp"

namespace avseal::dac {
namespace {

constexpr std::string_view magic = "avseal-v1";
constexpr std::size_t tag_size = 16;
constexpr std::size_t sealed_segment_size = segment_size + tag_size;
constexpr std::size_t header_size = std::tuple_size_v<SegmentCipher::Header>;

std::uint64_t segments_of(std::uint64_t size) {
  return size == 0 ? 1 : (size + segment_size - 1) / segment_size;
}

Result<void> write_all(int descriptor, ByteView bytes, const std::filesystem::path& file) {
  while (!bytes.empty()) {
    const auto written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errors::storage("cannot write", file, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// False at a premature end of the file.
Result<bool> read_all(int descriptor, std::span<std::uint8_t> out, std::uint64_t offset) {
  while (!out.empty()) {
    const auto got = ::pread(descriptor, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errors::storage("cannot read", "sealed content", errno);
    if (got == 0) return false;
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return true;
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  const File handle(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0 || ::fsync(handle.get()) != 0) return errors::storage("cannot sync", directory, errno);
  return {};
}

std::array<std::uint8_t, 12> nonce_of(const std::array<std::uint8_t, 7>& prefix, std::uint32_t index, bool last) {
  std::array<std::uint8_t, 12> nonce{};
  std::copy(prefix.begin(), prefix.end(), nonce.begin());
  for (std::size_t i = 0; i < 4; ++i) nonce[7 + i] = static_cast<std::uint8_t>(index >> (24 - 8 * i));
  nonce[11] = last ? 1 : 0;
  return nonce;
}

}  // namespace

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void SegmentCipher::Free::operator()(evp_cipher_ctx_st* context) const noexcept {
  EVP_CIPHER_CTX_free(context);
}

Result<SegmentCipher> SegmentCipher::create(const Secret& data_key, const Header& header, std::string_view avatar_id,
                                            bool seal) {
  if (data_key.size() != 32) return errors::cipher("use a data key that is not of 32 bytes");
  SegmentCipher cipher;
  cipher.context_.reset(EVP_CIPHER_CTX_new());
  if (!cipher.context_ || EVP_CipherInit_ex(cipher.context_.get(), EVP_aes_256_gcm(), nullptr, data_key.reveal().data(),
                                            nullptr, seal ? 1 : 0) != 1)
    return errors::cipher("set up AES-256-GCM");
  std::copy_n(header.begin() + magic.size(), cipher.prefix_.size(), cipher.prefix_.begin());
  cipher.associated_data_.assign(header.begin(), header.end());
  const auto id = as_bytes(avatar_id);
  cipher.associated_data_.insert(cipher.associated_data_.end(), id.begin(), id.end());
  return cipher;
}

Result<Bytes> SegmentCipher::seal(ByteView plain, std::uint32_t index, bool last) {
  const auto nonce = nonce_of(prefix_, index, last);
  Bytes out(plain.size() + tag_size);
  int length = 0;
  auto* context = context_.get();
  if (EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) != 1 ||
      EVP_EncryptUpdate(context, nullptr, &length, associated_data_.data(),
                        static_cast<int>(associated_data_.size())) != 1)
    return errors::cipher("begin a segment");
  if (!plain.empty() &&
      EVP_EncryptUpdate(context, out.data(), &length, plain.data(), static_cast<int>(plain.size())) != 1)
    return errors::cipher("seal a segment");
  if (EVP_EncryptFinal_ex(context, out.data() + plain.size(), &length) != 1 ||
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag_size), out.data() + plain.size()) != 1)
    return errors::cipher("finish a segment");
  return out;
}

Result<Bytes> SegmentCipher::open(ByteView sealed, std::uint32_t index, bool last) {
  if (sealed.size() < tag_size) return errors::content_altered("a segment is shorter than its tag");
  const auto nonce = nonce_of(prefix_, index, last);
  const auto body = sealed.first(sealed.size() - tag_size);
  std::array<std::uint8_t, tag_size> tag{};
  std::copy_n(sealed.end() - tag_size, tag_size, tag.begin());
  Bytes out(body.size());
  int length = 0;
  auto* context = context_.get();
  if (EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) != 1 ||
      EVP_DecryptUpdate(context, nullptr, &length, associated_data_.data(),
                        static_cast<int>(associated_data_.size())) != 1 ||
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag_size), tag.data()) != 1)
    return errors::cipher("begin a segment");
  if (!body.empty() && EVP_DecryptUpdate(context, out.data(), &length, body.data(), static_cast<int>(body.size())) != 1)
    return errors::cipher("open a segment");
  std::uint8_t none = 0;
  if (EVP_DecryptFinal_ex(context, &none, &length) != 1)
    return errors::content_altered(fmt::format("segment {} is not what was sealed", index));
  return out;
}

SealedWriter::SealedWriter(std::filesystem::path directory, std::string name, File file, SegmentCipher cipher)
    : directory_(std::move(directory)), name_(std::move(name)), file_(std::move(file)), cipher_(std::move(cipher)) {
  pending_.reserve(segment_size);
}

Result<std::unique_ptr<SealedWriter>> SealedWriter::create(std::filesystem::path directory, const Secret& data_key,
                                                           std::string_view avatar_id) {
  SegmentCipher::Header header{};
  std::copy(magic.begin(), magic.end(), header.begin());
  const auto prefix = tokens::random_bytes(header_size - magic.size());
  std::copy(prefix.begin(), prefix.end(), header.begin() + magic.size());
  AVSEAL_TRY(auto cipher, SegmentCipher::create(data_key, header, avatar_id, true));

  const auto stem = tokens::hex_encode(tokens::random_bytes(16));
  const auto path = directory / (stem + std::string(partial_suffix));
  File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) return errors::storage("cannot create", path, errno);
  std::unique_ptr<SealedWriter> writer(
      new SealedWriter(std::move(directory), stem + std::string(sealed_suffix), std::move(file), std::move(cipher)));
  AVSEAL_CHECK(write_all(writer->file_.get(), header, path));
  return writer;
}

SealedWriter::~SealedWriter() {
  if (finished_) return;
  ::unlink((directory_ / name_).replace_extension(partial_suffix).c_str());
}

Result<void> SealedWriter::write_segment(ByteView plain, bool last) {
  AVSEAL_TRY(const auto sealed, cipher_.seal(plain, index_, last));
  ++index_;
  return write_all(file_.get(), sealed, directory_ / name_);
}

Result<void> SealedWriter::append(ByteView plain) {
  if (size_ + plain.size() > std::uint64_t{std::numeric_limits<std::uint32_t>::max()} * segment_size)
    return avseal::errors::make(Category::too_large, "body-too-large", "the content has more than 2^32 segments");
  digest_.update(plain);
  size_ += plain.size();
  while (!plain.empty()) {
    if (pending_.size() == segment_size) {
      AVSEAL_CHECK(write_segment(pending_, false));
      pending_.clear();
    }
    const auto part = plain.first(std::min(plain.size(), segment_size - pending_.size()));
    pending_.insert(pending_.end(), part.begin(), part.end());
    plain = plain.subspan(part.size());
  }
  return {};
}

Result<void> SealedWriter::finish(const tokens::Sha256& expected) {
  const auto found = digest_.finish();
  if (!tokens::equal_constant_time(found, expected))
    return errors::digest_mismatch(tokens::base64_encode(expected), tokens::base64_encode(found));
  AVSEAL_CHECK(write_segment(pending_, true));
  const auto target = directory_ / name_;
  auto partial = target;
  partial.replace_extension(partial_suffix);
  if (::fsync(file_.get()) != 0) return errors::storage("cannot sync", partial, errno);
  if (::rename(partial.c_str(), target.c_str()) != 0) return errors::storage("cannot rename", partial, errno);
  finished_ = true;
  return sync_directory(directory_);
}

Result<std::unique_ptr<SealedReader>> SealedReader::open(const std::filesystem::path& path, const Secret& data_key,
                                                         std::string_view avatar_id, std::uint64_t size) {
  File file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return errors::content_missing(path);
  if (file.get() < 0) return errors::storage("cannot open", path, errno);
  const auto count = segments_of(size);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errors::storage("cannot stat", path, errno);
  if (count > std::numeric_limits<std::uint32_t>::max() || !S_ISREG(status.st_mode) ||
      static_cast<std::uint64_t>(status.st_size) != header_size + size + count * tag_size)
    return errors::content_altered(fmt::format("{} bytes where {} of content were sealed", status.st_size, size));

  SegmentCipher::Header header{};
  AVSEAL_TRY(const bool complete, read_all(file.get(), header, 0));
  if (!complete || !std::equal(magic.begin(), magic.end(), header.begin()))
    return errors::content_altered("the file does not begin as sealed content");
  AVSEAL_TRY(auto cipher, SegmentCipher::create(data_key, header, avatar_id, false));
  return std::unique_ptr<SealedReader>(new SealedReader(std::move(file), std::move(cipher), size));
}

Result<Bytes> SealedReader::segment(std::uint32_t index) {
  const auto count = segments_of(size_);
  if (index >= count) return errors::cipher("read beyond the last segment");
  const bool last = index + std::uint64_t{1} == count;
  const auto plain = last ? size_ - (count - 1) * segment_size : segment_size;
  Bytes sealed(static_cast<std::size_t>(plain) + tag_size);
  AVSEAL_TRY(const bool complete,
             read_all(file_.get(), sealed, header_size + std::uint64_t{index} * sealed_segment_size));
  if (!complete) return errors::content_altered(fmt::format("segment {} is cut", index));
  return cipher_.open(sealed, index, last);
}

}  // namespace avseal::dac
